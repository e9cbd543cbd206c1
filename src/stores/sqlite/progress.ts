/** Units and what they report. */
import type { Checkpoint, DeadLetter, Proof, UnitReport } from '../../core/unit.ts'
import { coversAny, isAhead, requireLatest } from '../rules.ts'
import type { Lease, Wishes } from '../store.ts'
import { settleChunk } from './chunks-left.ts'
import type { Database } from './database.ts'
import type { Page } from './jobs.ts'
import { activeJob, findDestination, type StoredDestination } from './ownership.ts'

const PAGE_CHECKPOINTS = 2_000
const PAGE_LETTERS = 1_000
/** A page of dead letters ends behind the one that brings its payloads to this many characters. */
const PAGE_CHARS = 1_000_000

export function progressCalls(db: Database) {
  return {
    startUnit(lease: Lease, unit: string): number {
      return db.write(() => {
        activeJob(db, lease)
        const { attempt } = db.get<{ attempt: number }>(
          `INSERT INTO units (job_id, unit, attempt) VALUES ($jobId, $unit, 1)
           ON CONFLICT DO UPDATE SET attempt = attempt + 1 RETURNING attempt`,
          { jobId: lease.jobId, unit },
        )!
        return attempt
      })
    },

    report(lease: Lease, report: UnitReport, maxDeadLetters: number): { deadLettersRefused: number; wishes: Wishes } {
      return db.write(() => {
        const { wishes } = activeJob(db, lease)
        const stored = findDestination(db, lease.jobId, report.destination)
        requireLatest(report, { attempt: latestAttempt(db, lease.jobId, report.unit), delivery: stored.delivery })
        const refused = storeDeadLetters(db, stored, report.deadLetters, maxDeadLetters)
        storeCheckpoints(
          db,
          lease.jobId,
          stored,
          report.checkpoints.filter(checkpoint => !coversAny(checkpoint, refused)),
        )
        storeProof(db, stored, report.proof)
        return { deadLettersRefused: refused.length, wishes }
      })
    },

    destinationUids(jobId: string): string[] {
      const rows = db.all<{ uid: string }>('SELECT uid FROM destinations WHERE job_id = $jobId ORDER BY id', { jobId })
      return rows.map(row => row.uid)
    },

    checkpointsPage(jobId: string, uid: string, afterChunk: number): Page<Checkpoint> {
      const rows = db.all<CheckpointRow>(
        `SELECT ${CHECKPOINT_COLUMNS} FROM destinations d JOIN checkpoints c ON c.destination = d.id AND c.delivery = d.delivery
         WHERE d.job_id = $jobId AND d.uid = $uid AND c.chunk > $afterChunk ORDER BY c.chunk LIMIT ${PAGE_CHECKPOINTS}`,
        { jobId, uid, afterChunk },
      )
      return { items: rows.map(row => ({ ...row, done: row.done === 1 })), more: rows.length === PAGE_CHECKPOINTS }
    },

    deadLettersPage(jobId: string, uid: string, afterChunk: number, afterRow: number): Page<DeadLetter> {
      const rows = db.iterate<DeadLetter>(
        `SELECT l.chunk, l.row, l.payload, l.key, l.cause, l.time
         FROM destinations d JOIN dead_letters l ON l.destination = d.id AND l.delivery = d.delivery
         WHERE d.job_id = $jobId AND d.uid = $uid AND (l.chunk, l.row) > ($afterChunk, $afterRow) ORDER BY l.chunk, l.row`,
        { jobId, uid, afterChunk, afterRow },
      )
      const items: DeadLetter[] = []
      let chars = 0
      for (const letter of rows) {
        items.push(letter)
        chars += letter.payload.length
        if (items.length === PAGE_LETTERS || chars >= PAGE_CHARS) return { items, more: true }
      }
      return { items, more: false }
    },

    proof(jobId: string, uid: string): Proof {
      const rows = db.all<{ partition: number; first: string; last: string }>(
        `SELECT p.partition, p.first, p.last FROM destinations d JOIN proofs p ON p.destination = d.id AND p.delivery = d.delivery
         WHERE d.job_id = $jobId AND d.uid = $uid ORDER BY p.id`,
        { jobId, uid },
      )
      return rows.map(({ partition, first, last }) => ({ ...(partition >= 0 && { partition }), first, last }))
    },
  }
}

type CheckpointRow = Omit<Checkpoint, 'done'> & { readonly done: number }

const CHECKPOINT_COLUMNS =
  'c.chunk, c.row, c.done, c.delivered, c.filtered, c.dead_lettered AS deadLettered, c.bytes, c.checksum'

function latestAttempt(db: Database, jobId: string, unit: string): number | undefined {
  const sql = 'SELECT attempt FROM units WHERE job_id = $jobId AND unit = $unit'
  return db.get<{ attempt: number }>(sql, { jobId, unit })?.attempt
}

/** Answers those that it refused. */
function storeDeadLetters(
  db: Database,
  { id, delivery, deadLetters: before }: StoredDestination,
  letters: readonly DeadLetter[],
  max: number,
): readonly DeadLetter[] {
  let count = before
  let refused: readonly DeadLetter[] = []
  for (const [index, { chunk, row, payload, key, cause, time }] of letters.entries()) {
    const place = { id, delivery, chunk, row }
    if (db.get(`SELECT 1 FROM dead_letters WHERE ${PLACE} AND row = $row`, place)) continue
    if (count >= max) {
      refused = letters.slice(index)
      break
    }
    db.run(
      `INSERT INTO dead_letters (destination, delivery, chunk, row, payload, key, cause, time)
       VALUES ($id, $delivery, $chunk, $row, $payload, $key, $cause, $time)`,
      { ...place, payload, key, cause, time },
    )
    count++
  }
  if (count > before) db.run('UPDATE destinations SET stored_dead_letters = $count WHERE id = $id', { id, count })
  return refused
}

const PLACE = 'destination = $id AND delivery = $delivery AND chunk = $chunk'

function storeCheckpoints(
  db: Database,
  jobId: string,
  destination: StoredDestination,
  checkpoints: readonly Checkpoint[],
): void {
  for (const checkpoint of checkpoints) {
    if (!isAhead(checkpoint, readCheckpoint(db, destination, checkpoint.chunk))) continue
    storeCheckpoint(db, destination, checkpoint)
    if (checkpoint.done && destination.state !== 'failed') settleChunk(db, jobId, checkpoint.chunk)
  }
}

export function readCheckpoint(
  db: Database,
  { id, delivery }: StoredDestination,
  chunk: number,
): Checkpoint | undefined {
  const sql = `SELECT ${CHECKPOINT_COLUMNS} FROM checkpoints c WHERE ${PLACE}`
  const row = db.get<CheckpointRow>(sql, { id, delivery, chunk })
  return row && { ...row, done: row.done === 1 }
}

/** In the place of what was stored for the chunk. */
export function storeCheckpoint(db: Database, destination: StoredDestination, checkpoint: Checkpoint): void {
  const { id, delivery } = destination
  const { chunk, row: watermark, done, delivered, filtered, deadLettered, bytes, checksum } = checkpoint
  addToSums(db, id, checkpoint, readCheckpoint(db, destination, chunk))
  db.run(
    `INSERT OR REPLACE INTO checkpoints
       (destination, delivery, chunk, row, done, delivered, filtered, dead_lettered, bytes, checksum)
     VALUES ($id, $delivery, $chunk, $watermark, $done, $delivered, $filtered, $deadLettered, $bytes, $checksum)`,
    { id, delivery, chunk, watermark, done: Number(done), delivered, filtered, deadLettered, bytes, checksum },
  )
}

function addToSums(db: Database, id: number, next: Checkpoint, stored: Checkpoint | undefined): void {
  db.run(
    `UPDATE destinations SET delivered = delivered + $delivered, filtered = filtered + $filtered,
       dead_lettered = dead_lettered + $deadLettered, bytes = bytes + $bytes, chunks_done = chunks_done + $done WHERE id = $id`,
    {
      id,
      delivered: next.delivered - (stored?.delivered ?? 0),
      filtered: next.filtered - (stored?.filtered ?? 0),
      deadLettered: next.deadLettered - (stored?.deadLettered ?? 0),
      bytes: next.bytes - (stored?.bytes ?? 0),
      done: Number(next.done) - Number(stored?.done ?? false),
    },
  )
}

export function storeProof(db: Database, { id, delivery }: StoredDestination, proof: Proof): void {
  for (const { partition = -1, first, last } of proof) {
    db.run(
      `INSERT INTO proofs (destination, delivery, partition, first, last)
       VALUES ($id, $delivery, $partition, $first, $last) ON CONFLICT DO NOTHING`,
      { id, delivery, partition, first, last },
    )
  }
}

/** What becomes of a job after its end: it goes on, its staged files are removed, its dead letters are delivered. */
import type { JobStatus } from '../../core/job.ts'
import { discardable, leftOut, noJob, redrive, reopened, requireFinal, requireReopenable } from '../rules.ts'
import type { Redriven, RedrivenRow, Reopening, StagingState } from '../store.ts'
import { countChunksLeft } from './chunks-left.ts'
import type { Database } from './database.ts'
import { insertDestinations, moved, readJob, type StoredRecord } from './jobs.ts'
import { findDestination, type StoredDestination } from './ownership.ts'
import { readCheckpoint, storeCheckpoint, storeProof } from './progress.ts'

export function reopeningCalls(db: Database) {
  return {
    reopen(jobId: string, from: readonly JobStatus[], reopening: Reopening) {
      return moved(db.write(() => reopen(db, jobId, from, reopening)))
    },

    expired(now: string): string[] {
      const rows = db.all<{ jobId: string }>(
        `SELECT job_id AS jobId FROM jobs WHERE staged = 'discarding' OR (staged = 'kept' AND staged_until <= $now)`,
        { now },
      )
      return rows.map(row => row.jobId)
    },

    beginDiscard(jobId: string): StagingState | undefined {
      return db.write(() => {
        const job = readJob(db, jobId)
        const staging = job && discardable(job)
        if (staging) db.run(`UPDATE jobs SET staged = 'discarding' WHERE job_id = $jobId`, { jobId })
        return staging
      })
    },

    discarded(jobId: string): void {
      db.write(() =>
        db.run(`UPDATE jobs SET staged = 'gone' WHERE job_id = $jobId AND staged = 'discarding'`, { jobId }),
      )
    },

    redriven(jobId: string, uid: string, { delivered, refused, proof }: Redriven): number {
      return db.write(() => {
        const job = readJob(db, jobId)
        if (!job) throw noJob(jobId)
        requireFinal(jobId, job.status)
        const destination = findDestination(db, jobId, uid)
        for (const letter of refused) keepLetter(db, destination, letter)
        storeProof(db, destination, proof)
        return redriveRows(db, destination, delivered)
      })
    },
  }
}

function reopen(
  db: Database,
  jobId: string,
  from: readonly JobStatus[],
  { goOn = [], added = [], again = [] }: Reopening,
): StoredRecord {
  const job = readJob(db, jobId)
  if (!job) throw noJob(jobId)
  requireReopenable(jobId, from, job)
  const { status, wishes, staging } = reopened(job)
  db.run(
    `UPDATE jobs SET status = $status, epoch = epoch + 1, beat = 0, wishes = $wishes, staging = $staging, error = NULL,
       time_completed = NULL, staged = NULL, staged_until = NULL WHERE job_id = $jobId`,
    { jobId, status, wishes: JSON.stringify(wishes), staging: staging ? JSON.stringify(staging) : null },
  )
  for (const uid of goOn) {
    const { id } = findDestination(db, jobId, uid)
    db.run(`UPDATE destinations SET state = 'pending', error = NULL WHERE id = $id`, { id })
  }
  insertDestinations(db, jobId, added)
  for (const { uid, from, to } of again)
    startDelivery(db, jobId, uid, chunk => chunk >= from && chunk < to, job.numChunks ?? 0)
  countChunksLeft(db, jobId)
  return readJob(db, jobId)!
}

function startDelivery(
  db: Database,
  jobId: string,
  uid: string,
  isWanted: (chunk: number) => boolean,
  chunks: number,
): void {
  const { id } = findDestination(db, jobId, uid)
  db.run(
    `UPDATE destinations SET state = 'pending', error = NULL, delivery = delivery + 1, delivered = 0, filtered = 0,
       dead_lettered = 0, bytes = 0, chunks_done = 0, stored_dead_letters = 0 WHERE id = $id`,
    { id },
  )
  const destination = findDestination(db, jobId, uid)
  for (let chunk = 0; chunk < chunks; chunk++) if (!isWanted(chunk)) storeCheckpoint(db, destination, leftOut(chunk))
}

/** Answers of how many there was a dead letter. */
function redriveRows(db: Database, destination: StoredDestination, rows: readonly RedrivenRow[]): number {
  const { id, delivery } = destination
  const sql =
    'DELETE FROM dead_letters WHERE destination = $id AND delivery = $delivery AND chunk = $chunk AND row = $row'
  const found = rows.filter(({ chunk, row }) => db.run(sql, { id, delivery, chunk, row }) > 0)
  const count = found.length
  db.run('UPDATE destinations SET stored_dead_letters = stored_dead_letters - $count WHERE id = $id', { id, count })
  for (const [chunk, ofChunk] of Map.groupBy(found, row => row.chunk)) {
    const checkpoint = readCheckpoint(db, destination, chunk)
    if (checkpoint) storeCheckpoint(db, destination, redrive(checkpoint, ofChunk))
  }
  return count
}

function keepLetter(
  db: Database,
  { id, delivery }: StoredDestination,
  { chunk, row, cause, time }: Redriven['refused'][number],
): void {
  db.run(
    `UPDATE dead_letters SET cause = $cause, time = $time
     WHERE destination = $id AND delivery = $delivery AND chunk = $chunk AND row = $row`,
    { id, delivery, chunk, row, cause, time },
  )
}

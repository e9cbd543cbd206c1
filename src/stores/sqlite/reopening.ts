/** What becomes of a job after its end: it goes on, its staged files are removed, its dead letters are delivered. */
import type { JobStatus } from '../../core/job.ts'
import { isUnfinished, leftOut, noJob, notFinal, redrive, requireReopenable, wishesLeft } from '../rules.ts'
import type { Redriven, RedrivenRow, Reopening, StagingState } from '../store.ts'
import { countChunksLeft } from './chunks-left.ts'
import type { Database } from './database.ts'
import { moved, readJob, type StoredRecord } from './jobs.ts'
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
        if (!job?.staging || isUnfinished(job.status) || job.staged?.state === 'gone') return undefined
        db.run(`UPDATE jobs SET staged = 'discarding' WHERE job_id = $jobId`, { jobId })
        return job.staging
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
        if (isUnfinished(job.status)) throw notFinal(jobId, job.status)
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
  db.run(
    `UPDATE jobs SET status = $status, epoch = epoch + 1, beat = 0, wishes = $wishes, error = NULL, time_completed = NULL,
       staged = NULL, staged_until = NULL WHERE job_id = $jobId`,
    {
      jobId,
      status: job.numChunks === undefined ? 'staging' : 'transporting',
      wishes: JSON.stringify(wishesLeft(job.wishes)),
    },
  )
  if (job.staging && job.numChunks === undefined) {
    const staging = JSON.stringify({ ...job.staging, saved: null })
    db.run('UPDATE jobs SET staging = $staging WHERE job_id = $jobId', { jobId, staging })
  }
  for (const uid of goOn) {
    const { id } = findDestination(db, jobId, uid)
    db.run(`UPDATE destinations SET state = 'pending', error = NULL WHERE id = $id`, { id })
  }
  for (const { uid, type, name } of added) {
    const values = { jobId, uid, type, name }
    db.run('INSERT INTO destinations (job_id, uid, type, name) VALUES ($jobId, $uid, $type, $name)', values)
  }
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

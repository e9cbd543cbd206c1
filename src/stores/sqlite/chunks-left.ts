/**
 * `chunks_left` is kept in the job, so that a list of jobs reads no checkpoint. What can raise or lower it by many (a
 * manifest, a destination that fails, a new delivery) counts afresh; a chunk that is settled only asks whether it was the last.
 */
import type { Database } from './database.ts'

/** From the checkpoints of one job; nothing before it has a manifest. */
export function countChunksLeft(db: Database, jobId: string): void {
  db.run(
    `WITH alive AS (SELECT id, delivery FROM destinations WHERE job_id = $jobId AND state <> 'failed')
     UPDATE jobs SET chunks_left = CASE (SELECT count(*) FROM alive) WHEN 0 THEN 0 ELSE num_chunks - (
       SELECT count(*) FROM (
         SELECT chunk FROM alive JOIN checkpoints ON destination = id AND checkpoints.delivery = alive.delivery
         WHERE done GROUP BY chunk HAVING count(*) = (SELECT count(*) FROM alive)
       )
     ) END WHERE job_id = $jobId AND num_chunks IS NOT NULL`,
    { jobId },
  )
}

/** After a destination that has not failed has newly settled the chunk. */
export function settleChunk(db: Database, jobId: string, chunk: number): void {
  db.run(
    `UPDATE jobs SET chunks_left = chunks_left - 1 WHERE job_id = $jobId AND NOT EXISTS (
       SELECT 1 FROM destinations d WHERE job_id = $jobId AND state <> 'failed' AND NOT EXISTS (
         SELECT 1 FROM checkpoints WHERE destination = d.id AND delivery = d.delivery AND chunk = $chunk AND done
       )
     )`,
    { jobId, chunk },
  )
}

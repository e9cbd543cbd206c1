/** What only a job's owner may do to the job as a whole, and how one becomes its owner. */
import type { JobStatus } from '../../core/job.ts'
import { leaseLost, noDestination, requireActive, requireStatus } from '../rules.ts'
import type { Claimable, DestinationChange, JobChange, Lease, Manifest, StagingState, Wishes } from '../store.ts'
import { countChunksLeft } from './chunks-left.ts'
import type { Database } from './database.ts'

export function ownershipCalls(db: Database) {
  return {
    claim({ jobId, epoch, beat }: Claimable, mostRunning?: number): Lease | undefined {
      const claimed = db.write(() =>
        db.run(
          `UPDATE jobs SET epoch = epoch + 1, beat = 1
           WHERE job_id = $jobId AND epoch = $epoch AND beat = $beat AND status IN ('staging', 'transporting')
             AND ($mostRunning IS NULL OR beat > 0 OR $mostRunning > (
               SELECT count(*) FROM jobs other
               WHERE other.organization_id = jobs.organization_id AND other.status IN ('staging', 'transporting')
                 AND (other.beat > 0 OR (other.time_created, other.job_id) < (jobs.time_created, jobs.job_id))))`,
          { jobId, epoch, beat, mostRunning: mostRunning ?? null },
        ),
      )
      return claimed === 1 ? { jobId, epoch: epoch + 1 } : undefined
    },

    beat(lease: Lease): Wishes {
      return db.write(() => {
        const { wishes } = ownedJob(db, lease)
        db.run('UPDATE jobs SET beat = beat + 1 WHERE job_id = $jobId', { jobId: lease.jobId })
        return wishes
      })
    },

    release(lease: Lease): void {
      db.write(() => {
        ownedJob(db, lease)
        db.run('UPDATE jobs SET epoch = epoch + 1, beat = 0 WHERE job_id = $jobId', { jobId: lease.jobId })
      })
    },

    saveStaging(lease: Lease, staging: StagingState): void {
      db.write(() => {
        activeJob(db, lease)
        const { jobId } = lease
        db.run('UPDATE jobs SET staging = $staging WHERE job_id = $jobId', { jobId, staging: JSON.stringify(staging) })
      })
    },

    transition(lease: Lease, from: JobStatus, to: JobStatus, change: JobChange): void {
      db.write(() => {
        const { manifest, error, timeCompleted, staged } = change
        const job = ownedJob(db, lease)
        const manifests = { stored: job.numChunks !== null, given: manifest !== undefined }
        requireStatus(lease.jobId, from, job.status, manifests)
        db.run(
          `UPDATE jobs SET status = $to, error = coalesce($error, error), time_completed = coalesce($timeCompleted, time_completed),
             staged = coalesce($staged, staged), staged_until = coalesce($until, staged_until) WHERE job_id = $jobId`,
          {
            jobId: lease.jobId,
            to,
            error: stringify(error),
            timeCompleted: timeCompleted ?? null,
            staged: staged?.state ?? null,
            until: staged?.state === 'kept' ? (staged.until ?? null) : null,
          },
        )
        if (to === 'failed' || to === 'cancelled') giveUpDestinations(db, lease.jobId)
        if (manifest) storeManifest(db, lease.jobId, manifest)
      })
    },

    setDestination(lease: Lease, uid: string, change: DestinationChange): void {
      db.write(() => {
        activeJob(db, lease)
        const destination = findDestination(db, lease.jobId, uid)
        const { id } = destination
        if (change.saved !== undefined) {
          db.run('UPDATE destinations SET saved = $saved WHERE id = $id', { id, saved: JSON.stringify(change.saved) })
        }
        if (destination.state === 'failed') return
        db.run(
          'UPDATE destinations SET state = coalesce($state, state), error = coalesce($error, error) WHERE id = $id',
          {
            id,
            state: change.state ?? null,
            error: stringify(change.error),
          },
        )
        if (change.state === 'failed') countChunksLeft(db, lease.jobId)
      })
    },
  }
}

interface OwnedJob {
  readonly status: JobStatus
  readonly wishes: Wishes
  readonly numChunks: number | null
}

function ownedJob(db: Database, { jobId, epoch }: Lease): OwnedJob {
  const job = db.get<Omit<OwnedJob, 'wishes'> & { wishes: string }>(
    'SELECT status, wishes, num_chunks AS numChunks FROM jobs WHERE job_id = $jobId AND epoch = $epoch',
    { jobId, epoch },
  )
  if (!job) throw leaseLost({ jobId, epoch })
  return { ...job, wishes: JSON.parse(job.wishes) }
}

export function activeJob(db: Database, lease: Lease): OwnedJob {
  const job = ownedJob(db, lease)
  requireActive(lease.jobId, job.status)
  return job
}

export interface StoredDestination {
  readonly id: number
  readonly state: string
  readonly delivery: number
  readonly deadLetters: number
}

export function findDestination(db: Database, jobId: string, uid: string): StoredDestination {
  const destination = db.get<StoredDestination>(
    'SELECT id, state, delivery, stored_dead_letters AS deadLetters FROM destinations WHERE job_id = $jobId AND uid = $uid',
    { jobId, uid },
  )
  if (!destination) throw noDestination(jobId, uid)
  return destination
}

function giveUpDestinations(db: Database, jobId: string): void {
  const sql = `UPDATE destinations SET state = 'cancelled' WHERE job_id = $jobId AND state IN ('pending', 'delivering')`
  db.run(sql, { jobId })
}

function storeManifest(db: Database, jobId: string, manifest: Manifest): void {
  db.run('INSERT INTO manifests (job_id, manifest) VALUES ($jobId, $manifest)', {
    jobId,
    manifest: JSON.stringify(manifest),
  })
  db.run('UPDATE jobs SET num_chunks = $numChunks WHERE job_id = $jobId', { jobId, numChunks: manifest.files.length })
  countChunksLeft(db, jobId)
}

function stringify(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

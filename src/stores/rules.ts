/** What every store decides alike. */

import { MillraceError, StoreError } from '../core/errors.ts'
import type { JobStatus } from '../core/job.ts'
import type { Checkpoint, DeadLetter, UnitReport } from '../core/unit.ts'
import type { JobRecord, Lease, RedrivenRow, StagedState, StagingState, Wishes } from './store.ts'

/** Watermarks only rise, and what is done stays done. At an unmoved one, `done` is still news: the rest of the chunk had no rows. */
export function isAhead(next: Checkpoint, stored: Checkpoint | undefined): boolean {
  if (stored === undefined) return true
  if (stored.done) return false
  return next.row > stored.row || (next.row === stored.row && next.done)
}

/** Whether a checkpoint speaks of a row as settled whose dead letter was refused. */
export function coversAny(checkpoint: Checkpoint, refused: readonly DeadLetter[]): boolean {
  return refused.some(letter => letter.chunk === checkpoint.chunk && letter.row < checkpoint.row)
}

export function addWishes(wishes: Wishes, more: Wishes): Wishes {
  const pace = { ...wishes.pace, ...more.pace }
  return {
    ...(wishes.cancel || more.cancel ? { cancel: true } : {}),
    ...((more.pause ?? wishes.pause) ? { pause: true } : {}),
    ...(Object.keys(pace).length > 0 ? { pace } : {}),
  }
}

/** The compare of `reopen`. */
export function requireReopenable(
  jobId: string,
  from: readonly JobStatus[],
  job: Pick<JobRecord, 'status' | 'staged' | 'numChunks'>,
): void {
  if (!from.includes(job.status)) throw new MillraceError('conflict', `job ${jobId} is ${job.status}`)
  if (job.numChunks !== undefined && job.staged !== undefined && job.staged.state !== 'kept')
    throw new MillraceError('conflict', `the staged files of job ${jobId} were removed: start a new job`)
}

/** What a job is that goes on after its end. Where it is staged afresh, what its source saved is of no use any more. */
export function reopened(job: Pick<JobRecord, 'numChunks' | 'wishes' | 'staging'>): {
  status: JobStatus
  wishes: Wishes
  staging: StagingState | undefined
} {
  const { cancel: _, ...wishes } = job.wishes
  if (job.numChunks !== undefined) return { status: 'transporting', wishes, staging: job.staging }
  return { status: 'staging', wishes, staging: job.staging && { ...job.staging, saved: null } }
}

/** Staged files that may still be there, and that nobody is to read any more once the job is final. */
export function discardable({ status, staging, staged }: Pick<JobRecord, 'status' | 'staging' | 'staged'>) {
  return isUnfinished(status) || staged?.state === 'gone' ? undefined : staging
}

/** Whether nobody is to read the staged files of a final job any more, and they may still be there. */
export function isExpired(staged: StagedState | undefined, now: string): boolean {
  if (staged === undefined || staged.state === 'gone') return false
  return staged.state === 'discarding' || (staged.until !== undefined && staged.until <= now)
}

/** Rows of a chunk that were dead letters were delivered. Its tallies need no change for rows that they do not reach up to. */
export function redrive(checkpoint: Checkpoint, rows: readonly RedrivenRow[]): Checkpoint {
  const counted = rows.filter(({ row }) => row < checkpoint.row)
  return {
    ...checkpoint,
    delivered: checkpoint.delivered + counted.length,
    deadLettered: checkpoint.deadLettered - counted.length,
    bytes: counted.reduce((sum, { bytes }) => sum + bytes, checkpoint.bytes),
    checksum: counted.reduce((sum, { checksum }) => addHex(sum, checksum), checkpoint.checksum),
  }
}

/** Modulo 2^64; not `addChecksums`, which would load WebAssembly into the thread of the sqlite store. */
function addHex(a: string, b: string): string {
  return BigInt.asUintN(64, BigInt(`0x${a}`) + BigInt(`0x${b}`))
    .toString(16)
    .padStart(16, '0')
}

/** A chunk that a redelivery leaves out. */
export function leftOut(chunk: number): Checkpoint {
  return { chunk, row: 0, done: true, delivered: 0, filtered: 0, deadLettered: 0, bytes: 0, checksum: '0'.repeat(16) }
}

/** Not `isFinal` of `core/job.ts`, which would load zod into the thread of the sqlite store. */
export function isUnfinished(status: JobStatus): boolean {
  return status === 'staging' || status === 'transporting'
}

export function requireActive(jobId: string, status: JobStatus): void {
  if (!isUnfinished(status)) throw new MillraceError('conflict', `job ${jobId} is already ${status}`)
}

export function requireFinal(jobId: string, status: JobStatus): void {
  if (isUnfinished(status)) throw new MillraceError('conflict', `job ${jobId} is ${status}: wait for its end`)
}

/** The compare of `transition`. */
export function requireStatus(
  jobId: string,
  expected: JobStatus,
  actual: JobStatus,
  manifests: { stored: boolean; given: boolean },
): void {
  if (actual !== expected) throw new MillraceError('conflict', `job ${jobId} is ${actual}, not ${expected}`)
  if (manifests.stored && manifests.given) throw new MillraceError('conflict', `job ${jobId} already has its manifest`)
}

/** `latest`: the unit's attempt and the destination's delivery that the store knows. */
export function requireLatest(report: UnitReport, latest: { attempt: number | undefined; delivery: number }): void {
  if (report.attempt === latest.attempt && report.delivery === latest.delivery) return
  const what = `attempt ${report.attempt} of unit ${report.unit}`
  throw new StoreError(`${what} is not the latest: the unit was started again elsewhere`, { code: 'lease_lost' })
}

export function leaseLost(lease: Lease): StoreError {
  const message = `job ${lease.jobId} is no longer owned under epoch ${lease.epoch}: it was released or taken over`
  return new StoreError(message, { code: 'lease_lost' })
}

export function jobExists(jobId: string): MillraceError {
  return new MillraceError('conflict', `there is already a job ${jobId}`)
}

export function noJob(jobId: string): MillraceError {
  return new MillraceError('not_found', `there is no job ${jobId}`)
}

export function noDestination(jobId: string, uid: string): MillraceError {
  return new MillraceError('not_found', `job ${jobId} has no destination ${uid}`)
}

/** What every store decides alike. */

import { MillraceError, StoreError } from '../core/errors.ts'
import type { JobStatus } from '../core/job.ts'
import type { Checkpoint, DeadLetter, UnitReport } from '../core/unit.ts'
import type { Lease, Wishes } from './store.ts'

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
  return wishes.cancel || more.cancel ? { cancel: true } : {}
}

/** Not `isFinal` of `core/job.ts`, which would load zod into the thread of the sqlite store. */
export function isUnfinished(status: JobStatus): boolean {
  return status === 'staging' || status === 'transporting'
}

export function requireActive(jobId: string, status: JobStatus): void {
  if (!isUnfinished(status)) throw new MillraceError('conflict', `job ${jobId} is already ${status}`)
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
  if (report.attempt === latest.attempt && report.delivery >= latest.delivery) return
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

export function noDestination(jobId: string, uid: string): MillraceError {
  return new MillraceError('not_found', `job ${jobId} has no destination ${uid}`)
}

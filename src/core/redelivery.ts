import type { JobRecord, Reopening } from '../stores/store.ts'
import { type DestinationName, findNamed, nameOf } from './destination-name.ts'
import type { Redelivery } from './engine.ts'
import { MillraceError, RequestError } from './errors.ts'
import type { Settings } from './options.ts'
import { destinationUid } from './resolve.ts'

/** Throws a `RequestError` for a destination that is not registered, or chunks that the job does not have, and `conflict` if it was never staged. */
export function planRedelivery(job: JobRecord, redelivery: Redelivery, settings: Settings): Reopening {
  const { type, name } = redelivery
  requireSinks([redelivery], settings)
  // it could be reopened, and all of it would be staged and delivered: that is a retry
  if (job.status === 'failed' && job.numChunks === undefined)
    throw new MillraceError('conflict', `job ${job.jobId} failed before it was staged: it has nothing to deliver again`)
  const chunks = job.numChunks ?? 0
  const { from, to } = redelivery.chunks ?? { from: 0, to: chunks }
  const isRange = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= chunks
  if (!isRange) throw new RequestError([{ path: 'chunks', message: `must be a range within 0 to ${chunks}` }])
  const known = findNamed(job.destinations, redelivery)
  if (known) return { again: [{ uid: known.uid, from, to }] }
  const added = { type, name, uid: destinationUid(type, name) }
  return redelivery.chunks ? { added: [added], again: [{ uid: added.uid, from, to }] } : { added: [added] }
}

/** Throws a `RequestError` that names those that are not registered. */
export function requireSinks(destinations: readonly DestinationName[], settings: Settings): void {
  const missing = destinations.map(nameOf).filter(key => !settings.destinations.has(key))
  if (missing.length > 0)
    throw new RequestError(missing.map(key => ({ path: 'destination', message: `no sink ${key} is registered` })))
}

/** The rows that destinations refused for good, as hosts see them. */
import type { DestinationRecord, JobRecord, Store } from '../stores/store.ts'
import { type DestinationName, findNamed, nameOf } from './destination-name.ts'
import { RequestError } from './errors.ts'
import type { DeadLetter } from './unit.ts'

export interface StoredDeadLetter extends DeadLetter {
  readonly destination: DestinationName
}

/** Of one destination of the job, or of all, each ordered by chunk and row. Read from the store as they are asked for. */
export async function* storedDeadLetters(
  store: Store,
  job: JobRecord,
  only: DestinationName | undefined,
): AsyncGenerator<StoredDeadLetter> {
  for (const { type, name, uid } of only ? [requireDestination(job, only)] : job.destinationRecords)
    for await (const letter of store.deadLetters(job.jobId, uid)) yield { destination: { type, name }, ...letter }
}

/** Throws a `RequestError` where the job has no such destination. */
export function requireDestination(job: JobRecord, wanted: DestinationName): DestinationRecord {
  const found = findNamed(job.destinationRecords, wanted)
  if (found) return found
  const names = job.destinationRecords.map(nameOf).join(', ')
  const message = `job ${job.jobId} does not deliver to ${nameOf(wanted)}, but to ${names}`
  throw new RequestError([{ path: 'destination', message }])
}

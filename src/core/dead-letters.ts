/** The rows that destinations refused for good, as hosts see them. */
import type { DestinationRecord, JobRecord, Store } from '../stores/store.ts'
import { RequestError } from './errors.ts'
import type { DeadLetter } from './unit.ts'

/** A destination as requests name it. */
export interface DestinationName {
  readonly type: string
  readonly name: string
}

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
export function requireDestination(job: JobRecord, { type, name }: DestinationName): DestinationRecord {
  const found = job.destinationRecords.find(destination => destination.type === type && destination.name === name)
  if (found) return found
  const names = job.destinationRecords.map(each => `${each.type}/${each.name}`).join(', ')
  const message = `job ${job.jobId} does not deliver to ${type}/${name}, but to ${names}`
  throw new RequestError([{ path: 'destination', message }])
}

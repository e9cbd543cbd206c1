/** Repeated creations: a key of the client's names the job, so that no second one can be made of it, in whichever process. */
import { isDeepStrictEqual } from 'node:util'
import type { JobRecord } from '../stores/store.ts'
import { MillraceError } from './errors.ts'
import { hashUuid } from './hash-uuid.ts'
import { backfillRequestSchema } from './request.ts'

/** The id of the job that this key of the organization stands for. The store refuses to make a second one of the same id. */
export function repeatableId(organizationId: string, key: string): string {
  // as JSON, so that no organization can borrow from the key of another
  return hashUuid(JSON.stringify(['idempotency key', organizationId, key]))
}

/** Throws `conflict` where the key came with another request before. */
export function requireSameRequest(job: JobRecord, input: unknown): JobRecord {
  const { data } = backfillRequestSchema.safeParse(input)
  if (isDeepStrictEqual(data && JSON.parse(JSON.stringify(data)), job.request)) return job
  throw new MillraceError(
    'conflict',
    `the idempotency key was used for another request before, which became job ${job.jobId}`,
  )
}

import type { JobRecord, Store, Wishes } from '../stores/store.ts'
import { MillraceError } from './errors.ts'
import { isFinal } from './job.ts'

/** Asks the owner of a job that there is, whichever process that is, through the store. Rejects with `conflict` if the job has ended. */
export async function wishOf(store: Store, jobId: string, wishes: Wishes): Promise<JobRecord> {
  const after = await store.wish(jobId, wishes, ['staging', 'transporting'])
  if (after && !isFinal(after.status)) return after
  throw new MillraceError('conflict', `job ${jobId} is already ${after?.status}`)
}

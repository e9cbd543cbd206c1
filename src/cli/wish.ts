import { MillraceError } from '../core/errors.ts'
import { isFinal } from '../core/job.ts'
import type { Store, Wishes } from '../stores/store.ts'
import { requireJob } from './store-access.ts'

/** Asks the owner of the job, whichever process that is, through the store. Rejects with `conflict` if the job has ended. */
export async function wishOf(store: Store, jobId: string, wishes: Wishes): Promise<void> {
  await requireJob(store, jobId)
  const after = await store.wish(jobId, wishes, ['staging', 'transporting'])
  if (after && isFinal(after.status)) throw new MillraceError('conflict', `job ${jobId} is already ${after.status}`)
}

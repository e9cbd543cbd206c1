import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { ERRORS, MillraceError } from '../core/errors.ts'
import { isFinal, type JobStatus } from '../core/job.ts'
import type { Store } from '../stores/store.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

const POLL_MS = 250

export function cancelCommand(done: (exitCode: number) => void): Command {
  return new Command('cancel')
    .description(
      'Ask for a job to stop, whichever process runs it. It ends once what is in flight has settled; if no process runs ' +
        'it, when an engine next takes it up.',
    )
    .argument('<job-id>')
    .option('--wait', 'until the job has ended')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (jobId: string, flags: StoreFlags & { readonly wait?: boolean }) =>
      withStore(flags, async store => {
        await askToCancel(store, jobId)
        process.stdout.write(`asked job ${jobId} to stop\n`)
        if (!flags.wait) return done(0)
        const status = await waitForEnd(store, jobId)
        process.stdout.write(`${status}\n`)
        // it may have come to its end before it noticed
        done(status === 'cancelled' ? 0 : ERRORS.conflict.exit)
      }),
    )
}

async function askToCancel(store: Store, jobId: string): Promise<void> {
  await requireJob(store, jobId)
  const after = await store.wish(jobId, { cancel: true }, ['staging', 'transporting'])
  if (after && isFinal(after.status)) throw new MillraceError('conflict', `job ${jobId} is already ${after.status}`)
}

async function waitForEnd(store: Store, jobId: string): Promise<JobStatus> {
  for (;;) {
    const { status } = await requireJob(store, jobId)
    if (isFinal(status)) return status
    await delay(POLL_MS)
  }
}

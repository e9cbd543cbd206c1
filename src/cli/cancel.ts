import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { ERRORS } from '../core/errors.ts'
import { DEFAULT_LEASE_MS, Heartbeats } from '../core/heartbeats.ts'
import { isFinal, type JobStatus } from '../core/job.ts'
import type { EngineOptions } from '../core/options.ts'
import { jobTransitions } from '../core/transitions.ts'
import { wishOf } from '../core/wishes.ts'
import type { JobRecord, Store } from '../stores/store.ts'
import { findConfig } from './config-file.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

const POLL_MS = 250

export function cancelCommand(done: (exitCode: number) => void): Command {
  return new Command('cancel')
    .description(
      'Ask for a job to stop, whichever process runs it. It ends once what is in flight has settled; if no process runs ' +
        'it, with --wait, or when an engine next takes it up.',
    )
    .argument('<job-id>')
    .option('--wait', 'until the job has ended; if no process runs it, this one ends it')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (jobId: string, flags: StoreFlags & { readonly wait?: boolean }) =>
      withStore(flags, async store => {
        await requireJob(store, jobId)
        await wishOf(store, jobId, { cancel: true })
        process.stdout.write(`asked job ${jobId} to stop\n`)
        if (!flags.wait) return done(0)
        const config = await findConfig(flags.config)
        const say = (text: string) => void process.stderr.write(`${text}\n`)
        const status = await waitForEnd(store, jobId, { ...config, say })
        process.stdout.write(`${status}\n`)
        // it may have come to its end before it noticed
        done(status === 'cancelled' ? 0 : ERRORS.conflict.exit)
      }),
    )
}

interface Waiting extends Partial<Pick<EngineOptions, 'source' | 'leaseMs'>> {
  say(text: string): void
}

/** Takes over a job whose owner has been silent for a lease, as an engine would, and ends it. Exported for tests. */
export async function waitForEnd(store: Store, jobId: string, waiting: Waiting): Promise<JobStatus> {
  // heartbeats come every half second at most, so that a configured lease that is longer makes no difference
  const heartbeats = new Heartbeats(waiting.leaseMs ?? DEFAULT_LEASE_MS)
  for (;;) {
    const job = await requireJob(store, jobId)
    if (isFinal(job.status)) return job.status
    if (heartbeats.isAbandoned(job)) await endAbandoned(store, job, waiting)
    else await delay(POLL_MS)
  }
}

/** Leaves it alone if somebody else was faster. */
async function endAbandoned(store: Store, job: JobRecord, { source, say }: Waiting): Promise<void> {
  const { jobId, status, staging } = job
  const lease = await store.claim(job)
  if (!lease) return
  await jobTransitions(store, lease, status, () => {}).cancel({ state: staging ? 'discarding' : 'gone' })
  await store.release(lease)
  say(`no process runs job ${jobId}: ended it here`)
  if (!staging) return
  const { discardEnded } = await import('../core/staging.ts')
  const gone = source !== undefined && (await discardEnded(job, store, source))
  if (!gone) say('its staged files are removed when an engine with its source next starts on this store')
}

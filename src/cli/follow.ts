import type { Engine } from '../core/engine.ts'
import { ERRORS, type ErrorCode, isMillraceError } from '../core/errors.ts'
import { isFinal, type Job } from '../core/job.ts'
import type { Reporter } from './reporter.ts'

/** Where signals come from: the process, or a test. */
export interface Signals {
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
  off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
  exit(code: number): void
}

export const processSignals: Signals = {
  on: (event, listener) => process.on(event, listener),
  off: (event, listener) => process.off(event, listener),
  exit: code => process.exit(code),
}

export const INTERRUPTED = 130
export const TERMINATED = 143

/**
 * Starts a job and follows it to its end; answers the exit code. The first Ctrl-C cancels the job and waits for it, the
 * second leaves at once. SIGTERM, which supervisors send at a restart, leaves the job to be gone on with.
 */
export async function followJob(
  engine: Engine,
  start: () => Promise<Job>,
  reporter: Reporter,
  signals = processSignals,
): Promise<number> {
  let job: Job | undefined
  let interrupted = false
  const leaving = new AbortController()

  const cancel = ({ job_id, organization_id }: Job) =>
    void engine.cancel(job_id, { organization_id }).catch((error: unknown) => {
      // a conflict: it has ended in the meantime
      if (!isMillraceError(error) || error.code !== 'conflict') reporter.note(`cannot cancel: ${String(error)}`)
    })
  const onInterrupt = () => {
    if (interrupted) {
      if (job) reporter.note(leftBehind(job))
      reporter.end(undefined)
      return signals.exit(INTERRUPTED)
    }
    interrupted = true
    reporter.note('cancelling: waiting for what is in flight; press Ctrl-C again to leave at once')
    if (job) cancel(job)
  }
  const onTerminate = () => leaving.abort()

  signals.on('SIGINT', onInterrupt)
  signals.on('SIGTERM', onTerminate)
  try {
    job = await start()
    reporter.note(`job ${job.job_id}`)
    if (interrupted) cancel(job)
    for await (const state of watch(engine, job, leaving.signal)) {
      job = state
      reporter.update(job)
    }
  } finally {
    reporter.end(job && isFinal(job.status) ? job : undefined)
    await engine.close()
    signals.off('SIGINT', onInterrupt)
    signals.off('SIGTERM', onTerminate)
  }
  if (isFinal(job.status)) return exitCodeOf(job)
  reporter.note(
    `left job ${job.job_id} as it is (${job.status}): "millrace run --resume ${job.job_id}" goes on with it, given the same source and destinations`,
  )
  return TERMINATED
}

/** Ends, whether or not the engine's own watching throws, once `signal` has aborted. */
async function* watch(engine: Engine, { job_id, organization_id }: Job, signal: AbortSignal): AsyncGenerator<Job> {
  try {
    yield* engine.watch(job_id, { organization_id, signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** The process goes before the job has ended: what that leaves, and how to be rid of it. */
function leftBehind({ job_id }: Job): string {
  return [
    `left job ${job_id} before it had ended, with its staged files:`,
    `  "millrace cancel ${job_id} --wait" ends it and removes them`,
    `  a file destination may be left with hidden ".${job_id}-*.tmp" files in its directory: delete them after that`,
  ].join('\n')
}

export function exitCodeOf(job: Job): number {
  if (job.status === 'completed') return 0
  if (job.status === 'cancelled') return INTERRUPTED
  const known = ERRORS[job.error_code as ErrorCode] as { exit: number } | undefined
  return known?.exit ?? ERRORS.internal.exit
}

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

const processSignals: Signals = {
  on: (event, listener) => process.on(event, listener),
  off: (event, listener) => process.off(event, listener),
  exit: code => process.exit(code),
}

const INTERRUPTED = 130
const TERMINATED = 143

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

  const cancel = (id: string) =>
    void engine.cancel(id).catch((error: unknown) => {
      // a conflict: it has ended in the meantime
      if (!isMillraceError(error) || error.code !== 'conflict') reporter.note(`cannot cancel: ${String(error)}`)
    })
  const onInterrupt = () => {
    if (interrupted) {
      reporter.end(undefined)
      return signals.exit(INTERRUPTED)
    }
    interrupted = true
    reporter.note('cancelling: waiting for what is in flight; press Ctrl-C again to leave at once')
    if (job) cancel(job.job_id)
  }
  const onTerminate = () => leaving.abort()

  signals.on('SIGINT', onInterrupt)
  signals.on('SIGTERM', onTerminate)
  try {
    job = await start()
    reporter.note(`job ${job.job_id}`)
    if (interrupted) cancel(job.job_id)
    for await (const state of watch(engine, job.job_id, leaving.signal)) {
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
    `left job ${job.job_id} as it is (${job.status}): the same command with --resume ${job.job_id} goes on with it`,
  )
  return TERMINATED
}

/** Ends, whether or not the engine's own watching throws, once `signal` has aborted. */
async function* watch(engine: Engine, jobId: string, signal: AbortSignal): AsyncGenerator<Job> {
  try {
    yield* engine.watch(jobId, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

export function exitCodeOf(job: Job): number {
  if (job.status === 'completed') return 0
  if (job.status === 'cancelled') return INTERRUPTED
  const known = ERRORS[job.error_code as ErrorCode] as { exit: number } | undefined
  return known?.exit ?? ERRORS.internal.exit
}

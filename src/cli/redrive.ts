import { ERRORS } from '../core/errors.ts'
import { INTERRUPTED, processSignals, TERMINATED } from './follow.ts'
import { formatCount } from './format.ts'
import type { JobEngine } from './job-engine.ts'
import type { Output } from './reporter.ts'

/** Sends dead letters again and tells the outcome; answers the exit code. A signal ends it, with what was taken by then stored. */
export async function followRedrive(
  { engine, job, scope, destinations: [to] }: JobEngine,
  { stdout, stderr }: Output,
  json: boolean,
  signals = processSignals,
): Promise<number> {
  const leaving = new AbortController()
  let code = 0
  const leaveWith = (exitCode: number) => () => {
    if (leaving.signal.aborted) signals.exit(exitCode)
    code = exitCode
    leaving.abort()
  }
  const onInterrupt = leaveWith(INTERRUPTED)
  const onTerminate = leaveWith(TERMINATED)
  signals.on('SIGINT', onInterrupt)
  signals.on('SIGTERM', onTerminate)
  try {
    const result = await engine.redrive(job.jobId, to!, { ...scope, signal: leaving.signal })
    const { redriven, refused } = result
    const text = `${to!.type}:${to!.name}: ${formatCount(redriven)} rows delivered, ${formatCount(refused)} refused again`
    stdout.write(`${json ? JSON.stringify(result) : text}\n`)
    return refused > 0 ? ERRORS.delivery_failed.exit : 0
  } catch (error) {
    if (!leaving.signal.aborted) throw error
    stderr.write('stopped: what was not taken is still a dead letter; the same command goes on\n')
    return code
  } finally {
    await engine.close()
    signals.off('SIGINT', onInterrupt)
    signals.off('SIGTERM', onTerminate)
  }
}

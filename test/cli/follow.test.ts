import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { exitCodeOf, followJob } from '../../src/cli/follow.ts'
import type { Engine } from '../../src/core/engine.ts'
import { MillraceError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import { sampleJob } from './job.ts'

describe('followJob', () => {
  it('shows every state and answers 0 for a job that completed', async () => {
    const run = follow([sampleJob({ status: 'staging' }), sampleJob(), sampleJob({ status: 'completed' })])
    expect(await run.exitCode).toBe(0)
    expect(run.log).toEqual([
      'note: job 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90',
      'staging',
      'transporting',
      'completed',
      'end: completed',
      'closed',
    ])
    expect(run.signals.listenerCount('SIGINT') + run.signals.listenerCount('SIGTERM')).toBe(0)
  })

  it('cancels the job at the first Ctrl-C and waits for its end', async () => {
    const run = follow([sampleJob()])
    await run.shown
    run.signals.emit('SIGINT')
    expect(await run.exitCode).toBe(130)
    expect(run.log.slice(2)).toEqual([
      'note: cancelling: waiting for what is in flight; press Ctrl-C again to leave at once',
      'cancel',
      'cancelled',
      'end: cancelled',
      'closed',
    ])
  })

  it('leaves at once at the second', async () => {
    const run = follow([sampleJob()], { hangs: true })
    await run.shown
    run.signals.emit('SIGINT')
    run.signals.emit('SIGINT')
    expect(run.log.slice(-3)).toEqual([
      [
        'note: left job 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 before it had ended, with its staged files:',
        '  "millrace cancel 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 --wait" ends it and removes them',
        '  a file destination may be left with hidden ".0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90-*.tmp" files in its directory: delete them after that',
      ].join('\n'),
      'end: undefined',
      'exit 130',
    ])
  })

  it('cancels a job that was still being created at Ctrl-C', async () => {
    const creating = Promise.withResolvers<Job>()
    const run = follow([sampleJob()], { start: () => creating.promise })
    run.signals.emit('SIGINT')
    expect(run.log).not.toContain('cancel')
    creating.resolve(sampleJob())
    expect(await run.exitCode).toBe(130)
    expect(run.log).toContain('cancel')
  })

  it('leaves the job as it is at SIGTERM, and says how to go on', async () => {
    const run = follow([sampleJob()])
    await run.shown
    run.signals.emit('SIGTERM')
    expect(await run.exitCode).toBe(143)
    expect(run.log).not.toContain('cancel')
    expect(run.log.slice(2)).toEqual([
      'end: undefined',
      'closed',
      expect.stringContaining('--resume 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90'),
    ])
  })

  it('closes the engine when the job cannot be created', async () => {
    const run = follow([], { start: () => Promise.reject(new MillraceError('not_found', 'no such table')) })
    await expect(run.exitCode).rejects.toThrow('no such table')
    expect(run.log).toEqual(['end: undefined', 'closed'])
  })

  it('does not take a watch that breaks for the end of the job', async () => {
    const run = follow([sampleJob()], { breaks: new Error('the store is gone') })
    await expect(run.exitCode).rejects.toThrow('the store is gone')
    expect(run.log.at(-1)).toBe('closed')
  })
})

describe('exitCodeOf', () => {
  it.each<[Partial<Job>, number]>([
    [{ status: 'completed' }, 0],
    [{ status: 'cancelled' }, 130],
    [{ status: 'failed', error_code: 'source_failed' }, 5],
    [{ status: 'failed', error_code: 'destination_unavailable' }, 6],
    [{ status: 'failed', error_code: 'store_failed' }, 7],
    [{ status: 'failed', error_code: 'of a later version' }, 1],
    [{ status: 'failed', error_code: null }, 1],
  ])('%j is %d', (changes, code) => {
    expect(exitCodeOf(sampleJob(changes))).toBe(code)
  })
})

interface Behaviour {
  readonly start?: () => Promise<Job>
  /** The job does not end, whatever is asked. */
  readonly hangs?: boolean
  readonly breaks?: Error
}

/** An engine whose job goes through `states`, and from the last one only to `cancelled`. */
function follow(states: readonly Job[], { start, hangs, breaks }: Behaviour = {}) {
  const log: string[] = []
  const shown = Promise.withResolvers<void>()
  const cancelled = Promise.withResolvers<void>()
  const signals = Object.assign(new EventEmitter(), { exit: (code: number) => void log.push(`exit ${code}`) })
  const engine = {
    async *watch(_jobId, { signal } = {}) {
      yield* states
      if (breaks) throw breaks
      if (states.at(-1)?.status === 'completed') return
      signal?.throwIfAborted()
      const aborted = new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      await Promise.race([cancelled.promise, aborted])
      yield sampleJob({ status: 'cancelled' })
    },
    async cancel() {
      log.push('cancel')
      if (!hangs) cancelled.resolve()
      return sampleJob()
    },
    async close() {
      log.push('closed')
    },
  } satisfies Partial<Engine>
  const reporter = {
    update(job: Job) {
      log.push(job.status)
      shown.resolve()
    },
    note: (text: string) => void log.push(`note: ${text}`),
    end: (job: Job | undefined) => void log.push(`end: ${job?.status}`),
  }
  const exitCode = followJob(engine as unknown as Engine, start ?? (async () => sampleJob()), reporter, signals)
  return { log, signals, exitCode, shown: shown.promise }
}

import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { JobEngine } from '../../src/cli/job-engine.ts'
import { followRedrive } from '../../src/cli/redrive.ts'
import type { Engine } from '../../src/core/engine.ts'
import { MillraceError } from '../../src/core/errors.ts'

describe('followRedrive', () => {
  it('tells the outcome, and answers 6 where rows were refused again', async () => {
    expect(await follow(async () => ({ redriven: 1_234, refused: 0 })).result).toEqual({
      code: 0,
      text: 'kafka:rows: 1,234 rows delivered, 0 refused again\n',
      log: ['closed'],
    })
    expect((await follow(async () => ({ redriven: 0, refused: 1 })).result).code).toBe(6)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops at %s and says how to go on', async (signal, code) => {
    const run = follow(untilAborted)
    run.signals.emit(signal)
    expect(await run.result).toEqual({
      code,
      text: 'stopped: what was not taken is still a dead letter; the same command goes on\n',
      log: ['closed'],
    })
    expect(run.signals.listenerCount(signal)).toBe(0)
  })

  it('leaves at once at the second signal', async () => {
    const run = follow(() => new Promise(() => {}))
    run.signals.emit('SIGINT')
    expect(run.log).toEqual([])
    run.signals.emit('SIGINT')
    expect(run.log).toEqual(['exit 130'])
  })

  it('closes the engine when it cannot be done', async () => {
    const run = follow(() => Promise.reject(new MillraceError('conflict', 'the job goes on')))
    await expect(run.result).rejects.toThrow('the job goes on')
    expect(run.log).toEqual(['closed'])
  })
})

const untilAborted: Engine['redrive'] = (_jobId, _to, { signal } = {}) =>
  new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)))

function follow(redrive: Engine['redrive']) {
  const log: string[] = []
  const texts: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      texts.push(String(chunk))
      done()
    },
  })
  const signals = Object.assign(new EventEmitter(), { exit: (code: number) => void log.push(`exit ${code}`) })
  const engine = { redrive, close: async () => void log.push('closed') } as Partial<Engine>
  const open = { engine, job: { jobId: 'job' }, scope: {}, destinations: [{ type: 'kafka', name: 'rows' }] }
  const ended = followRedrive(open as unknown as JobEngine, { stdout: sink, stderr: sink }, false, signals)
  return { log, signals, result: ended.then(code => ({ code, text: texts.join(''), log })) }
}

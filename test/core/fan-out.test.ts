/** Several destinations of one job: what is wrong with one is none of the others' business. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import type { Sink, SinkSession } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { arrowSource } from './arrow-source.ts'
import { allNumbers, finish, until } from './number-jobs.ts'

const ROWS = 60_000

let dir: string
let engine: Engine | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-fan-out-'))
})

afterEach(async () => {
  await engine?.close()
  await rm(dir, { recursive: true, force: true })
})

function start(sinks: readonly Sink[], options: Partial<EngineOptions> = {}): Promise<Job> {
  const source = arrowSource({ dir, files: [ROWS / 3, ROWS / 3, ROWS / 3] })
  engine = createEngine({ source, store: memoryStore(), lanes: 1, cancelGraceMs: 100, sinks, ...options })
  return engine.create(allNumbers(...sinks))
}

function sinkOf(name: string, open: () => Promise<Partial<SinkSession>>): Sink {
  return {
    type: 'test',
    name,
    open: async ({ probe }) => ({
      limits: { batchRows: 1_000 },
      write: async () => {},
      close: async () => {},
      ...(probe ? {} : await open()),
    }),
  }
}

const never = (): Promise<never> => new Promise(() => {})

test.each([
  ['its writes', 1, async () => ({ write: never })],
  ['its writes', 2, async () => ({ write: never })],
  ['its opening', 1, never],
  ['its beginning', 2, async () => ({ begin: never })],
])('a destination that hangs for good, in %s, holds up no other, with %i lanes', async (_, lanes, open) => {
  const fast = memorySink({ name: 'fast' })
  const job = await start([sinkOf('hangs', open), fast], { lanes })
  const then = await until(engine!, job, ({ destinations }) => destinations[1]!.status === 'completed')
  expect(then).toMatchObject({ status: 'transporting', destinations: [{ status: 'delivering', delivered: 0 }, {}] })
  expect(then.destinations[1]).toMatchObject({ delivered: ROWS, chunks_left: 0 })
  expect(fast.rows()).toHaveLength(ROWS)
  await engine!.cancel(job.job_id)
  expect(await finish(engine!, job)).toMatchObject({
    status: 'cancelled',
    destinations: [{ status: 'cancelled' }, { status: 'completed' }],
  })
})

test('a destination that cannot be opened at first is tried again, while the others go on', async () => {
  let attempts = 0
  const late = sinkOf('late', async () => {
    if (++attempts < 3) throw new DeliveryError('no broker answered', { code: 'destination_unavailable' })
    return {}
  })
  const fast = memorySink({ name: 'fast' })
  const job = await start([late, fast])
  const ended = await finish(engine!, job)
  expect(ended).toMatchObject({ status: 'completed', destinations: [{ delivered: ROWS }, { delivered: ROWS }] })
  expect(attempts).toBe(3)
})

test('a destination that stays away fails at the deadline, and is named', async () => {
  const away = sinkOf('away', () =>
    Promise.reject(new DeliveryError('no broker answered', { code: 'destination_unavailable' })),
  )
  const fast = memorySink({ name: 'fast' })
  const job = await start([away, fast], { delivery: { deliveryDeadlineMs: 300 } })
  expect(await finish(engine!, job)).toMatchObject({
    status: 'failed',
    error_code: 'destination_unavailable',
    error_message: 'test/away: no broker answered',
    destinations: [{ status: 'failed' }, { status: 'completed', delivered: ROWS }],
  })
})

test('a destination that is down is told on the diagnostics channel, with its job and its name', async () => {
  const events: unknown[] = []
  const listen = (event: unknown): void => void events.push(event)
  subscribe('millrace:circuit', listen)
  let writes = 0
  const error = new DeliveryError('busy', { retryable: true })
  const flaky = sinkOf('flaky', async () => ({
    async write() {
      if (writes++ < 6) throw error
    },
  }))
  const job = await start([flaky], { delivery: { unitsInFlight: 1 } })
  expect(await finish(engine!, job)).toMatchObject({ status: 'completed' })
  unsubscribe('millrace:circuit', listen)
  const about = { job_id: job.job_id, destination: 'test/flaky' }
  expect(events).toEqual([
    { ...about, event: 'opened', error },
    { ...about, event: 'closed' },
  ])
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { type ArrowSource, type ArrowSourceOptions, arrowSource } from './arrow-source.ts'
import { allNumbers, finish, recordingSink, until } from './number-jobs.ts'

const ROWS = 20_004

let dir: string
let store: Store
const engines: Engine[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-after-end-'))
  store = memoryStore()
})

afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.close()))
  await rm(dir, { recursive: true, force: true })
})

function sourceOf(options: Partial<ArrowSourceOptions> = {}): ArrowSource {
  return arrowSource({ dir, files: [3, 20_000, 1], ...options })
}

function engineOf(options: Partial<EngineOptions> & Pick<EngineOptions, 'sinks'>): Engine {
  const engine = createEngine({ source: sourceOf(), store, lanes: 1, cancelGraceMs: 200, leaseMs: 300, ...options })
  engines.push(engine)
  return engine
}

function create(engine: Engine, ...sinks: readonly Sink[]): Promise<Job> {
  return engine.create(allNumbers(...sinks))
}

const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 30_000 })

const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b)
const everyId = Array.from({ length: ROWS }, (_, id) => id)

describe('a failed job', () => {
  test('goes on from its checkpoints when it is retried, and only for the destinations that are left', async () => {
    let broken = true
    const failing = recordingSink('failing', async batch => {
      if (broken && batch.spans.some(({ row }) => row > 0)) throw new DeliveryError('no', { retryable: false })
    })
    const fine = recordingSink('fine')
    const source = sourceOf()
    const engine = engineOf({ source, sinks: [failing.sink, fine.sink] })
    const job = await create(engine, failing.sink, fine.sink)
    const failed = await finish(engine, job)
    expect(failed).toMatchObject({ status: 'failed', error_code: 'delivery_failed' })
    expect(failed.destinations.map(({ status }) => status)).toEqual(['failed', 'completed'])
    const before = failing.ids.length
    const settled = failed.destinations[0]!.delivered
    expect(settled).toBeGreaterThan(0)
    expect(await source.left()).toHaveLength(1)

    broken = false
    const retried = await engine.retry(job.job_id)
    expect(retried).toMatchObject({ status: 'transporting', error_message: null, time_completed: null })
    expect(await finish(engine, job)).toMatchObject({ status: 'completed', chunks_left: 0, error_message: null })
    expect([...new Set(sorted(failing.ids))]).toEqual(everyId)
    expect(failing.ids.length - before).toBe(ROWS - settled)
    expect(sorted(fine.ids)).toEqual(everyId)
    expect(await source.left()).toEqual([])
  })

  test('is staged afresh where staging had failed', async () => {
    let broken = true
    const out = recordingSink('out')
    const source = sourceOf({
      onStaged: async () => {
        if (broken) throw new Error('the warehouse went away')
      },
    })
    const engine = engineOf({ source, sinks: [out.sink] })
    const job = await create(engine, out.sink)
    expect(await finish(engine, job)).toMatchObject({ status: 'failed', num_chunks: null })
    expect(await source.left()).toEqual([])
    broken = false
    expect(await engine.retry(job.job_id)).toMatchObject({ status: 'staging' })
    expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
    expect(sorted(out.ids)).toEqual(everyId)
  })

  test('keeps its staged files for as long as is said, and cannot be retried after that', async () => {
    const out = recordingSink('out', () => Promise.reject(new DeliveryError('no', { retryable: false })))
    const source = sourceOf()
    const engine = engineOf({ source, sinks: [out.sink], keepStagedMs: { failed: 1 }, leaseMs: 60 })
    const job = await create(engine, out.sink)
    expect(await finish(engine, job)).toMatchObject({ status: 'failed' })
    await eventually(() => source.left()).toEqual([])
    await eventually(async () => (await store.get(job.job_id))?.staged).toEqual({ state: 'gone' })
    await expect(engine.retry(job.job_id)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('staged files'),
    })
    expect(await engine.get(job.job_id)).toMatchObject({ status: 'failed' })
  })

  test('is the only one that can be retried, and only by its own organization', async () => {
    const out = recordingSink('out')
    const engine = engineOf({ sinks: [out.sink] })
    const job = await create(engine, out.sink)
    await expect(engine.retry(job.job_id, { organization_id: 'other' })).rejects.toMatchObject({ code: 'not_found' })
    await finish(engine, job)
    await expect(engine.retry(job.job_id)).rejects.toMatchObject({ code: 'conflict' })
  })
})

describe('redelivery', () => {
  test('sends chunks once more, and all to a destination that the job did not have, without staging again', async () => {
    let stagings = 0
    const source = sourceOf({
      onStage: async () => {
        stagings++
      },
    })
    const [first, second] = [recordingSink('first'), recordingSink('second')]
    const engine = engineOf({ source, sinks: [first.sink, second.sink], keepStagedMs: { completed: 60_000 } })
    const job = await create(engine, first.sink)
    expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
    first.ids.length = 0

    const { type } = first.sink
    await engine.redeliver(job.job_id, { type, name: 'first', chunks: { from: 0, to: 1 } })
    const again = await finish(engine, job)
    expect(again).toMatchObject({ status: 'completed', chunks_left: 0 })
    expect(again.destinations[0]).toMatchObject({ status: 'completed', delivered: 3 })
    expect(first.ids).toEqual([0, 1, 2])

    await engine.redeliver(job.job_id, { type, name: 'second' })
    const added = await finish(engine, job)
    expect(added.destinations.map(({ name, status, delivered }) => [name, status, delivered])).toEqual([
      ['first', 'completed', 3],
      ['second', 'completed', ROWS],
    ])
    expect(sorted(second.ids)).toEqual(everyId)
    expect(first.ids).toHaveLength(3)
    expect(stagings).toBe(1)
  })

  test('is refused for what is not there, and once the files are gone', async () => {
    const out = recordingSink('out')
    const { type } = out.sink
    const engine = engineOf({ sinks: [out.sink], keepStagedMs: { completed: 60_000 } })
    const job = await create(engine, out.sink)
    await finish(engine, job)
    const redeliver = (redelivery: object) => engine.redeliver(job.job_id, { type, name: 'out', ...redelivery })
    await expect(redeliver({ name: 'other' })).rejects.toMatchObject({ code: 'invalid_request' })
    for (const chunks of [
      { from: 0, to: 4 },
      { from: -1, to: 2 },
      { from: 2, to: 1 },
      { from: 0.5, to: 1 },
    ])
      await expect(redeliver({ chunks })).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await engine.get(job.job_id)).toMatchObject({ status: 'completed' })

    const plain = engineOf({ sinks: [out.sink], source: sourceOf() })
    const gone = await create(plain, out.sink)
    await finish(plain, gone)
    await expect(plain.redeliver(gone.job_id, { type, name: 'out' })).rejects.toMatchObject({ code: 'conflict' })
  })
})

test('a job that failed before it was staged is not staged by a redelivery', async () => {
  let stagings = 0
  const source = sourceOf({
    onStage: async () => {
      stagings++
      throw new Error('the warehouse went away')
    },
  })
  const [first, second] = [recordingSink('first'), recordingSink('second')]
  const engine = engineOf({ source, sinks: [first.sink, second.sink] })
  const job = await create(engine, first.sink)
  const failed = await finish(engine, job)
  expect(failed).toMatchObject({ status: 'failed', num_chunks: null })
  for (const { sink } of [first, second])
    await expect(engine.redeliver(job.job_id, sink)).rejects.toMatchObject({ code: 'conflict' })
  expect(await engine.get(job.job_id)).toEqual(failed)
  expect(stagings).toBe(1)
})

describe('a pause', () => {
  test('lets what is in flight settle and sends nothing more until the job is resumed, by another engine too', async () => {
    const gate = Promise.withResolvers<void>()
    let writes = 0
    const out = recordingSink('out', async () => {
      writes++
      await gate.promise
      // slow enough for the wish to come between two writes
      await new Promise(resolve => setTimeout(resolve, 20))
    })
    const source = sourceOf({ files: [20_000, 20_000] })
    const delivery = { checkpointMs: 10 }
    const engine = engineOf({ sinks: [out.sink], source, delivery })
    const job = await create(engine, out.sink)
    await eventually(() => writes).toBeGreaterThan(0)
    expect(await engine.pause(job.job_id)).toMatchObject({ paused: true })
    await engine.pause(job.job_id)
    gate.resolve()
    await eventually(async () => (await engine.get(job.job_id)).destinations[0]!.delivered).toBe(out.ids.length)
    await engine.close()
    const sent = out.ids.length
    expect(sent).toBeLessThan(40_000)

    const next = engineOf({ sinks: [out.sink], source })
    await eventually(async () => (await store.get(job.job_id))?.beat).toBeGreaterThan(0)
    expect(out.ids).toHaveLength(sent)
    expect(await next.get(job.job_id)).toMatchObject({ status: 'transporting', paused: true })
    await next.resume(job.job_id)
    expect(await finish(next, job)).toMatchObject({ status: 'completed', paused: false })
    expect([...new Set(sorted(out.ids))]).toHaveLength(40_000)
  })

  test('does not keep a job from being cancelled', async () => {
    const out = memorySink({ name: 'out' })
    const started = Promise.withResolvers<void>()
    const source = sourceOf({
      onStage: async () => {
        await started.promise
      },
    })
    const engine = engineOf({ sinks: [out], source })
    const job = await create(engine, out)
    await engine.pause(job.job_id)
    started.resolve()
    await until(engine, job, ({ status }) => status === 'transporting')
    expect(out.rows()).toEqual([])
    await engine.cancel(job.job_id)
    expect(await finish(engine, job)).toMatchObject({ status: 'cancelled' })
    await expect(engine.pause(job.job_id)).rejects.toMatchObject({ code: 'conflict' })
    expect(await source.left()).toEqual([])
  })
})

test('a job whose destination nobody serves any more can be cancelled by any engine that has its source', async () => {
  const old = memorySink({ name: 'old' })
  const created = createEngine({ source: sourceOf({ onStage: () => new Promise(() => {}) }), store, sinks: [old] })
  const job = await create(created, old)
  const lease = (await store.get(job.job_id))!
  await store.release({ jobId: job.job_id, epoch: lease.epoch })
  const engine = engineOf({ sinks: [memorySink({ name: 'new' })], leaseMs: 60 })
  await engine.cancel(job.job_id)
  expect(await finish(engine, job)).toMatchObject({ status: 'cancelled', destinations: [{ status: 'cancelled' }] })
  void created.close()
})

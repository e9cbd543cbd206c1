/** What is wished of a job under way: its pace, and that it pauses. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'
import { type ArrowSource, arrowSource } from './arrow-source.ts'
import { allNumbers, finish, type Recorded, recordingSink } from './number-jobs.ts'

const ROWS = 40_000

let dir: string
let stores: Store[]
let engines: Engine[]
let source: ArrowSource

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-wishes-'))
  stores = []
  engines = []
  source = arrowSource({ dir: join(dir, 'staged'), files: [ROWS / 2, ROWS / 2] })
})

afterEach(async () => {
  await Promise.all(engines.map(engine => engine.close()))
  await Promise.all(stores.map(store => store.close()))
  await rm(dir, { recursive: true, force: true })
})

/** As a process of its own would be: with its own connection to the one store. */
function engineOf(options: Partial<EngineOptions> & Pick<EngineOptions, 'sinks'>): Engine {
  const store = sqliteStore({ path: join(dir, 'jobs.db') })
  stores.push(store)
  // small enough for each file to be a unit of its own
  const common = { lanes: 1, cancelGraceMs: 500, leaseMs: 600, stagedFileBytes: 1, delivery: { checkpointMs: 20 } }
  const engine = createEngine({ source, store, ...common, ...options })
  engines.push(engine)
  return engine
}

function create(engine: Engine, ...sinks: readonly Sink[]): Promise<Job> {
  return engine.create(allNumbers(...sinks))
}

/** A write waits for what `before` says. */
const recording = (before?: () => Promise<void>): Recorded => recordingSink('out', before, { inFlight: 2 })

const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 30_000, interval: 10 })
const distinct = (ids: readonly number[]): number => new Set(ids).size
const out = { type: 'recording', name: 'out' }

describe('a pace', () => {
  test('of a registration limits all units of the destination together, and is shown', async () => {
    const { sink, ids, times } = recording()
    const pace = { rowsPerSecond: 20_000, bytesPerSecond: 100_000_000 }
    const engine = engineOf({ sinks: [{ sink, pace, checkpointMs: 20 }] })
    const job = await finish(engine, await create(engine, sink))
    expect(job).toMatchObject({
      status: 'completed',
      destinations: [{ pace: { rows_per_second: 20_000, bytes_per_second: 100_000_000 } }],
    })
    expect(distinct(ids)).toBe(ROWS)
    // a second's worth at once and another in the next; how exactly is tested where time is simulated
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(500)
  })

  test('is changed while the job runs, by another process too, and holds at once', async () => {
    const { sink, ids } = recording()
    const engine = engineOf({ sinks: [sink], delivery: { checkpointMs: 20, pace: { rowsPerSecond: 1 } } })
    const other = engineOf({ sinks: [sink], takeOver: false })
    const job = await create(engine, sink)
    await eventually(() => ids.length).toBe(1_000)
    expect((await engine.get(job.job_id)).destinations[0]!.pace).toEqual({ rows_per_second: 1, bytes_per_second: null })
    const changed = await other.setPace(job.job_id, out, { rowsPerSecond: 1_000_000 })
    expect(changed.destinations[0]!.pace).toEqual({ rows_per_second: 1_000_000, bytes_per_second: null })
    expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
    expect(distinct(ids)).toBe(ROWS)
  })

  test('that was set holds after a restart, until it is taken back', async () => {
    const { sink, ids } = recording()
    const first = engineOf({ sinks: [sink], delivery: { checkpointMs: 20, pace: { rowsPerSecond: 1 } } })
    const job = await create(first, sink)
    await first.setPace(job.job_id, out, { bytesPerSecond: 1 })
    await eventually(() => ids.length).toBeGreaterThan(0)
    const closing = performance.now()
    await first.close()
    expect(performance.now() - closing).toBeLessThan(2_000)
    const before = ids.length

    const second = engineOf({ sinks: [sink] })
    await eventually(() => ids.length).toBeGreaterThan(before)
    expect((await second.get(job.job_id)).destinations[0]!.pace).toEqual({ rows_per_second: null, bytes_per_second: 1 })
    await second.setPace(job.job_id, out, null)
    const ended = await finish(second, job)
    expect(ended).toMatchObject({ status: 'completed', destinations: [{ pace: null }] })
    expect(distinct(ids)).toBe(ROWS)
  })

  test('does not keep a job from being cancelled', async () => {
    const { sink, ids } = recording()
    const engine = engineOf({ sinks: [{ sink, pace: { rowsPerSecond: 1 } }], cancelGraceMs: 60_000 })
    const job = await create(engine, sink)
    await eventually(() => ids.length).toBe(1_000)
    await engine.cancel(job.job_id)
    expect(await finish(engine, job)).toMatchObject({ status: 'cancelled' })
    expect(ids).toHaveLength(1_000)
  })

  test('of what is not there, or that is none, is an error, and nothing changes', async () => {
    const gate = Promise.withResolvers<void>()
    const { sink } = recording(() => gate.promise)
    const engine = engineOf({ sinks: [sink] })
    const job = await create(engine, sink)
    const pace = { rowsPerSecond: 5 }
    await expect(engine.setPace(job.job_id, { ...out, name: 'other' }, { rowsPerSecond: -1 })).rejects.toMatchObject({
      code: 'invalid_request',
      problems: [{ path: 'destination' }, { path: 'pace.rowsPerSecond' }],
    })
    await expect(engine.setPace(job.job_id, out, pace, { organization_id: 'other' })).rejects.toMatchObject({
      code: 'not_found',
    })
    expect((await engine.get(job.job_id)).destinations[0]!.pace).toBeNull()
    gate.resolve()
    await finish(engine, job)
    await expect(engine.setPace(job.job_id, out, pace)).rejects.toMatchObject({ code: 'conflict' })
    const wrong = { sink, pace: { bytesPerSecond: 0.5 } }
    expect(() => engineOf({ sinks: [wrong] })).toThrow('sinks[0].pace.bytesPerSecond: must be a whole number above 0')
  })
})

describe('a pause', () => {
  /** Lets so many writes through, and the rest once `open` is called. */
  function gated(writes: number) {
    const gate = Promise.withResolvers<void>()
    let left = writes
    return { open: () => gate.resolve(), before: () => (left-- > 0 ? Promise.resolve() : gate.promise) }
  }

  /** Two heartbeats later: in between every unit has reported, and so has heard what is wished. */
  async function heard({ job_id }: Job): Promise<void> {
    const [store] = stores
    const { beat } = (await store!.get(job_id))!
    await eventually(async () => (await store!.get(job_id))!.beat).toBeGreaterThan(beat + 1)
  }

  test('lets what is in flight settle, reads no more, keeps the job, and outlives the process', async () => {
    const gate = gated(18) // a span of one of the two units, at least
    const { sink, ids, times } = recording(gate.before)
    const first = engineOf({ sinks: [sink] })
    const job = await create(first, sink)
    await eventually(() => times.length).toBe(18 + 4)
    await first.pause(job.job_id)
    await heard(job)
    const second = engineOf({ sinks: [sink] })
    gate.open()
    await eventually(async () => (await first.get(job.job_id)).destinations[0]!.delivered).toBeGreaterThan(0)

    // idle, but alive: the beat moves past the time after which another may take over, and none does
    const [store] = stores
    const before = (await store!.get(job.job_id))!
    const settled = ids.length
    await eventually(async () => (await store!.get(job.job_id))!.beat - before.beat).toBeGreaterThan(4)
    expect((await store!.get(job.job_id))!.epoch).toBe(before.epoch)
    expect(ids.length).toBe(settled)
    expect(ids.length).toBe(18_000 + 4_000)
    const { opened } = source
    await first.close()

    await eventually(async () => (await second.get(job.job_id)).paused).toBe(true)
    const [, other] = stores
    await eventually(async () => (await other!.get(job.job_id))!.epoch).toBeGreaterThan(before.epoch + 1)
    await eventually(async () => (await other!.get(job.job_id))!.beat).toBeGreaterThan(2)
    expect([ids.length, source.opened]).toEqual([settled, opened])
    await second.resume(job.job_id)
    expect(await finish(second, job)).toMatchObject({ status: 'completed', chunks_left: 0 })
    expect(distinct(ids)).toBe(ROWS)
  })

  test('that is taken back before all have stopped loses no row', async () => {
    const gate = gated(2)
    const { sink, ids, times } = recording(gate.before)
    const engine = engineOf({ sinks: [sink] })
    const job = await create(engine, sink)
    await eventually(() => times.length).toBeGreaterThan(3)
    await engine.pause(job.job_id)
    await heard(job)
    await engine.resume(job.job_id)
    gate.open()
    expect(await finish(engine, job)).toMatchObject({ status: 'completed', chunks_left: 0 })
    expect(distinct(ids)).toBe(ROWS)
  })

  test('does not wait for a destination that is down', async () => {
    let down = true
    const { sink, ids, times } = recording(async () => {
      if (down) throw new DeliveryError('busy', { retryable: true, retryAfterMs: 60_000 })
    })
    const engine = engineOf({ sinks: [sink], cancelGraceMs: 60_000 })
    const job = await create(engine, sink)
    await eventually(() => times.length).toBeGreaterThan(1)
    await engine.pause(job.job_id)
    await heard(job)
    const attempts = times.length
    down = false
    await engine.close()
    expect(times.length).toBe(attempts)
    const next = engineOf({ sinks: [sink] })
    await next.resume(job.job_id)
    expect(await finish(next, job)).toMatchObject({ status: 'completed' })
    expect(distinct(ids)).toBe(ROWS)
  })
})

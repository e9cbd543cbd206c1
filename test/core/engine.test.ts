import { mkdtemp, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { DeliveryError, StoreError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import type { MessageBatch, Sink } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { type ArrowSourceOptions, arrowSource, wordOf } from './arrow-source.ts'
import { allNumbers, finish } from './number-jobs.ts'

let dir: string
let store: Store
const engines: Engine[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-engine-'))
  store = memoryStore()
})

afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.close()))
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

function sourceOf(options: Partial<ArrowSourceOptions> = {}): ReturnType<typeof arrowSource> {
  return arrowSource({ dir, files: [3, 20_000, 1], ...options })
}

function engineOf(options: Partial<EngineOptions> & Pick<EngineOptions, 'sinks'>): Engine {
  const engine = createEngine({ source: sourceOf(), store, lanes: 1, cancelGraceMs: 200, leaseMs: 300, ...options })
  engines.push(engine)
  return engine
}

async function statesOf(engine: Engine, jobId: string): Promise<Job[]> {
  const states: Job[] = []
  for await (const job of engine.watch(jobId)) states.push(job)
  return states
}

/** A sink whose writes wait until they are let go. */
function gatedSink(
  name: string,
  onWrite: (batch: MessageBatch, signal: AbortSignal) => Promise<void>,
  openings: string[] = [],
): Sink {
  return {
    type: 'gated',
    name,
    async open({ probe }) {
      openings.push(probe ? 'probe' : 'open')
      return { limits: { batchRows: 1_000 }, write: onWrite, close: async () => {} }
    },
  }
}

const expected = Array.from({ length: 20_004 }, (_, id) => ({ id, word: wordOf(id) }))

test('a backfill delivers every row, counts its chunks down to 0, and removes what it staged', async () => {
  const sink = memorySink({ name: 'out' })
  const source = sourceOf()
  const engine = engineOf({ source, sinks: [sink] })
  const created = await engine.create(allNumbers(sink))
  expect(created).toMatchObject({
    workflow_id: `beam-backfill-default-${created.job_id}`,
    backfill_start: 0,
    backfill_end: 1_000_000,
    partition_key: 'id',
  })
  const states = await statesOf(engine, created.job_id)

  const last = states.at(-1)!
  expect(last).toMatchObject({ status: 'completed', num_chunks: 3, chunks_left: 0, error_message: null })
  expect(last.destinations[0]).toMatchObject({
    status: 'completed',
    delivered: 20_004,
    filtered: 0,
    dead_lettered: 0,
    chunks_left: 0,
  })
  expect(last.time_completed).not.toBeNull()
  const left = states.map(job => job.chunks_left).filter(count => count !== null)
  expect(left).toEqual([...left].sort((a, b) => b - a))
  expect(left[0]).toBeGreaterThan(0)
  expect(sink.rows().toSorted((a, b) => idOf(a) - idOf(b))).toEqual(expected)
  expect(await source.left()).toEqual([])
})

function idOf(row: unknown): number {
  return (row as { id: number }).id
}

test('an empty window completes with 0 chunks, and the destination is not opened', async () => {
  const openings: string[] = []
  const sink = gatedSink('out', async () => {}, openings)
  const engine = engineOf({ source: sourceOf({ files: [] }), sinks: [sink] })
  expect(await finish(engine, await engine.create(allNumbers(sink)))).toMatchObject({
    status: 'completed',
    num_chunks: 0,
    chunks_left: 0,
  })
  expect(openings).toEqual(['probe'])
})

test('what the source left of the window and the filter is applied by the lanes', async () => {
  const sink = memorySink({ name: 'out' })
  const source = sourceOf({
    residual: ({ window, filter }) => ({
      window,
      filter: { column: filter!.column, type: filter!.type, values: filter!.list },
    }),
  })
  const engine = engineOf({ source, sinks: [sink] })
  const job = await engine.create({
    ...allNumbers(sink),
    backfill_window: { start: 5, end: 10_000 },
    filter: { column: 'word', values: ['three', 'seven', 'three'] },
  })
  expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
  expect(
    sink
      .rows()
      .map(idOf)
      .toSorted((a, b) => a - b),
  ).toEqual(expected.map(row => row.id).filter(id => id >= 5 && id < 10_000 && (id % 10 === 3 || id % 10 === 7)))
  expect((await engine.get(job.job_id)).destinations[0]).toMatchObject({ delivered: 1_999, filtered: 18_005 })
})

test('a value set is named by its hash, and filters like the values themselves', async () => {
  const sink = memorySink({ name: 'out' })
  const source = sourceOf({
    residual: ({ filter }) => ({ filter: { column: filter!.column, type: filter!.type, values: filter!.list } }),
  })
  const engine = engineOf({ source, sinks: [sink] })
  const { ref, count } = await engine.putValues(
    (async function* () {
      yield ['00012', '7']
      yield ['7', '19999']
    })(),
  )
  expect(count).toBe(3)
  const job = await engine.create({ ...allNumbers(sink), filter: { column: 'id', values_ref: ref } })
  expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
  expect(
    sink
      .rows()
      .map(idOf)
      .toSorted((a, b) => a - b),
  ).toEqual([7, 12, 19_999])
})

test('a destination that fails for good leaves the others alone, and the job names it', async () => {
  const good = memorySink({ name: 'good' })
  const bad = gatedSink('bad', async () => {
    throw new DeliveryError('the disk is full', { retryable: false })
  })
  const engine = engineOf({ sinks: [good, bad] })
  const job = await finish(engine, await engine.create(allNumbers(bad, good)))
  expect(job).toMatchObject({ status: 'failed', error_code: 'delivery_failed' })
  expect(job.error_message).toBe('gated/bad: more than 0 rows were refused for good (maxDeadLetters): the disk is full')
  expect(job.destinations.map(({ status, delivered }) => [status, delivered])).toEqual([
    ['failed', 0],
    ['completed', 20_004],
  ])
  expect(good.rows()).toHaveLength(20_004)
})

test('a destination that is not there fails the job before anything is staged', async () => {
  let staged = 0
  const source = sourceOf({ onStage: async () => void staged++ })
  const sink: Sink = {
    type: 'gated',
    name: 'gone',
    open: async () => {
      throw new DeliveryError('there is no topic', { code: 'destination_misconfigured' })
    },
  }
  const engine = engineOf({ source, sinks: [sink] })
  expect(await finish(engine, await engine.create(allNumbers(sink)))).toMatchObject({
    status: 'failed',
    error_code: 'destination_misconfigured',
    error_message: 'gated/gone: there is no topic',
    num_chunks: null,
  })
  expect(staged).toBe(0)
})

test.each([
  ['missing', (path: string) => unlink(path), 'file_missing'],
  ['truncated', (path: string) => truncate(path, 1_000), 'file_corrupt'],
  ['garbage', (path: string) => writeFile(path, 'x'.repeat(5_000)), 'file_corrupt'],
])('a staged file that is %s fails its job with its name, and other jobs go on', async (_, damage, code) => {
  let damaged = false
  const source = sourceOf({
    async onStaged(folder) {
      if (!damaged) await damage(join(folder, '0001.arrow'))
      damaged = true
    },
  })
  const sink = memorySink({ name: 'out' })
  const engine = engineOf({ source, sinks: [sink] })
  const failed = await finish(engine, await engine.create(allNumbers(sink)))
  expect(failed).toMatchObject({ status: 'failed', error_code: code })
  expect(failed.error_message).toContain('0001.arrow')
  expect(await finish(engine, await engine.create(allNumbers(sink)))).toMatchObject({ status: 'completed' })
})

test('cancelling while staging stops the statement and removes what it wrote', async () => {
  const begun = Promise.withResolvers<void>()
  const source = sourceOf({
    onStage: (_request, signal) => {
      begun.resolve()
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    },
  })
  const sink = memorySink({ name: 'out' })
  const engine = engineOf({ source, sinks: [sink] })
  const job = await engine.create(allNumbers(sink))
  await begun.promise
  expect(await engine.cancel(job.job_id)).toMatchObject({ cancel_requested: true })
  expect(await finish(engine, job)).toMatchObject({ status: 'cancelled', num_chunks: null, error_message: null })
  expect(await source.left()).toEqual([])
})

test('cancelling a job whose destination hangs ends it after the grace, and twice is once', async () => {
  const begun = Promise.withResolvers<void>()
  const sink = gatedSink('out', () => {
    begun.resolve()
    return new Promise(() => {})
  })
  const source = sourceOf()
  const engine = engineOf({ source, sinks: [sink] })
  const job = await engine.create(allNumbers(sink))
  await begun.promise
  await engine.cancel(job.job_id)
  await engine.cancel(job.job_id)
  expect(await finish(engine, job)).toMatchObject({ status: 'cancelled', chunks_left: 3 })
  expect(await source.left()).toEqual([])
  await expect(engine.cancel(job.job_id)).rejects.toMatchObject({ code: 'conflict' })
}, 20_000)

test('a job is cancelled through the store by an engine that does not own it', async () => {
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const sink = gatedSink('out', () => {
    begun.resolve()
    return gate.promise
  })
  const owner = engineOf({ sinks: [sink] })
  const other = engineOf({ sinks: [sink], takeOver: false })
  const job = await owner.create(allNumbers(sink))
  await begun.promise
  await other.cancel(job.job_id)
  gate.resolve()
  expect(await finish(other, job)).toMatchObject({ status: 'cancelled' })
})

test('what is closed in the middle goes on in the next engine, and nothing is lost', async () => {
  const sent: number[] = []
  const enough = Promise.withResolvers<void>()
  let open = false
  const sink = gatedSink('out', async (batch, signal) => {
    if (!open && sent.length >= 5_000) {
      enough.resolve()
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    sent.push(
      ...[
        ...Buffer.from(batch.bytes)
          .toString()
          .matchAll(/"id":(\d+)/g),
      ].map(match => Number(match[1])),
    )
  })
  const source = sourceOf()
  const first = engineOf({ source, sinks: [sink] })
  const job = await first.create(allNumbers(sink))
  await enough.promise
  await first.close()
  expect(await store.get(job.job_id)).toMatchObject({ status: 'transporting' })
  expect(sent.length).toBeLessThan(20_004)

  open = true
  const second = engineOf({ source, sinks: [sink] })
  expect(await finish(second, job)).toMatchObject({ status: 'completed' })
  // what was acknowledged in a span that was not yet settled as a whole comes again
  expect(new Set(sent).size).toBe(20_004)
  expect(sent.length - 20_004).toBeLessThanOrEqual(8_192)
})

test('an engine that takes nothing over goes on with its own job after the store was away', async () => {
  const sink = memorySink({ name: 'out' })
  let failures = 3
  const flaky: Store = {
    ...store,
    report: (...args) => (failures-- > 0 ? Promise.reject(new StoreError('the disk is away')) : store.report(...args)),
  }
  const engine = engineOf({ sinks: [sink], store: flaky, takeOver: false })
  const job = await engine.create(allNumbers(sink))
  expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
  expect(new Set(sink.rows().map(idOf)).size).toBe(20_004)
})

test('what is taken over can be limited to certain jobs', async () => {
  const sink = memorySink({ name: 'out' })
  const jobs = ['0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90', '0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a91']
  for (const jobId of jobs) {
    const destinations = [{ type: 'memory', name: 'out', uid: '3f0c6a52-7d1e-8b7a-9c43-0e8f6d2b1a90' }]
    const common = { organizationId: 'default', partitionKey: 'id', timeCreated: new Date().toISOString() }
    await store.create({ jobId, request: allNumbers(sink), destinations, ...common })
  }
  const engine = engineOf({ sinks: [sink], takeOver: [jobs[1]!] })
  expect(await finish(engine, await engine.get(jobs[1]!))).toMatchObject({ status: 'completed' })
  expect(await store.get(jobs[0]!)).toMatchObject({ status: 'staging', epoch: 0 })
})

test('jobs belong to their organization', async () => {
  const sink = memorySink({ name: 'out' })
  const engine = engineOf({ sinks: [sink] })
  const ours = await engine.create(allNumbers(sink), { organization_id: 'ours' })
  await finish(engine, await engine.create(allNumbers(sink), { organization_id: 'theirs' })).catch(() => {})
  expect(await engine.list({ organization_id: 'ours' })).toMatchObject([{ job_id: ours.job_id }])
  for (const scope of [{ organization_id: 'theirs' }, {}]) {
    await expect(engine.get(ours.job_id, scope)).rejects.toMatchObject({ code: 'not_found' })
    await expect(engine.cancel(ours.job_id, scope)).rejects.toMatchObject({ code: 'not_found' })
    await expect(statesOfScope(engine, ours.job_id, scope)).rejects.toMatchObject({ code: 'not_found' })
  }
})

async function statesOfScope(engine: Engine, jobId: string, scope: { organization_id?: string }): Promise<void> {
  for await (const _ of engine.watch(jobId, scope));
}

test('jobs are listed newest first, a page at a time', async () => {
  const sink = memorySink({ name: 'out' })
  const engine = engineOf({ sinks: [sink], source: sourceOf({ files: [] }) })
  const created: Job[] = []
  for (let index = 0; index < 3; index++) created.push(await finish(engine, await engine.create(allNumbers(sink))))
  const newest = created.toSorted((a, b) =>
    a.time_created === b.time_created ? (a.job_id < b.job_id ? 1 : -1) : a.time_created < b.time_created ? 1 : -1,
  )
  const first = await engine.list({ limit: 2 })
  expect(first.map(job => job.job_id)).toEqual(newest.slice(0, 2).map(job => job.job_id))
  const second = await engine.list({ limit: 2, before: first.at(-1)! })
  expect(second.map(job => job.job_id)).toEqual([newest[2]!.job_id])
})

test('watching ends when its signal aborts', async () => {
  const sink = gatedSink('out', () => new Promise(() => {}))
  const engine = engineOf({ sinks: [sink] })
  const job = await engine.create(allNumbers(sink))
  const stop = new AbortController()
  const watching = (async () => {
    for await (const { status } of engine.watch(job.job_id, { signal: stop.signal }))
      if (status === 'transporting') stop.abort()
  })()
  await expect(watching).rejects.toMatchObject({ name: 'AbortError' })
}, 20_000)

test('every wrong option is told at once', () => {
  const sink = memorySink({ name: 'out' })
  expect(() =>
    createEngine({ source: sourceOf(), store, sinks: [sink, { sink, maxUnsettledRows: 10 }], lanes: -1, leaseMs: 0 }),
  ).toThrow(
    expect.objectContaining({
      code: 'invalid_config',
      problems: [
        { path: 'sinks[1]', message: 'memory/out is registered twice' },
        {
          path: 'sinks[1].maxUnsettledRows',
          message: 'must be at least 16384: a span of 8192 rows for each of the unitsInFlight',
        },
        { path: 'leaseMs', message: 'must be a whole number, above 0 and at most 2147483647' },
        { path: 'lanes', message: 'must be a whole number, 0 or more' },
      ],
    }),
  )
})

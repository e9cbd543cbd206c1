import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { fileSink } from '../../src/sinks/file.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import type { Source } from '../../src/sources/source.ts'
import { memoryStore } from '../../src/stores/memory.ts'

const ROWS = 10_000

let dir: string
let instance: DuckDBInstance
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-dry-run-'))
  instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(
    `CREATE TABLE numbers AS SELECT i AS id, 'name ' || i % 7 AS name, (i * 1000003)::HUGEINT AS wide FROM range(${ROWS}) r(i)`,
  )
  connection.closeSync()
})
afterAll(async () => {
  instance.closeSync()
  await rm(dir, { recursive: true })
})

const memory = memorySink({ name: 'all' })
const request = {
  table: 'numbers',
  backfill_window: { start: 100, end: 5_100 },
  destinations: [{ type: 'memory', name: 'all' }],
}

function duckdb(): Source {
  return duckdbSource({
    database: instance,
    stagingDir: join(dir, 'staging'),
    tables: { numbers: { partitionKeys: ['id'] } },
  })
}

function engineOf(sinks: EngineOptions['sinks'], source = duckdb()): Engine {
  const engine = createEngine({ source, sinks, store: memoryStore(), lanes: 0 })
  onTestFinished(() => engine.close())
  return engine
}

describe('estimate', () => {
  it('counts the rows, and tells the SQL and what becomes of each column', async () => {
    const filter = { column: 'name', values: ['name 3', 'name 4', 'name 3'] }
    const estimate = await engineOf([memory]).estimate({ ...request, filter })
    const matching = Array.from({ length: 5_000 }, (_, index) => (index + 100) % 7).filter(n => n === 3 || n === 4)
    expect(estimate).toMatchObject({ rows: matching.length, files: 1 })
    expect(estimate.bytes).toBeGreaterThan(matching.length)
    expect(estimate.bytes).toBeLessThan(matching.length * 40)
    expect(estimate.columns).toEqual([
      { name: 'id', native: 'BIGINT', staged: 'id' },
      { name: 'name', native: 'VARCHAR', staged: 'name' },
      { name: 'wide', native: 'HUGEINT', staged: 'CAST("wide" AS DECIMAL(38, 0))' },
    ])
    expect(estimate.sql).toHaveLength(1)
    expect(estimate.sql[0]).toContain(`IN ('name 3', 'name 4', 'name 3')`)
    expect(await readdir(join(dir, 'staging'))).toEqual([])
  })

  it('writes no long list of values out', async () => {
    const filter = { column: 'name', values: Array.from({ length: 5_000 }, (_, index) => `name ${index}`) }
    const estimate = await engineOf([memory]).estimate({ ...request, filter })
    expect(estimate.rows).toBe(5_000)
    expect(estimate.sql[0]).toContain('IN (/* 5000 values */)')
  })

  it('of nothing is nothing', async () => {
    const estimate = await engineOf([memory]).estimate({ ...request, backfill_window: { start: -9, end: -1 } })
    expect(estimate).toMatchObject({ rows: 0, files: 0, bytes: 0 })
  })

  it('comes near what is staged', async () => {
    const whole = { ...request, backfill_window: { start: 0, end: ROWS } }
    const source = duckdb()
    let staged = 0
    const counting: Source = {
      ...source,
      async stage(...args) {
        const result = await source.stage(...args)
        staged = result.files.reduce((sum, { bytes }) => sum + bytes, 0)
        return result
      },
    }
    const engine = engineOf([memory], counting)
    const { bytes } = await engine.estimate(whole)
    for await (const _ of engine.watch((await engine.create(whole)).job_id));
    expect(bytes! / staged).toBeGreaterThan(0.5)
    expect(bytes! / staged).toBeLessThan(2)
  })

  it('is refused as a job would be, and where the source cannot tell', async () => {
    const unknown = engineOf([memory]).estimate({ ...request, table: 'letters' })
    await expect(unknown).rejects.toMatchObject({ code: 'invalid_request' })
    const { estimate: _, ...without } = duckdb()
    await expect(engineOf([memory], without).estimate(request)).rejects.toMatchObject({
      code: 'conflict',
      message: 'the source duckdb cannot tell what staging would come to',
    })
  })
})

describe('sample', () => {
  it('is a row as each destination would get it, and leaves nothing', async () => {
    const out = join(dir, 'out')
    const fresh = memorySink({ name: 'all' })
    const sinks = [fresh, fileSink({ name: 'out', dir: out })]
    const samples = await engineOf(sinks).sample({
      ...request,
      backfill_window: { start: 4_242, end: 4_243 },
      destinations: sinks.map(({ type, name }) => ({ type, name })),
    })
    const payload = '{"id":4242,"name":"name 0","wide":4242012726}'
    expect(samples).toEqual([
      { type: 'memory', name: 'all', payload, key: null, id: null },
      { type: 'file', name: 'out', payload, key: null, id: null },
    ])
    expect(fresh.texts()).toEqual([])
    expect(await readdir(join(dir, 'staging'))).toEqual([])
    expect(await readdir(dir)).toEqual(['staging'])
  })

  it('has the key and the name of the row as they would be sent', async () => {
    const keyed: Sink = {
      type: 'keyed',
      name: 'probed',
      open: async ({ probe }) => ({
        encoding: {
          kind: 'kafka-batch',
          partitions: 3,
          key: 'name',
          timestamp: 'now',
          headers: {},
          idHeader: 'row-id',
          compression: 'gzip',
        },
        asks: { ids: probe },
        async write() {},
        async close() {},
      }),
    }
    const engine = createEngine({
      source: duckdb(),
      sinks: [{ sink: keyed, uniqueKey: ['id'] }],
      store: memoryStore(),
      lanes: 0,
    })
    onTestFinished(() => engine.close())
    const [sample] = await engine.sample({ ...request, destinations: [{ type: 'keyed', name: 'probed' }] })
    expect(sample).toMatchObject({
      key: expect.stringMatching(/^name [0-6]$/),
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    expect(JSON.parse(sample!.payload)).toMatchObject({ name: sample!.key })
  })

  it('has the shape that the destination gives its rows', async () => {
    const rows = { columns: ['wide', { column: 'id', as: 'number' }], integers: 'string' } as const
    const samples = await engineOf([{ sink: memory, rows }]).sample({
      ...request,
      backfill_window: { start: 4_242, end: 4_243 },
    })
    expect(samples).toMatchObject([{ payload: '{"wide":"4242012726","number":"4242"}' }])
  })

  it('is none where no row matches', async () => {
    expect(await engineOf([memory]).sample({ ...request, backfill_window: { start: -9, end: -1 } })).toEqual([])
  })

  it('finds a row behind many that a source left for the engine to filter out', async () => {
    const source = duckdb()
    const leaving: Source = {
      ...source,
      async stage({ filter, limit: _, ...rest }, ...args) {
        const staged = await source.stage(rest, ...args)
        const { column, type, list } = filter!
        return { ...staged, residual: { filter: { column, type, values: list } } }
      },
    }
    const samples = await engineOf([memory], leaving).sample({
      ...request,
      backfill_window: { start: 0, end: ROWS },
      filter: { column: 'wide', values: ['9999029997'] },
    })
    expect(samples.map(({ payload }) => payload)).toEqual(['{"id":9999,"name":"name 3","wide":9999029997}'])
  })

  it('tells which destination would not take it', async () => {
    const failing: Sink = { type: 'failing', name: 'x', open: () => Promise.reject(new Error('no such thing')) }
    const sampling = engineOf([failing]).sample({ ...request, destinations: [{ type: 'failing', name: 'x' }] })
    await expect(sampling).rejects.toThrow('failing/x: unexpected error: no such thing')
  })
})

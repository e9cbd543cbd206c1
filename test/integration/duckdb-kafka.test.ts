import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { transfersSql, USDC } from '../../src/cli/demo/warehouse.ts'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'

const ROWS = 60_000

/** Two seconds a block, a hundred transfers a block: from the 101st block to the 500th. */
const WINDOW = { start: '2026-03-01T00:03:20', end: '2026-03-01T00:16:40Z' }

await describeWith('kafka', 'from a warehouse into Kafka', ({ brokers }) => {
  const topics = topicsOf(brokers)
  let dir: string
  let instance: DuckDBInstance
  let connection: DuckDBConnection

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-integration-'))
    instance = await DuckDBInstance.create(':memory:')
    connection = await instance.connect()
    await connection.run(transfersSql(ROWS))
  })

  afterAll(async () => {
    connection.closeSync()
    instance.closeSync()
    await rm(dir, { recursive: true, force: true })
  })

  async function backfill(
    topic: string,
    request: Partial<Parameters<Engine['create']>[0]>,
    options: Partial<EngineOptions> = {},
  ): Promise<Job[]> {
    const store = sqliteStore({ path: join(dir, `${topic}.sqlite`) })
    const stagingDir = join(dir, topic)
    const engine = createEngine({
      source: duckdbSource({
        database: instance,
        stagingDir,
        tables: {
          'base.assets.erc20_token_transfers': {
            relation: 'erc20_token_transfers',
            partitionKeys: ['block_timestamp', 'block_number'],
          },
        },
      }),
      sinks: [kafkaSink({ name: 'transfers', brokers, topic, key: 'token_address' })],
      store,
      ...options,
    })
    try {
      const { job_id } = await engine.create({
        table: 'base.assets.erc20_token_transfers',
        backfill_window: WINDOW,
        destinations: [{ type: 'kafka', name: 'transfers' }],
        ...request,
      })
      const states: Job[] = []
      for await (const job of engine.watch(job_id)) states.push(job)
      expect(await readdir(stagingDir).catch(() => [])).toEqual([])
      return states
    } finally {
      await engine.close()
      await store.close()
    }
  }

  /** What has to be in the topic, by another writer of JSON: values are compared, not text. */
  async function expectedRows(where: string): Promise<Map<string, Record<string, unknown>>> {
    const columns = (await connection.runAndReadAll('DESCRIBE erc20_token_transfers')).getRowObjectsJson()
    const cells = columns.map(({ column_name, column_type }) =>
      column_type === 'TIMESTAMP'
        ? `strftime("${column_name}", '%Y-%m-%dT%H:%M:%SZ') AS "${column_name}"`
        : `"${column_name}"`,
    )
    const sql = `SELECT to_json({${cells.map((cell, index) => `'${columns[index]!['column_name']}': ${cell.replace(/ AS .*/, '')}`).join(', ')}})::VARCHAR AS row
      FROM erc20_token_transfers WHERE ${where}`
    const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson().map(({ row }) => JSON.parse(String(row)))
    return new Map(rows.map(row => [String(row['unique_id']) + row['block_number'] + row['from_address'], row]))
  }

  test('every row of the window and the filter arrives, under its key and as it is in the warehouse', async () => {
    const topic = await topics.create({ partitions: 5 })
    const other = '0x0000000000000000000000000000000000000000'
    const states = await backfill(
      topic,
      { filter: { column: 'token_address', values: [USDC, other, USDC] } },
      { stagedFileBytes: 1 << 20 },
    )
    const where = `block_timestamp >= '2026-03-01 00:03:20' AND block_timestamp < '2026-03-01 00:16:40' AND token_address IN ('${USDC}')`
    const expected = await expectedRows(where)
    expect(expected.size).toBe(12_000)

    const records = await topics.read(topic)
    expect(records.length).toBe(expected.size)
    for (const { key, value } of records) {
      const row = JSON.parse(value)
      expect(row).toEqual(expected.get(String(row['unique_id']) + row['block_number'] + row['from_address']))
      expect(key).toBe(row['token_address'])
    }
    expect(new Set(records.map(({ value }) => value)).size).toBe(expected.size)
    // one key, one partition
    expect(new Set(records.map(({ partition }) => partition)).size).toBe(1)

    const left = states.map(job => job.chunks_left).filter(count => count !== null)
    expect(left[0]).toBe(states.at(-1)!.num_chunks)
    expect(left).toEqual([...left].sort((a, b) => b - a))
    expect(states.at(-1)).toMatchObject({ status: 'completed', chunks_left: 0 })
    expect(states.at(-1)!.destinations[0]).toMatchObject({ delivered: 12_000, filtered: 0, dead_lettered: 0 })
  })

  test('a whole table arrives spread over the partitions, each key in one of them and in order', async () => {
    const topic = await topics.create({ partitions: 3 })
    const states = await backfill(
      topic,
      { backfill_window: { partition_key: 'block_number', start: 0, end: 100_000_000 } },
      { delivery: { order: 'total' } },
    )
    expect(states.at(-1)).toMatchObject({ status: 'completed' })
    const records = await topics.read(topic)
    expect(records.length).toBe(ROWS)
    const partitionOf = new Map<string | null, number>()
    const lastOf = new Map<string | null, number>()
    for (const { key, partition, value } of records) {
      expect(partitionOf.get(key) ?? partition).toBe(partition)
      partitionOf.set(key, partition)
      const { block_number } = JSON.parse(value) as { block_number: number }
      expect(block_number).toBeGreaterThanOrEqual(lastOf.get(key) ?? 0)
      lastOf.set(key, block_number)
    }
    expect(new Set(partitionOf.values()).size).toBe(3)
    expect(
      new Set(records.map(({ value }) => (JSON.parse(value) as { unique_id: string; block_number: number }).unique_id))
        .size,
    ).toBeGreaterThan(ROWS / 3)
  })

  test('records carry the names of their rows: of the job, or of a unique key and so the same in another job', async () => {
    const topic = await topics.create({ partitions: 2 })
    const named = kafkaSink({ name: 'transfers', brokers, topic, key: 'token_address', idHeader: 'row-id' })
    const [byRow] = await backfill(topic, {}, { sinks: [named] })
    const uniqueKey = ['unique_id', 'block_number', 'from_address']
    for (let time = 0; time < 2; time++) await backfill(topic, {}, { sinks: [{ sink: named, uniqueKey }] })

    const valuesOf = new Map<string, string[]>()
    for (const { headers, value } of await topics.read(topic)) {
      const id = headers['row-id']!
      valuesOf.set(id, [...(valuesOf.get(id) ?? []), value])
    }
    const [own, shared] = [...valuesOf].reduce<[number, number]>(
      ([own, shared], [id, values]) => {
        if (id.startsWith(`${byRow!.job_id}-`)) expect(values).toHaveLength(1)
        else expect([id, values[1]]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), values[0]])
        return id.startsWith(byRow!.job_id) ? [own + 1, shared] : [own, shared + 1]
      },
      [0, 0],
    )
    expect([own, shared]).toEqual([40_000, 40_000])
  })

  test('markers stand before the first and behind the last record of every partition', async () => {
    const topic = await topics.create({ partitions: 3 })
    const sink = kafkaSink({ name: 'transfers', brokers, topic, key: 'token_address', headers: { from: 'test' } })
    const states = await backfill(topic, {}, { sinks: [{ sink, markers: true }] })
    expect(states.at(-1)).toMatchObject({ status: 'completed', error_message: null })
    const partitions = Map.groupBy(await topics.read(topic), ({ partition }) => partition)
    expect(partitions.size).toBe(3)
    for (const records of partitions.values()) {
      const [first, last] = [records.at(0)!, records.at(-1)!]
      expect([first, last].map(({ key, headers }) => [key, headers])).toEqual([
        [null, { from: 'test', 'millrace-marker': 'start' }],
        [null, { from: 'test', 'millrace-marker': 'end' }],
      ])
      expect(JSON.parse(first.value)).toMatchObject({ event: 'start', job_id: states[0]!.job_id, delivery: 0 })
      expect(JSON.parse(last.value)).toMatchObject({ event: 'end', delivered: 40_000, dead_lettered: 0 })
      expect(records.slice(1, -1).every(({ headers }) => !('millrace-marker' in headers))).toBe(true)
      expect(Math.abs(last.timestamp - Date.now())).toBeLessThan(600_000)
    }
  })

  test('a topic that does not exist fails the job before anything is staged', async () => {
    const topic = topics.newName()
    const states = await backfill(topic, {})
    expect(states.at(-1)).toMatchObject({ status: 'failed', error_code: 'destination_misconfigured', num_chunks: null })
    expect(states.at(-1)!.error_message).toContain(topic)
    expect(await topics.exists(topic)).toBe(false)
  })
})

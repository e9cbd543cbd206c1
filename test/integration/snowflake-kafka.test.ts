import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TRANSFERS_RELATION, transfersSql, USDC } from '../../src/cli/demo/warehouse.ts'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import { snowflakeSource } from '../../src/sources/snowflake.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { describeWith } from '../servers/need.ts'
import { type SnowflakeServer, startSnowflake } from '../servers/snowflake/server.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'

const TABLE = 'base.assets.erc20_token_transfers'
const TOPIC = 'base-usdc-transfers-backfill'
const ROWS = 20_000

const TYPES = {
  FROM_ADDRESS: 'VARCHAR(16777216)',
  TO_ADDRESS: 'VARCHAR(16777216)',
  TOKEN_ADDRESS: 'VARCHAR(16777216)',
  TOKEN_NAME: 'VARCHAR(16777216)',
  TOKEN_SYMBOL: 'VARCHAR(16777216)',
  RAW_AMOUNT_STR: 'VARCHAR(16777216)',
  RAW_AMOUNT: 'FLOAT',
  AMOUNT_STR: 'VARCHAR(16777216)',
  AMOUNT: 'FLOAT',
  USD_AMOUNT: 'FLOAT',
  USD_EXCHANGE_RATE: 'FLOAT',
  TRANSACTION_FROM_ADDRESS: 'VARCHAR(16777216)',
  TRANSACTION_TO_ADDRESS: 'VARCHAR(16777216)',
  TRANSACTION_HASH: 'VARCHAR(16777216)',
  TRANSACTION_INDEX: 'NUMBER(38,0)',
  LOG_INDEX: 'NUMBER(38,0)',
  BLOCK_TIMESTAMP: 'TIMESTAMP_NTZ(9)',
  BLOCK_NUMBER: 'NUMBER(38,0)',
  BLOCK_HASH: 'VARCHAR(16777216)',
  UNIQUE_ID: 'VARCHAR(16777216)',
  _CREATED_AT: 'TIMESTAMP_LTZ(9)',
  _UPDATED_AT: 'TIMESTAMP_TZ(9)',
}

/** Two seconds a block, a hundred transfers a block: from the 11th block to the 150th. */
const REQUEST = {
  job_name: 'USDC transfers on Base - Mar 2026',
  table: TABLE,
  backfill_window: { partition_key: 'block_timestamp', start: '2026-03-01T00:00:20', end: '2026-03-01T00:05:00' },
  filter: { column: 'token_address', values: [USDC] },
  destinations: [{ type: 'kafka', name: TOPIC }],
  static_egress_ip: false,
}
const DELIVERED = 4_200

await describeWith('kafka', 'from Snowflake into Kafka, with every row as it is in the table,', ({ brokers }) => {
  const topics = topicsOf(brokers)
  let dir: string
  let server: SnowflakeServer
  let expected: string[]

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-snowflake-kafka-'))
    server = await startSnowflake()
    server.accounts.users.set('BACKFILLER', { password: 'open sesame' })
    server.stages.create('OPS.MILLRACE.EXPORTS', 'INTERNAL NO CSE')
    const query = transfersSql(ROWS).replace(`CREATE TABLE ${TRANSFERS_RELATION} AS`, '')
    await server.warehouse.create(TABLE.toUpperCase(), TYPES, query)
    expected = await expectedRows(server)
  })

  afterAll(async () => {
    await server.stop()
    await rm(dir, { recursive: true, force: true })
  })

  function engineInto(topic: string): Engine {
    return createEngine({
      source: snowflakeSource({
        connection: { ...server.connection, username: 'backfiller', password: 'open sesame' },
        stage: '@ops.millrace.exports/backfills',
        tables: { [TABLE]: { partitionKeys: ['block_timestamp'] } },
      }),
      sinks: [kafkaSink({ name: TOPIC, brokers, topic, key: 'token_address' })],
      store: sqliteStore({ path: join(dir, `${topic}.sqlite`) }),
      stagedFileBytes: 100_000,
      keepStagedMs: { failed: 0 },
    })
  }

  async function ended(engine: Engine, jobId: string): Promise<Job> {
    let last: Job | undefined
    for await (const job of engine.watch(jobId)) last = job
    return last!
  }

  async function requireDelivered(topic: string, job: Job): Promise<void> {
    expect(job).toMatchObject({ status: 'completed', error_message: null })
    expect(job.num_chunks).toBeGreaterThan(3)
    expect(job.destinations[0]).toMatchObject({ delivered: DELIVERED, filtered: 0, dead_lettered: 0 })
    const records = await topics.read(topic)
    expect(records.every(({ key }) => key === USDC)).toBe(true)
    const rows = records.map(({ value }) => JSON.stringify(JSON.parse(value))).toSorted()
    expect(rows.length).toBe(expected.length)
    for (const [index, row] of rows.entries()) expect(row).toBe(expected[index])
  }

  async function requireEmptyStage(): Promise<void> {
    expect(await server.stages.list(server.stages.read('@"OPS"."MILLRACE"."EXPORTS"/'))).toEqual([])
  }

  const UNLOAD = /query-request .*COPY INTO/

  test.each<[string, () => void]>([
    ['when nothing happens', () => {}],
    ['when the token expires before the unload', () => server.faults.request('x', UNLOAD, 'expired')],
    ['when it expires while the unload runs', () => server.faults.request('x', /GET \/monitoring/, 'expired')],
    ['when it expires while files are read', () => server.faults.request('x', /PRESIGNED/, 'expired', 2)],
    [
      'when Snowflake answers 5xx',
      () => {
        server.faults.request('x', UNLOAD, 503)
        server.faults.request('x', /GET \/monitoring/, 500, 2)
        server.faults.request('x', /PRESIGNED/, 502)
      },
    ],
    ['when the unload breaks down and leaves files', () => server.faults.unload('x', 'incident', 2)],
    ['when the connection is lost behind the submission', () => server.faults.request('x', UNLOAD, 'drop-after')],
    ['when it is lost while the unload runs', () => server.faults.request('x', /GET \/monitoring/, 'drop', 2)],
    ['when URLs expire', () => server.faults.body('x', 'expired')],
    ['when the store is too busy', () => server.faults.body('x', 503, 3)],
    ['when bodies are cut off', () => server.faults.body('x', 'truncated', 3)],
    ['when bodies are too short', () => server.faults.body('x', 'short', 2)],
    ['when bodies are slow', () => server.faults.body('x', 'slow', 5)],
  ])('%s', async (name, arm) => {
    const topic = await topics.create({ partitions: 3 })
    const happened = server.faults.happened.length
    arm()
    const engine = engineInto(topic)
    try {
      const { job_id } = await engine.create(REQUEST)
      await requireDelivered(topic, await ended(engine, job_id))
    } finally {
      await engine.close()
    }
    if (!name.includes('nothing')) expect(server.faults.happened.length).toBeGreaterThan(happened)
    await requireEmptyStage()
  })

  test('when the unload is killed and the job retried', async () => {
    const topic = await topics.create({ partitions: 3 })
    server.faults.unload('x', 'killed', 2)
    const engine = engineInto(topic)
    try {
      const { job_id } = await engine.create(REQUEST)
      const failed = await ended(engine, job_id)
      expect(failed).toMatchObject({ status: 'failed', error_code: 'source_failed' })
      expect(failed.error_message).toContain('Snowflake reports 000604')
      await requireEmptyStage()
      await engine.retry(job_id)
      await requireDelivered(topic, await ended(engine, job_id))
    } finally {
      await engine.close()
    }
    await requireEmptyStage()
  })

  test('when the engine is closed while the unload runs, and another goes on', async () => {
    const topic = await topics.create({ partitions: 3 })
    const held = Promise.withResolvers<void>()
    server.faults.unload('x', held.promise)
    const first = engineInto(topic)
    const { job_id } = await first.create(REQUEST)
    const unloads = () => server.queries.all().filter(({ sql, tag }) => sql.startsWith('COPY') && tag.includes(job_id))
    await expect.poll(() => unloads().length).toBe(1)
    await first.close()
    const second = engineInto(topic)
    try {
      held.resolve()
      await requireDelivered(topic, await ended(second, job_id))
      expect(unloads()).toHaveLength(1)
    } finally {
      await second.close()
    }
    await requireEmptyStage()
  })
})

/** By another writer of JSON, in order of their text: values are compared, not how they are written. */
async function expectedRows({ warehouse }: SnowflakeServer): Promise<string[]> {
  const cells = Object.entries(TYPES).map(([name, type]) => {
    const cell = type.startsWith('TIMESTAMP') ? `strftime("${name}", '%Y-%m-%dT%H:%M:%SZ')` : `"${name}"`
    const number = type.startsWith('NUMBER') ? `CAST(${cell} AS BIGINT)` : cell
    return `'${name.toLowerCase()}': ${number}`
  })
  const sql = `SELECT to_json({${cells.join(', ')}})::VARCHAR AS row FROM "BASE"."ASSETS"."ERC20_TOKEN_TRANSFERS"
    WHERE "BLOCK_TIMESTAMP" >= '2026-03-01 00:00:20' AND "BLOCK_TIMESTAMP" < '2026-03-01 00:05:00' AND "TOKEN_ADDRESS" = '${USDC}'`
  const rows = await warehouse.connected(async connection => (await connection.runAndReadAll(sql)).getRows())
  expect(rows.length).toBe(DELIVERED)
  return rows.map(([row]) => JSON.stringify(JSON.parse(String(row)))).toSorted()
}

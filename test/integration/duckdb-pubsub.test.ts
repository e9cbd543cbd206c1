import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { StoredDeadLetter } from '../../src/core/dead-letters.ts'
import { createEngine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { pubsubSink } from '../../src/sinks/pubsub.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { describeWith } from '../servers/need.ts'
import { PROJECT, topicsAt } from '../sinks/pubsub/topics.ts'

const ROWS = 30_000
const TO = { type: 'pubsub', name: 'things' }
/** Over what one message may have. */
const LARGE = 12_345

await describeWith('pubsub', 'from a warehouse into Pub/Sub', async facts => {
  const topics = await topicsAt(facts)
  let dir: string
  let instance: DuckDBInstance

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-pubsub-'))
    instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    await connection.run(`CREATE TABLE things AS SELECT id, 'key ' || (id % 50) AS origin,
      repeat('x', CASE WHEN id = ${LARGE} THEN 11000000 ELSE 3 END) AS note FROM range(${ROWS}) rows(id)`)
    connection.closeSync()
  })

  afterAll(async () => {
    instance.closeSync()
    await rm(dir, { recursive: true, force: true })
    await topics.close()
  })

  async function backfill(
    topic: string,
    options: Partial<EngineOptions> = {},
  ): Promise<{ job: Job; letters: StoredDeadLetter[] }> {
    const sink = pubsubSink({
      name: TO.name,
      topic,
      projectId: PROJECT,
      apiEndpoint: facts.host,
      orderingKey: 'origin',
      idAttribute: 'row',
    })
    const engine = createEngine({
      source: duckdbSource({
        database: instance,
        stagingDir: join(dir, topic),
        tables: { things: { partitionKeys: ['id'] } },
      }),
      sinks: [{ sink, maxDeadLetters: 1 }],
      store: memoryStore(),
      ...options,
    })
    try {
      const window = { partition_key: 'id', start: 0, end: ROWS }
      const { job_id } = await engine.create({ table: 'things', backfill_window: window, destinations: [TO] })
      for await (const _ of engine.watch(job_id));
      const letters: StoredDeadLetter[] = []
      for await (const letter of engine.deadLetters(job_id)) letters.push(letter)
      return { job: await engine.get(job_id), letters }
    } finally {
      await engine.close()
    }
  }

  test('every row arrives, and the one that is too large becomes a dead letter', async () => {
    const topic = await topics.create()
    const { job, letters } = await backfill(topic)
    expect(job).toMatchObject({
      status: 'completed',
      error_message: null,
      destinations: [{ delivered: ROWS - 1, dead_lettered: 1 }],
    })
    expect(letters.map(({ cause }) => cause)).toEqual([expect.stringContaining('Pub/Sub takes 10000000')])
    expect(letters[0]!.payload).toContain(`"id":${LARGE},`)
    const read = await topics.read(topic, ROWS - 1)
    expect(read.length).toBe(ROWS - 1)
    const rows = new Map(read.map(({ data, orderingKey }) => [JSON.parse(data).id as number, { data, orderingKey }]))
    expect(rows.size).toBe(ROWS - 1)
    const changed = [...rows].filter(
      ([id, { data, orderingKey }]) =>
        data !== `{"id":${id},"origin":"key ${id % 50}","note":"xxx"}` || orderingKey !== `key ${id % 50}`,
    )
    expect(changed).toEqual([])
    expect(new Set(read.map(({ attributes }) => attributes['row'])).size).toBe(ROWS - 1)
  })

  test.skipIf(facts.control === null)(
    'the rows of a key arrive in order, also where requests fail and are made again (with a fake that takes orders)',
    async () => {
      const topic = await topics.create()
      await topics.addFault(topic, { code: 'UNAVAILABLE', times: 1 })
      await topics.addFault(topic, { code: 'RESOURCE_EXHAUSTED', contains: '"id":7777,', times: 2, retry_ms: 10 })
      await topics.addFault(topic, { code: 'INTERNAL', contains: '"id":20000,', times: 1, after: true })
      const { job } = await backfill(topic, { delivery: { order: 'total' } })
      expect(job).toMatchObject({ status: 'completed', destinations: [{ delivered: ROWS - 1 }] })
      const failed = (await topics.calls(topic)).filter(({ code }) => code !== 'OK')
      expect(failed.map(({ code }) => code).sort()).toEqual([
        'Internal',
        'ResourceExhausted',
        'ResourceExhausted',
        'Unavailable',
      ])
      const byKey = Map.groupBy(await topics.arrived(topic), ({ key }) => key)
      expect(byKey.size).toBe(50)
      for (const [key, messages] of byKey) {
        const ids = messages.map(({ data }) => JSON.parse(data).id as number)
        const first = ids.filter((id, at) => ids.indexOf(id) === at)
        expect([key, first]).toEqual([key, first.toSorted((a, b) => a - b)])
      }
      const distinct = new Set([...byKey.values()].flat().map(({ data }) => data))
      expect(distinct.size).toBe(ROWS - 1)
    },
  )

  test('a topic that does not exist fails the job before anything is staged', async () => {
    const { job } = await backfill('nowhere')
    expect(job).toMatchObject({ status: 'failed', error_code: 'destination_misconfigured', num_chunks: null })
    expect(job.error_message).toContain('"projects/tests/topics/nowhere" does not exist')
  })
})

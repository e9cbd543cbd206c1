import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { partitionOf } from '../../src/columnar/murmur2.ts'
import type { StoredDeadLetter } from '../../src/core/dead-letters.ts'
import { createEngine } from '../../src/core/engine.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'

const ROWS = 5_000
const TO = { type: 'kafka', name: 'things' }
/** Without a key, which a compacted topic refuses; and too large. */
const KEYLESS = [7, 4_321]
const LARGE = [8, 99]

await describeWith('kafka', 'rows that Kafka refused', ({ brokers }) => {
  const topics = topicsOf(brokers)
  let dir: string
  let instance: DuckDBInstance

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-redrive-kafka-'))
    instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    await connection.run(`CREATE TABLE things AS SELECT id,
      CASE WHEN id IN (${KEYLESS.join()}) THEN NULL ELSE 'é ' || (id % 10) END AS origin,
      repeat('x', CASE WHEN id IN (${LARGE.join()}) THEN 30000 ELSE 3 END) AS note FROM range(${ROWS}) rows(id)`)
    connection.closeSync()
  })

  afterAll(async () => {
    instance.closeSync()
    await rm(dir, { recursive: true, force: true })
  })

  test('arrive with key, partition, headers and name once the topic takes them, and the delivery is proven', async () => {
    const topic = await topics.create({
      partitions: 3,
      config: { 'cleanup.policy': 'compact', 'max.message.bytes': '20000' },
    })
    const store = sqliteStore({ path: join(dir, 'store.sqlite') })
    const sink = kafkaSink({
      ...{ name: TO.name, brokers, topic, key: 'origin', headers: { by: 'test' } },
      idHeader: 'id',
    })
    const engine = createEngine({
      source: duckdbSource({
        database: instance,
        stagingDir: join(dir, 'staging'),
        tables: { things: { partitionKeys: ['id'] } },
      }),
      sinks: [{ sink, maxDeadLetters: 10 }],
      store,
    })
    try {
      const { job_id } = await engine.create({
        table: 'things',
        backfill_window: { start: 0, end: ROWS },
        destinations: [TO],
      })
      for await (const _ of engine.watch(job_id));
      const job = await engine.get(job_id)
      expect(job).toMatchObject({ status: 'completed', destinations: [{ delivered: ROWS - 4, dead_lettered: 4 }] })
      const letters: StoredDeadLetter[] = []
      for await (const letter of engine.deadLetters(job_id)) letters.push(letter)
      expect(letters.map(({ row, key, cause }) => [row, key, cause])).toEqual([
        [7, null, expect.stringContaining('INVALID_RECORD')],
        [8, 'é 8', expect.stringContaining('max.message.bytes = 20000')],
        [99, 'é 9', expect.stringContaining('max.message.bytes = 20000')],
        [4_321, null, expect.stringContaining('INVALID_RECORD')],
      ])

      // which brings all that is not named back to its default
      await topics.setConfig(topic, 'max.message.bytes', '20000')
      expect(await engine.redrive(job_id, TO)).toEqual({ redriven: 2, refused: 2 })
      await topics.setConfig(topic, 'cleanup.policy', 'delete')
      expect(await engine.redrive(job_id, TO)).toEqual({ redriven: 2, refused: 0 })

      const records = await topics.read(topic)
      expect(records).toHaveLength(ROWS)
      const again = records.filter(({ headers }) => letters.some(({ row }) => headers['id'] === `${job_id}-0-${row}`))
      expect(again).toHaveLength(4)
      for (const { partition, key, value, headers } of again) {
        const letter = letters.find(({ payload }) => payload === value)!
        expect([key, headers]).toEqual([letter.key, { by: 'test', id: `${job_id}-0-${letter.row}` }])
        if (key !== null) expect(partition).toBe(partitionOf(Buffer.from(key), 3))
      }
      expect(await engine.verify(job_id, TO)).toMatchObject({ verdict: 'proven', found: ROWS, missing: 0 })
    } finally {
      await engine.close()
      await store.close()
    }
  })
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, onTestFinished, test } from 'vitest'
import { createEngine } from '../../src/core/engine.ts'
import { snsSink } from '../../src/sinks/sns.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { describeWith } from '../servers/need.ts'
import { failure, startRelay } from '../sinks/sns/relay.ts'
import { CREDENTIALS, createTopic } from '../sinks/sns/topics.ts'

const ROWS = 2_000
const TOO_LARGE = 1_234

await describeWith('moto', 'from a warehouse into SNS', ({ endpoint }) => {
  test('every row arrives, in the order of its group, through throttling; a row that is too large becomes a dead letter', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'millrace-duckdb-sns-'))
    const instance = await DuckDBInstance.create(':memory:')
    const store = memoryStore()
    const topic = await createTopic(endpoint, { fifo: true, queue: false })
    const relay = await startRelay(endpoint)
    let requests = 0
    // each row is there once all the same: SNS has not had what it throttled
    relay.rule = ({ action }) =>
      action === 'PublishBatch' && ++requests % 40 === 3 ? failure(400, 'Throttling', 'Rate exceeded') : undefined
    const connection = await instance.connect()
    await connection.run(`CREATE TABLE things AS SELECT id, 'city ' || (id % 7) AS city,
      repeat('x', CASE WHEN id = ${TOO_LARGE} THEN 300000 ELSE 3 END) AS note FROM range(${ROWS}) rows(id)`)
    connection.closeSync()
    const sink = snsSink({
      ...{ name: 'things', topicArn: topic.arn, endpoint: relay.url, credentials: CREDENTIALS },
      ...{ group: { column: 'city' }, attributes: { id: { column: 'id', type: 'Number' } } },
    })
    const engine = createEngine({
      source: duckdbSource({
        ...{ database: instance, stagingDir: join(dir, 'staging') },
        tables: { things: { partitionKeys: ['id'] } },
      }),
      sinks: [{ sink, maxDeadLetters: 1, order: 'key' }],
      store,
    })
    onTestFinished(async () => {
      await engine.close()
      await store.close()
      instance.closeSync()
      await rm(dir, { recursive: true, force: true })
    })

    const { job_id } = await engine.create({
      table: 'things',
      backfill_window: { start: 0, end: ROWS },
      destinations: [{ type: 'sns', name: 'things' }],
    })
    for await (const _ of engine.watch(job_id));
    expect(await engine.get(job_id)).toMatchObject({
      status: 'completed',
      destinations: [{ delivered: ROWS - 1, dead_lettered: 1 }],
    })
    for await (const { row, cause } of engine.deadLetters(job_id)) {
      expect(row).toBe(TOO_LARGE)
      expect(cause).toContain('is larger than the topic takes')
    }
    const rows = (await topic.published()).map(body => JSON.parse(body) as { id: number; city: string; note: string })
    expect(rows.length).toBe(ROWS - 1)
    const cities = Map.groupBy(rows, ({ city }) => city)
    expect(cities.size).toBe(7)
    for (const [city, members] of cities) {
      const number = Number(city.at(-1))
      const ids = Array.from({ length: ROWS }, (_, id) => id).filter(id => id % 7 === number && id !== TOO_LARGE)
      expect(members).toEqual(ids.map(id => ({ id, city, note: 'xxx' })))
    }
  })
})

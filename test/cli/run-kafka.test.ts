import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'
import { millrace } from './cli.ts'

await describeWith('kafka', 'millrace run', ({ brokers }) => {
  test('delivers a DuckDB table to a Kafka topic that a URL names', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
    onTestFinished(() => rm(cwd, { recursive: true }))
    await makeTable(join(cwd, 'events.db'))
    const topics = topicsOf(brokers)
    const topic = await topics.create({ partitions: 3 })

    const window = ['--table', 'events', '--partition-key', 'id', '--start', '0', '--end', '500']
    const url = `kafka://${brokers.join(',')}/${topic}?key=origin`
    const { code, stdout } = await millrace(['run', '--from', 'duckdb:events.db', ...window, '--to', url], { cwd })
    expect(stdout).toContain(`  kafka:${topic}: 500 rows `)
    expect(code).toBe(0)

    const records = await topics.read(topic)
    expect(records.length).toBe(500)
    const rows = records.map(({ key, value }) => ({ key, ...(JSON.parse(value) as { id: number; origin: string }) }))
    expect(rows.sort((a, b) => a.id - b.id)[321]).toEqual({ key: 'origin 1', id: 321, origin: 'origin 1' })
  })
})

async function makeTable(path: string): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run("CREATE TABLE events AS SELECT id, 'origin ' || (id % 10) AS origin FROM range(1000) rows(id)")
  connection.closeSync()
  instance.closeSync()
}

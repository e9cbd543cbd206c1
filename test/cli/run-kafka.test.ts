import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'
import { millrace } from './cli.ts'
import { createEvents, WITH_ORIGIN } from './events.ts'

await describeWith('kafka', 'millrace run', ({ brokers }) => {
  test('delivers a DuckDB table to a Kafka topic that a URL names', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
    onTestFinished(() => rm(cwd, { recursive: true }))
    await createEvents(cwd, 1_000, WITH_ORIGIN)
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

/** A short bench on every run of the tests: that the programs still run and deliver what they say. Its figures mean nothing. */
import { describe, expect, test } from 'vitest'
import { brokerAt } from '../../bench/broker.ts'
import {
  duckdbToJson,
  engineToKafka,
  engineToNull,
  engineToWebhook,
  preencoded,
  reader,
  readyBodies,
} from '../../bench/contestants.ts'
import { stagedTransfers } from '../../bench/data.ts'
import { startEndpoint } from '../../bench/endpoint.ts'
import { interleave, quotients, type Runs, rowsPerSecond, series, spread } from '../../bench/harness.ts'
import { describeWith } from '../servers/need.ts'

const ROWS = 40_000
const table = await stagedTransfers(ROWS)

describe('encoding', () => {
  test('a lane and DuckDB turn the same number of rows into JSON', async () => {
    const lane = engineToNull('lane', table, { lanes: 1, loop: true })

    const runs = await interleave(
      [lane, reader('reader', table, { checksums: true }), duckdbToJson('DuckDB', table, 'inside')],
      1,
    )

    expect(rowsOf(runs)).toEqual({ lane: ROWS, reader: ROWS, DuckDB: ROWS })
    expect(runs.get('lane')![0]!['reports']).toBeGreaterThan(0)
    expect(runs.get('lane')![0]!['loopP99Ms']).toBeGreaterThan(0)
    print('lane_over_duckdb', runs, 'lane', 'DuckDB')
  })
})

describe('Parquet to a webhook', () => {
  test.each(['json', 'braces'] as const)(
    'the engine and a client with ready bodies send the same rows: %s',
    async reads => {
      const endpoint = await startEndpoint(reads)
      const contestants = [
        engineToWebhook('engine', table, endpoint, { lanes: 1 }),
        readyBodies('ready', table, endpoint),
      ]

      const runs = await interleave(contestants, 1)

      expect(rowsOf(runs)).toEqual({ engine: ROWS, ready: ROWS })
      print('webhook_over_ready_bodies', runs, 'engine', 'ready')
      await endpoint.close()
    },
  )
})

await describeWith('kafka', 'Parquet to topic', ({ brokers }) => {
  test('the engine and a client with ready batches leave the same number of rows in their topics', async () => {
    const broker = brokerAt(brokers)
    const contestants = [engineToKafka('engine', table, broker, { lanes: 1 }), preencoded('ready', table, broker)]

    // asks the broker for the rows that each topic holds
    const runs = await interleave(contestants, 1)

    expect(rowsOf(runs)).toEqual({ engine: ROWS, ready: ROWS })
    print('end_to_end_over_preencoded', runs, 'engine', 'ready')
    await broker.close()
  })

  test('a topic that holds another number of rows than were acknowledged is an error', async () => {
    const broker = brokerAt(brokers)

    const nothing = broker.deliver(async () => ({ rows: 1, seconds: 1, cpuSeconds: 1, peakRssMb: 1 }))

    await expect(nothing).rejects.toThrow('the topic holds 0 rows, and 1 were acknowledged')
    await broker.close()
  })
})

function rowsOf(runs: Runs): Record<string, number> {
  return Object.fromEntries([...runs].map(([name, [run]]) => [name, run!.rows]))
}

function print(ratio: string, runs: Runs, above: string, below: string): void {
  const { median } = spread(quotients(series(runs, above, rowsPerSecond), series(runs, below, rowsPerSecond)))
  console.log(`short bench: ${ratio} ${median.toFixed(2)} (${ROWS} rows, one round: not a measurement)`)
}

import { expect, test } from 'vitest'
import type { PartResult } from '../../bench/parts/part.ts'
import { resultsOf, tableOf } from '../../bench/report.ts'

const machine = {
  date: '2026-11-23T00:00:00.000Z',
  cores: 2,
  processor: 'a processor',
  memory_gb: 8,
  node: 'v24.21.0',
  commit: 'abc1234',
  packages: { kafkajs: '2.2.4' },
}
const run = { rows: 1_000_000, seconds: 4, cpuSeconds: 5, peakRssMb: 300 }
const encode: PartResult = {
  runs: new Map([['one lane', [run, { ...run, seconds: 5 }]]]),
  ratios: { lane_over_duckdb: { minimum: 1.25, median: 1.5, maximum: 2 } },
  figures: { loop_p99_ms: { minimum: 1, median: 2, maximum: 3 } },
  peakRssMb: { 1000000: 301, 20000000: 302 },
}
const kafka: PartResult = { runs: new Map(), skipped: { kafka: 'there is no broker' } }

test('results hold the medians of the ratios, null for those that were not measured, and all spreads', () => {
  const results = resultsOf({ machine, rows: 1_000_000, rounds: 2, quick: false }, [encode, kafka])

  expect(results.ratios).toMatchObject({ lane_over_duckdb: 1.5, lanes2_over_lane1: null, cpu_over_parts: null })
  expect(Object.keys(results.ratios)).toHaveLength(10)
  expect(results.spreads['lane_over_duckdb']).toEqual({ minimum: 1.25, median: 1.5, maximum: 2 })
  expect(results.loop_p99_ms).toBe(2)
  expect(results.filter_probes_per_s).toBeNull()
  expect(results.peak_rss_mb).toEqual({ 1000000: 301, 20000000: 302 })
  expect(results.runs['one lane']).toEqual({
    rows: 1_000_000,
    rows_per_s: { minimum: 200_000, median: 225_000, maximum: 250_000 },
    cpu_s_per_million_rows: { minimum: 5, median: 5, maximum: 5 },
    peak_rss_mb: { minimum: 300, median: 300, maximum: 300 },
  })
})

test('the table names the machine, who ran and who could not', () => {
  const table = tableOf(resultsOf({ machine, rows: 1_000_000, rounds: 2, quick: false }, [encode, kafka]))

  expect(table).toContain('commit abc1234, 2 x a processor, 8 GB, Node v24.21.0')
  expect(table).toMatch(/^one lane +1,000,000 +225,000 \(200,000 to 250,000\) +5\.00 \(5\.00 to 5\.00\) +300$/m)
  expect(table).toMatch(/^lane_over_duckdb +1\.50 \(1\.25 to 2\.00\)$/m)
  expect(table).toMatch(/^peak_rss_mb, 20,000,000 rows +302$/m)
  expect(table).toContain('skipped: kafka: there is no broker')
})

/**
 * `npm run bench:check [-- --rounds N] [--update]`: whether the engine has become slower than `results/baseline.json` says.
 *
 * A short list, in at least five interleaved rounds: one lane against DuckDB, and, where there is a broker, Parquet to topic against
 * ready batches. Not two lanes against one, which says more about who else uses the machine. Compared are medians of ratios, which other machines share better than rates. A ratio that
 * is worse than its baseline by more than the tolerance ends the check with exit code 1. `--update` makes what was measured the baseline.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { startBroker } from './broker.ts'
import { DEFAULT_LANES, duckdbToJson, engineToKafka, engineToNull, preencoded } from './contestants.ts'
import { stagedTransfers } from './data.ts'
import { type Contestant, interleave, quotients, rowsPerSecond, type Spread, series, spread } from './harness.ts'
import type { RatioName } from './parts/part.ts'

const BASELINE = new URL('results/baseline.json', import.meta.url)
const FEWEST_ROUNDS = 5
const ROWS = 1_000_000
/** Less than this is noise where other work comes and goes; where there is much of it, so is more. */
const TOLERANCE = 0.2

interface Comparison {
  readonly ratio: RatioName
  readonly above: Contestant
  readonly below: Contestant
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: `${FEWEST_ROUNDS}` }, update: { type: 'boolean', default: false } },
})
const known = await readFile(BASELINE, 'utf8').catch(() => undefined)
if (known === undefined && !values.update) {
  console.error(`there is no ${BASELINE.pathname}: make it with --update, on a machine that does nothing else`)
  process.exit(2)
}
const baseline: Partial<Record<RatioName, number>> = JSON.parse(known ?? '{}')
const measured = await measure(Math.max(FEWEST_ROUNDS, Number(values.rounds)))
if (values.update) {
  const medians = Object.fromEntries(measured.map(([ratio, { median }]) => [ratio, Number(median.toFixed(3))]))
  await writeFile(BASELINE, `${JSON.stringify({ ...baseline, ...medians }, undefined, 2)}\n`)
}
let worse = 0
for (const [ratio, { minimum, median, maximum }] of measured) {
  const expected = baseline[ratio]
  const verdict = expected === undefined ? 'no baseline' : median < expected * (1 - TOLERANCE) ? 'WORSE' : 'good'
  if (verdict === 'WORSE') worse++
  const range = `${median.toFixed(2)} (${minimum.toFixed(2)} to ${maximum.toFixed(2)})`
  console.log(`${ratio}: ${range}, baseline ${expected ?? 'none'}: ${verdict}`)
}
if (worse > 0 && !values.update) {
  console.error(`${worse} of ${measured.length} ratios are worse than the baseline by more than ${TOLERANCE * 100} %`)
  process.exitCode = 1
}

async function measure(rounds: number): Promise<readonly (readonly [RatioName, Spread])[]> {
  const table = await stagedTransfers(ROWS)
  const alone = await compare(rounds, {
    ratio: 'lane_over_duckdb',
    above: engineToNull('null sink, one lane', table, { lanes: 1 }),
    below: duckdbToJson('DuckDB to_json', table, 'inside'),
  })
  const broker = await startBroker()
  if ('missing' in broker) {
    console.log(`end_to_end_over_preencoded: skipped: ${broker.missing}`)
    return [alone]
  }
  try {
    const above = engineToKafka('Parquet to topic', table, broker, { lanes: DEFAULT_LANES })
    const below = preencoded('ready batches to topic', table, broker)
    return [alone, await compare(rounds, { ratio: 'end_to_end_over_preencoded', above, below })]
  } finally {
    await broker.close()
  }
}

async function compare(rounds: number, { ratio, above, below }: Comparison): Promise<readonly [RatioName, Spread]> {
  const runs = await interleave([above, below], rounds, console.log)
  const rates = ({ name }: Contestant) => series(runs, name, rowsPerSecond)
  return [ratio, spread(quotients(rates(above), rates(below)))]
}

/** Decode and encode, with no destination: lanes against DuckDB, two lanes against one, what checksums and checkpoints cost. */
import { duckdbToJson, engineToNull, reader } from '../contestants.ts'
import { stagedFlights, stagedTransfers } from '../data.ts'
import { cpuPerMillion, interleave, quotients, type Runs, rowsPerSecond, series, spread } from '../harness.ts'
import { repeated } from '../staged-source.ts'
import type { Part } from './part.ts'

/** The last stretch, with one of two lanes still at work, would weigh too much in a short pass. */
const PASSES = 3
/** So many that checkpoints come to a share of the CPU that can be told from noise. */
const CHECKPOINT_STEPS = 10

const ONE_LANE = 'null sink, one lane'
const TWO_LANES = 'null sink, two lanes'
const MANY_CHECKPOINTS = `null sink, one lane, ${CHECKPOINT_STEPS} steps to a checkpoint`
const CHECKSUMS = 'reader, with checksums'
const NO_CHECKSUMS = 'reader, no checksums'
const DUCKDB_INSIDE = 'DuckDB to_json, kept inside'
const DUCKDB_STRINGS = 'DuckDB to_json, to strings'

export const encodePart: Part = async ({ rows, rounds, quick, say }) => {
  const once = await stagedTransfers(rows)
  const table = repeated(once, quick ? 1 : PASSES)
  const flights = quick ? undefined : await stagedFlights(rows)
  const contestants = [
    engineToNull(ONE_LANE, table, { lanes: 1 }),
    engineToNull(TWO_LANES, table, { lanes: 2 }),
    engineToNull(MANY_CHECKPOINTS, table, { lanes: 1, checkpointSteps: CHECKPOINT_STEPS }),
    // of DuckDB's two ways the one that it is faster in is the opponent
    duckdbToJson(DUCKDB_INSIDE, table, 'inside'),
    duckdbToJson(DUCKDB_STRINGS, once, 'strings'),
    reader(CHECKSUMS, table, { checksums: true }),
    reader(NO_CHECKSUMS, table, { checksums: false }),
    ...(flights
      ? [
          engineToNull(`flights, ${ONE_LANE}`, flights, { lanes: 1 }),
          duckdbToJson(`flights, ${DUCKDB_INSIDE}`, flights, 'inside'),
        ]
      : []),
  ]
  const runs = await interleave(contestants, rounds, say)
  const rates = (name: string) => series(runs, name, rowsPerSecond)
  const over = (above: string, below: string) => spread(quotients(rates(above), rates(below)))
  return {
    runs,
    ratios: {
      lane_over_duckdb: over(ONE_LANE, DUCKDB_INSIDE),
      lanes2_over_lane1: over(TWO_LANES, ONE_LANE),
      checkpoint_cpu_share: spread(checkpointShares(runs)),
    },
    figures: {
      lane_over_duckdb_to_strings: over(ONE_LANE, DUCKDB_STRINGS),
      checksums_over_none: over(CHECKSUMS, NO_CHECKSUMS),
      null_sink_cpu_s_per_million_rows: spread(series(runs, ONE_LANE, cpuPerMillion)),
      ...(flights ? { lane_over_duckdb_flights: over(`flights, ${ONE_LANE}`, `flights, ${DUCKDB_INSIDE}`) } : {}),
    },
    ...(flights ? {} : { skipped: { flights: quick ? 'left out of a quick run' : 'needs the package vega-datasets' } }),
  }
}

/**
 * What storing checkpoints costs, over all CPU. One report's cost is what many more of them cost, divided by how many more: in the
 * host's thread, in the store's and for the disk, which no profile sees in one place. A run without checkpoints would differ from
 * the usual one by less than two runs of the same do.
 */
function checkpointShares(runs: Runs): readonly number[] {
  const many = runs.get(MANY_CHECKPOINTS)!
  return runs.get(ONE_LANE)!.map((usual, round) => {
    const more = many[round]!
    const each = (more.cpuSeconds - usual.cpuSeconds) / (more['reports']! - usual['reports']!)
    return (each * usual['reports']!) / usual.cpuSeconds
  })
}

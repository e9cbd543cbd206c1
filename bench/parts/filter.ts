/** How many values a second a lane can look up in a large `IN` list. */
import type { FilterSettings } from '../cases/filter.ts'
import { type Contestant, interleave, rowsPerSecond, runNode, series, spread } from '../harness.ts'
import type { Part } from './part.ts'

const PROGRAM = new URL('../cases/filter.ts', import.meta.url)

export const filterPart: Part = async ({ rounds, quick, say }) => {
  const sizes = quick ? [10_000, 100_000] : [1_000_000, 10_000_000]
  const probes = quick ? 1 << 18 : 1 << 22
  const contestants = sizes.map(values => contestant(values, probes))
  const runs = await interleave(contestants, rounds, say)
  const [small, large] = contestants.map(({ name }) => spread(series(runs, name, rowsPerSecond)))
  // the large set is the hard one: it lies in no cache
  return { runs, figures: { filter_probes_per_s: large!, filter_probes_per_s_small_set: small! } }
}

function contestant(values: number, probes: number): Contestant {
  return {
    name: `IN list of ${values.toLocaleString('en')} values`,
    rows: probes,
    run: () => runNode(PROGRAM, { values, probes } satisfies FilterSettings),
  }
}

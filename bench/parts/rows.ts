/** What it costs that a destination gives its rows another shape: in the encoder, and by a function of the host's own. */
import type { RowOptions } from '../../src/core/row-options.ts'
import { shapeOf } from '../../src/core/row-options.ts'
import { reader } from '../contestants.ts'
import { type StagedTable, stagedTransfers } from '../data.ts'
import { cpuPerMillion, interleave, quotients, series, spread } from '../harness.ts'
import type { Part } from './part.ts'

const PLAIN = 'rows as they are'
const SHAPES: Readonly<Record<string, RowOptions>> = {
  'numbers as strings, no nulls': { nulls: 'omit', integers: 'string', decimals: 'string' },
  'structured CloudEvents': { cloudEvents: { type: 'com.example.transfer', source: '/transfers' } },
  transform: { transform: { module: new URL('../cases/row-transform.ts', import.meta.url).href, export: 'change' } },
}

export const rowsPart: Part = async ({ rows, rounds, say }) => {
  const table = await stagedTransfers(rows)
  const names = Object.keys(SHAPES)
  const contestants = [reader(PLAIN, table, { checksums: true }), ...names.map(name => shaped(name, table))]
  const runs = await interleave(contestants, rounds, say)
  const cpu = (name: string) => series(runs, name, cpuPerMillion)
  const costs = names.map(name => [`cpu of rows: ${name}, over ${PLAIN}`, spread(quotients(cpu(name), cpu(PLAIN)))])
  return { runs, figures: Object.fromEntries(costs) }
}

function shaped(name: string, table: StagedTable) {
  const shape = shapeOf(SHAPES[name]!, table.schema, { job: 'job' })!
  return reader(name, table, { checksums: true, shape })
}

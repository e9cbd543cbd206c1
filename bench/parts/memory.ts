/** Whether memory depends on the number of rows: the peak of a whole backfill, staging included, at two sizes, once each. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TRANSFERS } from '../../src/cli/demo/warehouse.ts'
import type { MemorySettings } from '../cases/memory.ts'
import { CACHE, MANY_TRANSFERS, warehouseOfMany } from '../data.ts'
import { type Contestant, interleave, quotients, runNode, series, spread } from '../harness.ts'
import type { Part } from './part.ts'

const PROGRAM = new URL('../cases/memory.ts', import.meta.url)
const LANES = 2

export const memoryPart: Part = async ({ rows, quick, say }) => {
  const times = quick ? 4 : 20
  const database = await warehouseOfMany(rows, times)
  const sizes = [rows, rows * times]
  const contestants = [contestant(rows, database, TRANSFERS), contestant(rows * times, database, MANY_TRANSFERS)]
  // a peak is no rate: a round more would cost minutes and tell little
  const runs = await interleave(contestants, 1, say)
  await rm(database)
  const [small, large] = contestants.map(({ name }) => series(runs, name, run => run.peakRssMb))
  return {
    runs,
    peakRssMb: Object.fromEntries(sizes.map((size, index) => [size, [small, large][index]![0]!])),
    figures: { peak_rss_large_over_small: spread(quotients(large!, small!)) },
  }
}

function contestant(rows: number, database: string, table: string): Contestant {
  const stagingDir = join(CACHE, `staging-${process.pid}`)
  const settings: MemorySettings = { database, table, stagingDir, lanes: LANES }
  const name = `whole backfill of ${rows.toLocaleString('en')} rows, two lanes`
  return { name, rows, run: () => runNode(PROGRAM, settings) }
}

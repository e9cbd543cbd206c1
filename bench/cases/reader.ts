/** A lane's work in this thread, without an engine around it: staged files to encoded batches, with and without the rows' checksums or a shape. */
import type { ReadPlan } from '../../src/columnar/read-plan.ts'
import { openUnitReader } from '../../src/columnar/reader.ts'
import { measured, print, settings } from '../child.ts'
import { pathsOf, type StagedTable } from '../data.ts'
import { planOf } from '../plan.ts'

export interface ReaderSettings {
  readonly table: StagedTable
  readonly warmup: StagedTable
  readonly changes: Pick<ReadPlan, 'checksums'> & Partial<Pick<ReadPlan, 'shape'>>
}

const { table, warmup, changes } = settings<ReaderSettings>()

await read(warmup)
print(await measured(() => read(table)))

async function read(table: StagedTable): Promise<number> {
  const paths = pathsOf(table)
  const reader = openUnitReader(
    planOf(table, changes),
    async chunk => ({ path: paths[chunk]! }),
    async () => Promise.reject(new Error('there is no filter')),
  )
  let rows = 0
  for (let span = await reader.next(); span; span = await reader.next()) {
    for (const batch of span.batches) {
      rows += batch.rows
      reader.release(batch.bytes)
    }
  }
  for (const batch of await reader.cut()) rows += batch.rows
  await reader.close()
  return rows
}

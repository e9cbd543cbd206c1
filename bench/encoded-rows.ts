import { openUnitReader } from '../src/columnar/reader.ts'
import { rowBytes } from '../src/sinks/sink.ts'
import { pathsOf, type StagedTable } from './data.ts'
import { planOf } from './plan.ts'

/** The first `count` rows of a table as the engine encodes them, for clients that are measured with rows that are ready. */
export async function encodedRows(table: StagedTable, count: number): Promise<readonly Buffer<ArrayBuffer>[]> {
  const paths = pathsOf(table)
  const reader = openUnitReader(
    planOf(table),
    async chunk => ({ path: paths[chunk]! }),
    async () => Promise.reject(new Error('there is no filter')),
  )
  const rows: Buffer<ArrayBuffer>[] = []
  while (rows.length < count) {
    const span = await reader.next()
    for (const batch of span?.batches ?? (await reader.cut()))
      for (let row = 0; row < batch.rows; row++) rows.push(Buffer.from(rowBytes(batch, row)))
    if (!span) break
  }
  await reader.close()
  if (rows.length < count) throw new Error(`the table has only ${rows.length} rows of ${count}`)
  return rows.slice(0, count)
}

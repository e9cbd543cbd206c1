import type { ReadPlan } from '../src/columnar/read-plan.ts'
import { formatOf, MOST_SPAN_ROWS } from '../src/core/plan.ts'
import type { StagedTable } from './data.ts'

/** How a lane would be told to read all of the table, for a sink that asks for nothing. */
export function planOf({ files }: StagedTable, changes: Partial<ReadPlan> = {}): ReadPlan {
  return {
    chunks: files.map((file, chunk) => ({
      chunk,
      name: file.name,
      format: formatOf(file),
      bytes: file.bytes,
      fromRow: 0,
    })),
    spanRows: MOST_SPAN_ROWS,
    encoding: { kind: 'rows' },
    batchRows: 10_000,
    batchBytes: 1 << 20,
    stableBatches: false,
    rowGroupBudgetBytes: 256 << 20,
    checksums: true,
    ...changes,
  }
}

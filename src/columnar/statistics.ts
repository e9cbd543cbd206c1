/** What the footer of a Parquet file says about the values of a column in a row group. */
import type { ParquetFooter } from './parquet-footer.ts'
import type { ColumnRange } from './spans.ts'

/**
 * Bounds of a top-level column's values in row group number `group`. Undefined where there are none, or none that can be
 * relied on.
 */
export function columnRange(_footer: ParquetFooter, _group: number, _column: string): ColumnRange | undefined {
  return undefined
}

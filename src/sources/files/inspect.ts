/** What a file says of itself, without its rows: columns, how many rows, and between which values they lie. */
import { arrowMessages, decoding } from '../../columnar/arrow-messages.ts'
import type { Column } from '../../columnar/column-type.ts'
import { openFileBytes } from '../../columnar/file-bytes.ts'
import { arrowColumns, parquetColumns } from '../../columnar/file-columns.ts'
import { type ParquetFooter, readFooter } from '../../columnar/parquet-footer.ts'
import type { OpenFile, PlannedChunk } from '../../columnar/read-plan.ts'
import type { ColumnRange } from '../../columnar/spans.ts'
import { columnRange } from '../../columnar/statistics.ts'

export interface Inspected {
  readonly columns: readonly Column[]
  /** Undefined for Arrow IPC, which would have to be read from message to message. */
  readonly rows?: number
  /** Of the columns that were asked for, as far as the file has bounds of them. */
  readonly ranges: ReadonlyMap<string, ColumnRange>
}

export async function inspectFile(
  chunk: PlannedChunk,
  open: OpenFile,
  ranged: readonly string[],
  signal: AbortSignal,
): Promise<Inspected> {
  const file = await openFileBytes(chunk, open, signal)
  try {
    if (chunk.format !== 'parquet') {
      for await (const { message } of arrowMessages(chunk, file)) {
        if (message.isSchema())
          return { columns: arrowColumns(decoding(chunk.name, () => message.header())), ranges: new Map() }
      }
      return { columns: [], rows: 0, ranges: new Map() }
    }
    const footer = await readFooter(chunk, file)
    const ranges = ranged.flatMap(column => {
      const range = fileRange(footer, column)
      return range ? [[column, range] as const] : []
    })
    return { columns: parquetColumns(footer), rows: footer.num_rows, ranges: new Map(ranges) }
  } finally {
    await file.close()
  }
}

/** Over all row groups. Undefined where any has no bounds. */
function fileRange(footer: ParquetFooter, column: string): ColumnRange | undefined {
  let whole: ColumnRange | undefined
  for (const [index, { num_rows }] of footer.row_groups.entries()) {
    if (num_rows === 0) continue
    const range = columnRange(footer, index, column)
    if (!range) return undefined
    whole = whole ? union(whole, range) : range
  }
  return whole
}

function union({ type, values: one }: ColumnRange, { values: other }: ColumnRange): ColumnRange {
  if (one === 'none') return { type, values: other }
  if (other === 'none') return { type, values: one }
  const min = Buffer.compare(one.min, other.min) <= 0 ? one.min : other.min
  const max = Buffer.compare(one.max, other.max) >= 0 ? one.max : other.max
  return { type, values: { min, max } }
}

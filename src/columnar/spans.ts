/** How the rows of a staged file fall into spans, whatever the file's format. */
import type { RecordBatch } from 'apache-arrow'
import type { Column, ColumnType } from './column-type.ts'
import { corrupt } from './file-errors.ts'
import type { PlannedChunk } from './read-plan.ts'

/** A row group or a record batch of a file: as many rows as are decoded together. */
export interface Part {
  readonly rows: number
  /** Those of the file, the same array for all of its parts. */
  columns?(): readonly Column[]
  /** What the file says about the values of a column in this part; undefined where it says nothing that can be relied on. */
  range?(column: string): ColumnRange | undefined
  /** From row `offset` of the part on, in slices of `spanRows`; the last one may be shorter. */
  decode(offset: number): AsyncGenerator<Slice>
}

export interface ColumnRange {
  /** How the file holds the values; a predicate may compare them as another type. */
  readonly type: ColumnType
  /** `none`: every value is NULL. */
  readonly values: ValueRange | 'none'
}

/** Bounds of a column's values other than NULL, as keys (`value-keys.ts`); they need not be values themselves. */
export interface ValueRange {
  readonly min: Uint8Array
  readonly max: Uint8Array
}

export interface Slice {
  readonly rows: number
  /**
   * Hands out the rows once. `consume` must be done with them when it returns: they are views over memory that moves or
   * is freed at any later time. A function and not a property for that reason.
   */
  use<T>(consume: (batch: RecordBatch) => T): T
}

export interface Span extends Slice {
  /** Number of the first row in the chunk. */
  readonly row: number
  readonly last: boolean
  /** No row of it is wanted: it was not read and has no batch. */
  readonly skipped: boolean
}

/** Whether no row of a part can be wanted. */
export type Prune = (part: Part) => boolean

/**
 * Spans from the chunk's watermark on. No span crosses a part, and parts without rows have none; so the spans depend on the
 * file and on `spanRows` alone. Where no row is left to read, one span of 0 rows says so.
 */
export async function* spansOf(
  chunk: PlannedChunk,
  spanRows: number,
  parts: AsyncGenerator<Part>,
  prune?: Prune,
): AsyncGenerator<Span> {
  try {
    yield* spansFrom(chunk, spanRows, parts, prune)
  } finally {
    await parts.return(undefined)
  }
}

async function* spansFrom(
  chunk: PlannedChunk,
  spanRows: number,
  parts: AsyncGenerator<Part>,
  prune: Prune | undefined,
): AsyncGenerator<Span> {
  const { name, fromRow } = chunk
  let row = 0
  let part = await nextPart(parts)
  for (; part && row + part.rows <= fromRow; part = await nextPart(parts)) row += part.rows
  if (!part) {
    if (row < fromRow) throw corrupt(name, `has ${row} rows, and reading was to go on at row ${fromRow}`)
    yield { row, rows: 0, last: true, skipped: true, use: noRows }
  }
  while (part) {
    const end: number = row + part.rows
    const offset = Math.max(0, fromRow - row)
    if (offset % spanRows !== 0)
      throw corrupt(name, `has no span that begins at row ${fromRow}, where reading was to go on`)
    row += offset
    let next: Part | undefined
    const skipped = prune?.(part) ?? false
    const slices = skipped ? unread(part.rows - offset, spanRows) : part.decode(offset)
    for await (const slice of slices) {
      if (slice.rows !== Math.min(spanRows, end - row))
        throw corrupt(name, `does not have the rows that it says it has`)
      // not earlier: looking for the next part of a stream reads past the present one
      if (row + slice.rows === end) next = await nextPart(parts)
      yield { ...slice, row, skipped, last: row + slice.rows === end && next === undefined }
      row += slice.rows
    }
    if (row !== end) throw corrupt(name, 'does not have the rows that it says it has')
    part = next
  }
}

async function nextPart(parts: AsyncGenerator<Part>): Promise<Part | undefined> {
  for (;;) {
    const { done, value } = await parts.next()
    if (done) return undefined
    if (value.rows > 0) return value
  }
}

function* unread(rows: number, spanRows: number): Generator<Slice> {
  for (let left = rows; left > 0; left -= spanRows) yield { rows: Math.min(left, spanRows), use: noRows }
}

function noRows(): never {
  throw new Error('a span that was skipped has no batch')
}

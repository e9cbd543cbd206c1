/**
 * Stable names of rows. `<job>-<chunk>-<row>`: the same whenever this job sends the row. Or, of a unique key, 32 hex digits: two
 * XXH64 (seeds 0 and 1) of the table's name and the key's values, each behind its length in four bytes, least significant first;
 * NULL is the length 2^32 - 1 and nothing. So two jobs over the same rows give them the same ids. At a billion rows, two get the
 * same of 128 bits with a chance of 10^-21. Nobody is kept from making such a pair on purpose.
 */
import { wideHash } from './checksum.ts'
import type { RowIds } from './read-plan.ts'

const NO_VALUE = 0xffffffff

/** `texts`: of the key's columns, in their order. */
export function rowId(ids: RowIds, chunk: number, row: number, texts: readonly (string | null)[]): string {
  if ('job' in ids) return `${idPrefix(ids, chunk).toString()}${row}`
  return wideHash(Buffer.concat([idPrefix(ids, chunk), ...texts.map(withLength)]))
}

/** The columns that ids are made of. */
export function idColumns(ids: RowIds | undefined): readonly string[] {
  return ids && 'columns' in ids ? ids.columns : []
}

/** What the ids of a chunk begin with, or what is hashed for them. */
export function idPrefix(ids: RowIds, chunk: number): Buffer {
  return 'job' in ids ? Buffer.from(`${ids.job}-${chunk}-`) : withLength(ids.table)
}

/** Most bytes of an id. */
export function mostIdBytes(ids: RowIds, chunk: number): number {
  return 'job' in ids ? idPrefix(ids, chunk).length + MOST_ROW_DIGITS : 32
}

const MOST_ROW_DIGITS = 10

function withLength(text: string | null): Buffer {
  const bytes = Buffer.from(text ?? '')
  const length = Buffer.alloc(4)
  length.writeUInt32LE(text === null ? NO_VALUE : bytes.length)
  return Buffer.concat([length, bytes])
}

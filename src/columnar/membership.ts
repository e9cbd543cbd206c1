/** Which rows of a column have a value that is in a set. */
import { type Data, DataType, type Field } from 'apache-arrow'
import { BLOCK_KEYS, type ByteSet } from './byte-set.ts'
import { keyReader, type ReadKeys } from './column-keys.ts'
import type { ColumnType } from './column-type.ts'
import { checkBuffers, nullTest } from './render/buffers.ts'
import { renderColumn } from './render.ts'
import { keyOf, wholeBytes } from './value-keys.ts'

/** Of `rows`, in their order. `type`: of the set's values; the column's has been found to be comparable. */
export function rowsInSet(set: ByteSet, type: ColumnType, field: Field, data: Data, rows: Uint32Array): Uint32Array {
  checkBuffers(field.name, data)
  const isNull = nullTest(data)
  const candidates = isNull ? rows.filter(row => !isNull(row)) : rows
  if (DataType.isDictionary(data.type)) return dictionaryRows(set, type, field, data, candidates)
  const read = keyReader(data, wholeBytes(type))
  if (read) return probedRows(set, read, candidates)
  return candidates.filter(textTest(set, type, field, data))
}

function probedRows(set: ByteSet, read: ReadKeys, rows: Uint32Array): Uint32Array {
  const found = new Uint8Array(BLOCK_KEYS)
  const selected = new Uint32Array(rows.length)
  let count = 0
  for (let from = 0; from < rows.length; from += BLOCK_KEYS) {
    const block = Math.min(BLOCK_KEYS, rows.length - from)
    set.probe(read(rows, from, block), block, found)
    for (let i = 0; i < block; i++) if (found[i] === 1) selected[count++] = rows[from + i]!
  }
  return selected.subarray(0, count)
}

/** Each value of the dictionary that a row has is looked up once. Its pieces follow one another. */
function dictionaryRows(set: ByteSet, type: ColumnType, field: Field, data: Data, rows: Uint32Array): Uint32Array {
  const indexes: ArrayLike<number | bigint> = data.values
  const wanted = new Uint8Array(data.dictionary?.length ?? 0)
  for (const row of rows) wanted[Number(indexes[row])] = 1
  const found = new Uint8Array(wanted.length)
  let start = 0
  for (const piece of data.dictionary?.data ?? []) {
    const all = Uint32Array.from({ length: piece.length }, (_, at) => at)
    const used = all.filter(at => wanted[start + at] === 1)
    for (const at of rowsInSet(set, type, field, piece, used)) found[start + at] = 1
    start += piece.length
  }
  return rows.filter(row => found[Number(indexes[row])] === 1)
}

/** The layouts that are met too rarely for a way of their own. */
function textTest(set: ByteSet, type: ColumnType, field: Field, data: Data): (row: number) => boolean {
  const { text } = renderColumn(field, data)
  return row => {
    const value = text(row)
    const key = value === null ? undefined : keyOf(value, type)
    return key !== undefined && set.has(new DataView(key.buffer, key.byteOffset), 0, key.length)
  }
}

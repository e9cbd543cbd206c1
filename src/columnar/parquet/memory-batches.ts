/** Decoded columns as apache-arrow's record batches, which are views of the kernel's memory. */
import { BufferType, Data, type DataType, Field, RecordBatch, Schema, Struct } from 'apache-arrow'
import type { DecodedColumn } from './column-decoder.ts'

/** Rows [start, end) of the columns. For as long as the memory neither grows nor is freed. */
export function memoryBatch(
  { buffer }: WebAssembly.Memory,
  columns: readonly DecodedColumn[],
  start: number,
  end: number,
): RecordBatch {
  const memory = new Uint8Array(buffer)
  const fields = columns.map(({ column: { name, type, optional } }) => new Field(name, type, optional))
  const children = columns.map(column => columnData(memory, column, start, end))
  const rows = new Data(new Struct(fields), 0, end - start, 0, undefined, children)
  return new RecordBatch(new Schema(fields), rows)
}

/**
 * As apache-arrow has slices: values begin with the first row, and only bits (of NULLs, and of booleans) are counted from an
 * offset.
 */
function columnData(
  memory: Uint8Array<ArrayBuffer>,
  { column: { type, form, elementBytes }, elements, bitmap }: DecodedColumn,
  start: number,
  end: number,
): Data {
  const rows = end - start
  const bits = (at: number): Uint8Array => memory.subarray(at + (start >> 3), at + Math.ceil(end / 8))
  const values =
    form === 'bits'
      ? bits(elements)
      : valuesOf(type, memory.buffer, elements + start * elementBytes, rows * elementBytes)
  const nulls = bitmap === undefined ? undefined : bits(bitmap)
  // a view says where in this buffer a value lies: its address
  const holders = form === 'view' ? [memory] : []
  const buffers = { [BufferType.DATA]: values, ...(nulls && { [BufferType.VALIDITY]: nulls }) }
  return new Data(type, start & 7, rows, nulls ? -1 : 0, buffers, [], undefined, holders)
}

function valuesOf({ ArrayType }: DataType, memory: ArrayBuffer, at: number, bytes: number): DataType['TArray'] {
  return new ArrayType(memory, at, bytes / ArrayType.BYTES_PER_ELEMENT)
}

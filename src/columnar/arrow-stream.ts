/** Arrow IPC streams of one batch each: written, and taken apart again for the rare batch that is refused in part. */
import {
  Data,
  type DataType,
  Field,
  RecordBatch,
  RecordBatchReader,
  RecordBatchStreamWriter,
  Schema,
  Struct,
} from 'apache-arrow'
import { columnRows } from './arrow-rows.ts'
import { renderRows } from './render.ts'

/** `columns`: by name, each with as many rows. */
export function writeStream(columns: readonly (readonly [name: string, data: Data])[], rows: number): Uint8Array {
  const fields = columns.map(([name, { type }]) => new Field<DataType>(name, type, true))
  const children = columns.map(([, data]) => data)
  const struct = new Data(new Struct(fields), 0, rows, 0, undefined, children)
  const writer = new RecordBatchStreamWriter()
  writer.write(new RecordBatch(new Schema(fields), struct))
  writer.finish()
  return writer.toUint8Array(true)
}

/** The rows at these positions, as JSON. */
export function streamRows(stream: Uint8Array, positions: readonly number[]): readonly string[] {
  const row = renderRows(readStream(stream))
  return positions.map(row)
}

/** A stream of the rows at these positions. */
export function streamOf(stream: Uint8Array, positions: readonly number[]): Uint8Array {
  const { schema, data } = readStream(stream)
  const columns = schema.fields.map(({ name, type }, index) => {
    const rows = columnRows(name, type)
    rows.append(data.children[index]!, positions)
    return [name, rows.take()] as const
  })
  return writeStream(columns, positions.length)
}

function readStream(stream: Uint8Array): RecordBatch {
  // a copy: the reader's arrays have to be aligned
  return [...RecordBatchReader.from(Uint8Array.from(stream))][0]!
}

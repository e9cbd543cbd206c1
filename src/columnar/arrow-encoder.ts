/** Rows as Arrow IPC streams, one for each batch: a schema, one record batch and the end of the stream. */
import { type Data, DataType } from 'apache-arrow'
import { type ColumnRows, columnRows } from './arrow-rows.ts'
import { writeStream } from './arrow-stream.ts'
import type { Allocate, EncodedSpan, EncoderPlan, SpanEncoder, SpanRows } from './encoder.ts'
import type { FilledBatch } from './read-plan.ts'
import { offsetsOf } from './render/buffers.ts'
import { type ColumnRenderer, renderColumn } from './render.ts'
import { idColumns, rowId } from './row-ids.ts'
import { RowTally, type SpanStart } from './row-tally.ts'
import { columnOf } from './selection.ts'
import { TextColumnRows } from './text-rows.ts'

/**
 * Batches are cut as `Batcher` cuts them, but for their bytes: how large a stream becomes is estimated by what the columns of a span take,
 * evenly shared among its rows. Rows have no checksums.
 */
export class ArrowEncoder implements SpanEncoder {
  readonly #plan: EncoderPlan
  readonly #allocate: Allocate
  readonly #tally = new RowTally()
  readonly #ids = new TextColumnRows()
  readonly #texts: readonly TextColumnRows[]
  #columns: readonly ArrowColumn[] = []
  #schema = ''
  #bytes = 0
  #filled: FilledBatch[] = []

  constructor(plan: EncoderPlan, allocate: Allocate) {
    this.#plan = plan
    this.#allocate = allocate
    this.#texts = (plan.columns ?? []).map(() => new TextColumnRows())
  }

  add(span: SpanRows): EncodedSpan {
    const { chunk, row, batch } = span
    const rows = span.selected ?? Uint32Array.from({ length: batch.numRows }, (_, index) => index)
    if (rows.length === 0) return { bytes: 0, dropped: 0 }
    const columns = this.#columnsOf(span)
    const rowBytes = Math.ceil(columns.reduce((sum, { data }) => sum + bytesOf(data), 0) / batch.numRows)
    this.#begin(columns)
    const start = { chunk, row }
    const { stableBatches } = this.#plan
    // whole spans, or pieces of one
    if (stableBatches && this.#room(rowBytes) < rows.length) this.cut()
    const split = stableBatches && this.#room(rowBytes) < rows.length
    for (let from = 0; from < rows.length; ) {
      if (this.#room(rowBytes) === 0) this.cut()
      const piece = rows.subarray(from, from + this.#room(rowBytes))
      this.#append(span, columns, piece, start, rowBytes)
      from += piece.length
    }
    if (split) this.cut()
    return { bytes: rows.length * rowBytes, dropped: 0 }
  }

  /** How many more rows of that size go into the batch; an empty one takes any row. */
  #room(rowBytes: number): number {
    const { batchRows, batchBytes } = this.#plan
    const { rows } = this.#tally
    const room = Math.min(batchRows - rows, Math.floor((batchBytes - this.#bytes) / Math.max(1, rowBytes)))
    return Math.max(room, rows === 0 ? 1 : 0)
  }

  cut(): void {
    const { rows } = this.#tally
    if (rows === 0) return
    const { ids, columns } = this.#plan
    const stream = writeStream(
      this.#columns.map(({ name, rows }) => [name, rows.take()]),
      rows,
    )
    this.#columns = this.#columns.map(({ name, type }) => ({ name, type, rows: columnRows(name, type) }))
    const bytes = this.#allocate(stream.length)
    bytes.set(stream)
    const texts = (columns ?? []).map((name, index) => [name, this.#texts[index]!.take(rows)] as const)
    this.#filled.push({
      ...this.#tally.take(rows),
      bytes,
      ends: new Uint32Array(0),
      ...(ids ? { ids: this.#ids.take(rows) } : {}),
      ...(columns ? { columns: Object.fromEntries(texts) } : {}),
    })
    this.#bytes = 0
  }

  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  close(): void {}

  /** A file whose columns are of other types begins another batch. */
  #begin(columns: readonly SpanColumn[]): void {
    const fresh = columns.map(({ column, name, data: { type } }) => ({ name, type, rows: columnRows(column, type) }))
    const schema = fresh.map(({ name, type }) => `${JSON.stringify(name)}:${type}`).join()
    if (schema === this.#schema) return
    this.cut()
    this.#schema = schema
    this.#columns = fresh
  }

  #columnsOf({ batch, name: file }: SpanRows): readonly SpanColumn[] {
    const { shape } = this.#plan
    const members = shape?.columns ?? batch.schema.fields.map(({ name }) => ({ column: name ?? '', name: name ?? '' }))
    return members.map(({ column, name }, index) => ({
      column,
      name,
      data: shape ? columnOf(batch, file, column).data : batch.data.children[index]!,
    }))
  }

  #append(
    { batch, name, chunk, row: first }: SpanRows,
    columns: readonly SpanColumn[],
    rows: Uint32Array,
    start: SpanStart,
    rowBytes: number,
  ): void {
    const rendered = (column: string): ColumnRenderer => {
      const { field, data } = columnOf(batch, name, column)
      return renderColumn(field, data)
    }
    const { ids } = this.#plan
    const texts = (this.#plan.columns ?? []).map(rendered)
    const keys = idColumns(ids).map(rendered)
    columns.forEach(({ data }, index) => {
      this.#columns[index]!.rows.append(data, rows)
    })
    const textsOf = (columns: readonly ColumnRenderer[], row: number) => columns.map(({ text }) => text(row))
    for (const row of rows) {
      this.#tally.count(start, first + row, rowBytes, 0n)
      if (ids) this.#ids.append(rowId(ids, chunk, first + row, textsOf(keys, row)))
      texts.forEach(({ text }, index) => {
        this.#texts[index]!.append(text(row))
      })
    }
    this.#bytes += rows.length * rowBytes
  }
}

interface SpanColumn {
  readonly column: string
  readonly name: string
  readonly data: Data
}

interface ArrowColumn {
  readonly name: string
  /** As it is in the file. */
  readonly type: DataType
  readonly rows: ColumnRows
}

/** What the rows' values take, as far as that can be told without looking at each of them. */
function bytesOf(data: Data): number {
  const { type, length, values } = data
  if (length === 0 || DataType.isNull(type)) return 0
  if (DataType.isDictionary(type)) {
    const entries = data.dictionary
    const bytes = entries?.data.reduce((sum, piece) => sum + bytesOf(piece), 0) ?? 0
    return (bytes / Math.max(1, entries?.length ?? 0)) * length
  }
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type))
    return 16 * length + data.variadicBuffers.reduce((sum, bytes) => sum + bytes.length, 0)
  if (data.valueOffsets) {
    const offsets = offsetsOf(data)
    const items = offsets[length]! - offsets[0]!
    const [child] = data.children
    return 4 * length + (child ? (bytesOf(child) / Math.max(1, child.length)) * items : items)
  }
  if (data.children.length > 0) return data.children.reduce((sum, child) => sum + bytesOf(child), 0)
  return DataType.isBool(type) ? length / 8 : length * data.stride * (values?.BYTES_PER_ELEMENT ?? 1)
}

/**
 * Rows of Arrow columns copied together from many batches. Views, large offsets and dictionaries become the plain type, so that all
 * batches of a table have one schema. Read raw like `render.ts`, and for the same reasons.
 */
import { Binary, type Data, DataType, Field, FixedSizeList, List, Map_, makeData, Struct, Utf8 } from 'apache-arrow'
import { FormatError } from '../core/errors.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { checkBuffers, nullTest, offsetsOf, viewAt } from './render/buffers.ts'

/** Row numbers, ascending or not; -1 is a NULL. */
export type RowList = ArrayLike<number>

export interface ColumnRows {
  readonly type: DataType
  append(data: Data, rows: RowList): void
  /** All that was appended; nothing may be appended any more. */
  take(): Data
}

/** Throws `unsupported_type` for unions. `column`: the top-level one, for errors. */
export function columnRows(column: string, type: DataType): ColumnRows {
  if (DataType.isDictionary(type)) return new DictionaryRows(column, columnRows(column, type.dictionary))
  if (DataType.isNull(type)) return new NullRows(type)
  if (DataType.isBool(type)) return new BoolRows(column, type)
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return new TextRows(column, new Utf8())
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return new TextRows(column, new Binary())
  if (DataType.isUtf8View(type)) return new ViewRows(column, new Utf8())
  if (DataType.isBinaryView(type)) return new ViewRows(column, new Binary())
  if (DataType.isList(type) || DataType.isLargeList(type)) {
    const [item] = type.children as [Field]
    const items = columnRows(column, item.type)
    return new ListRows(column, new List(renamed(item, items)), items)
  }
  if (DataType.isMap(type)) {
    const [entries] = type.children as unknown as [Field<Struct>]
    const items = columnRows(column, entries.type)
    return new ListRows(
      column,
      new Map_(renamed(entries, items) as Field<Struct<{ key: DataType; value: DataType }>>, type.keysSorted),
      items,
    )
  }
  if (DataType.isFixedSizeList(type)) {
    const [item] = type.children as [Field]
    const items = columnRows(column, item.type)
    return new FixedListRows(column, new FixedSizeList(type.listSize, renamed(item, items)), items)
  }
  if (DataType.isStruct(type)) {
    const members = type.children.map(child => columnRows(column, child.type))
    return new StructRows(column, new Struct(type.children.map((child, i) => renamed(child, members[i]!))), members)
  }
  if (DataType.isUnion(type))
    throw new FormatError(
      'unsupported_type',
      `column ${JSON.stringify(column)} is a union, which is not sent as Arrow: convert it where it is staged`,
    )
  return new FixedRows(column, type)
}

/** The field with the type that its rows have here. apache-arrow's IPC readers have null for an empty name. */
function renamed({ name, nullable }: Field, { type }: ColumnRows): Field {
  return new Field(name ?? '', type, nullable)
}

/** Which rows are NULL. */
class Validity {
  #bits = new Uint8Array(64)
  length = 0
  nulls = 0

  push(isValid: boolean): void {
    const byte = this.length >> 3
    if (byte === this.#bits.length) {
      const larger = new Uint8Array(2 * this.#bits.length)
      larger.set(this.#bits)
      this.#bits = larger
    }
    if (isValid) this.#bits[byte]! |= 1 << (this.length & 7)
    else this.nulls++
    this.length++
  }

  /** Adds what rows of a column are. */
  append(data: Data, rows: RowList): (row: number) => boolean {
    const isNull = nullTest(data)
    const isValid = (row: number): boolean => row >= 0 && !isNull?.(row)
    for (let i = 0; i < rows.length; i++) this.push(isValid(rows[i]!))
    return isValid
  }

  take() {
    const { length, nulls: nullCount } = this
    return { length, nullCount, nullBitmap: nullCount === 0 ? null : this.#bits.slice(0, (length + 7) >> 3) }
  }
}

class NullRows implements ColumnRows {
  readonly type: DataType
  #length = 0

  constructor(type: DataType) {
    this.type = type
  }

  append(_: Data, rows: RowList): void {
    this.#length += rows.length
  }

  take(): Data {
    return makeData({ type: this.type, length: this.#length } as Parameters<typeof makeData>[0])
  }
}

abstract class ValidRows implements ColumnRows {
  readonly type: DataType
  protected readonly column: string
  protected readonly validity: Validity = new Validity()

  constructor(column: string, type: DataType) {
    this.column = column
    this.type = type
  }

  append(data: Data, rows: RowList): void {
    if (rows.length === 0) return
    checkBuffers(this.column, data)
    const isValid = this.validity.append(data, rows)
    this.copy(data, rows, isValid)
  }

  take(): Data {
    return makeData({ type: this.type, ...this.validity.take(), ...this.buffers() } as Parameters<typeof makeData>[0])
  }

  protected abstract copy(data: Data, rows: RowList, isValid: (row: number) => boolean): void
  protected abstract buffers(): object
}

class BoolRows extends ValidRows {
  readonly #values = new Validity()

  protected copy({ values, offset }: Data, rows: RowList, isValid: (row: number) => boolean): void {
    for (let i = 0; i < rows.length; i++) {
      const bit = offset + rows[i]!
      this.#values.push(isValid(rows[i]!) && ((values[bit >> 3] >> (bit & 7)) & 1) === 1)
    }
  }

  protected buffers(): object {
    return { data: this.#values.take().nullBitmap ?? new Uint8Array((this.#values.length + 7) >> 3).fill(0xff) }
  }
}

/** Numbers, dates, times, timestamps, decimals, durations, intervals and binary values of one width. */
class FixedRows extends ValidRows {
  readonly #bytes = new GrowingBytes()
  #width = 0
  #typed: Uint8ArrayConstructor | undefined

  protected copy({ values, stride, type }: Data, rows: RowList): void {
    this.#typed ??= values.constructor as Uint8ArrayConstructor
    const width = DataType.isFixedSizeBinary(type) ? type.byteWidth : stride * values.BYTES_PER_ELEMENT
    this.#width = width
    const bytes = new Uint8Array(values.buffer, values.byteOffset)
    this.#bytes.reserve(rows.length * width)
    forRuns(rows, (start, count) => {
      if (start < 0) this.#bytes.append(new Uint8Array(count * width))
      else this.#bytes.append(bytes.subarray(start * width, (start + count) * width))
    })
  }

  protected buffers(): object {
    const bytes = this.#bytes.bytes.subarray(0, this.validity.length * this.#width)
    return { data: this.#typed ? typedCopy(this.#typed, bytes) : undefined }
  }
}

/** At the start of a buffer of its own, where elements of any width are aligned. */
function typedCopy(type: Uint8ArrayConstructor, bytes: Uint8Array): ArrayBufferView {
  const { buffer } = Uint8Array.from(bytes)
  return new type(buffer)
}

/** Offsets of strings, binary values and lists. */
class Offsets {
  readonly #ends = new GrowingBytes()
  last = 0

  push(length: number): void {
    this.last += length
    this.#ends.reserve(4)
    this.#ends.bytes.writeInt32LE(this.last, this.#ends.length)
    this.#ends.length += 4
  }

  take(): Int32Array {
    const offsets = new Int32Array(this.#ends.length / 4 + 1)
    Buffer.from(offsets.buffer, 4).set(this.#ends.bytes.subarray(0, this.#ends.length))
    return offsets
  }
}

/** Of views: value by value. */
class ViewRows extends ValidRows {
  protected readonly bytes: GrowingBytes = new GrowingBytes()
  protected readonly offsets: Offsets = new Offsets()

  protected copy(data: Data, rows: RowList, isValid: (row: number) => boolean): void {
    for (let i = 0; i < rows.length; i++) {
      const view = isValid(rows[i]!) ? viewAt(data, rows[i]!) : undefined
      if (view) this.bytes.append(view.bytes.subarray(view.start, view.end))
      this.offsets.push(view ? view.end - view.start : 0)
    }
  }

  protected buffers(): object {
    return { valueOffsets: this.offsets.take(), data: Uint8Array.from(this.bytes.bytes.subarray(0, this.bytes.length)) }
  }
}

class TextRows extends ViewRows {
  protected override copy(data: Data, rows: RowList): void {
    const offsets = offsetsOf(data)
    forRuns(rows, (start, count) => {
      if (start >= 0) this.bytes.append(data.values.subarray(offsets[start]!, offsets[start + count]!))
      for (let row = start; row < start + count; row++)
        this.offsets.push(start < 0 ? 0 : offsets[row + 1]! - offsets[row]!)
    })
  }
}

/** Also maps, which are lists of entries. */
class ListRows extends ValidRows {
  readonly #items: ColumnRows
  readonly #offsets = new Offsets()

  constructor(column: string, type: DataType, items: ColumnRows) {
    super(column, type)
    this.#items = items
  }

  protected copy(data: Data, rows: RowList, isValid: (row: number) => boolean): void {
    const offsets = offsetsOf(data)
    const items: number[] = []
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      const [start, end] = isValid(row) ? [offsets[row]!, offsets[row + 1]!] : [0, 0]
      for (let item = start; item < end; item++) items.push(item)
      this.#offsets.push(end - start)
    }
    this.#items.append(data.children[0]!, items)
  }

  protected buffers(): object {
    return { valueOffsets: this.#offsets.take(), child: this.#items.take() }
  }
}

class FixedListRows extends ValidRows {
  readonly #items: ColumnRows

  constructor(column: string, type: DataType, items: ColumnRows) {
    super(column, type)
    this.#items = items
  }

  protected copy({ stride, children }: Data, rows: RowList): void {
    const items: number[] = []
    for (let i = 0; i < rows.length; i++)
      for (let item = 0; item < stride; item++) items.push(rows[i]! < 0 ? -1 : rows[i]! * stride + item)
    this.#items.append(children[0]!, items)
  }

  protected buffers(): object {
    return { child: this.#items.take() }
  }
}

class StructRows extends ValidRows {
  readonly #members: readonly ColumnRows[]

  constructor(column: string, type: DataType, members: readonly ColumnRows[]) {
    super(column, type)
    this.#members = members
  }

  protected copy({ children }: Data, rows: RowList): void {
    this.#members.forEach((member, index) => {
      member.append(children[index]!, rows)
    })
  }

  protected buffers(): object {
    return { children: this.#members.map(member => member.take()) }
  }
}

/** Each row as the entry that it points to. */
class DictionaryRows implements ColumnRows {
  readonly #column: string
  readonly #values: ColumnRows

  constructor(column: string, values: ColumnRows) {
    this.#column = column
    this.#values = values
  }

  get type(): DataType {
    return this.#values.type
  }

  append(data: Data, rows: RowList): void {
    checkBuffers(this.#column, data)
    const isNull = nullTest(data)
    const pieces = data.dictionary?.data ?? []
    const none = pieces[0] ?? makeData({ type: this.type, length: 0 } as Parameters<typeof makeData>[0])
    let piece = none
    let run: number[] = []
    const flush = (): void => {
      if (run.length > 0) this.#values.append(piece, run)
      run = []
    }
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      let [own, index] = [piece, -1]
      if (row >= 0 && !isNull?.(row)) {
        index = Number(data.values[row])
        let at = 0
        for (; index >= pieces[at]!.length; at++) index -= pieces[at]!.length
        own = pieces[at]!
      }
      if (own !== piece) flush()
      piece = own
      run.push(index)
    }
    flush()
  }

  take(): Data {
    return this.#values.take()
  }
}

/** Rows that follow one another, and NULLs (a start of -1). */
function forRuns(rows: RowList, use: (start: number, count: number) => void): void {
  for (let from = 0; from < rows.length; ) {
    const start = rows[from]!
    let count = 1
    while (from + count < rows.length && rows[from + count] === (start < 0 ? -1 : start + count)) count++
    use(start, count)
    from += count
  }
}

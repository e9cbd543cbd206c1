/**
 * The buffers of apache-arrow's `Data`, checked once per batch and then read raw.
 *
 * Where a slice begins: apache-arrow cuts `values`, `valueOffsets`, `typeIds` and the children of structs, sparse unions
 * and fixed-size lists to the slice, so that row i is element i of them. `data.offset` counts bits only: those of null
 * bitmaps and of booleans. Lists, maps and dense unions keep their children whole; their offsets point into them.
 */
import { type Data, DataType } from 'apache-arrow'
import { FormatError } from '../../core/errors.ts'

/** Whether a row is NULL; undefined where no row is. */
export function nullTest(data: Data): ((row: number) => boolean) | undefined {
  const { nullBitmap: bits, offset } = data
  if (!bits || bits.length === 0 || data.nullCount === 0) return undefined
  return row => ((bits[(offset + row) >> 3]! >> ((offset + row) & 7)) & 1) === 0
}

/** The values of a fixed-width type as little-endian 32-bit words, `perRow` of them a row: they take a value apart without BigInt. */
export function words(data: Data, perRow: number): Int32Array {
  if (data.length === 0) return new Int32Array(0)
  const { buffer, byteOffset }: ArrayBufferView = data.values
  return new Int32Array(buffer, byteOffset, data.length * perRow)
}

/** Row i is [offsets[i], offsets[i + 1]) of the values or of the items. */
export type Offsets = Int32Array | Float64Array

/** 64-bit offsets become doubles, which hold any offset into a buffer that JavaScript can have. */
export function offsetsOf(data: Data): Offsets {
  const offsets: Int32Array | BigInt64Array = data.valueOffsets
  return offsets instanceof BigInt64Array ? Float64Array.from(offsets, Number) : offsets
}

/** The same memory with Node's decoders. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** One view of a Utf8View or BinaryView column (16 bytes): its length, then the bytes if at most 12, else where they are. */
export interface View {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

export function viewAt(data: Data, row: number): View | undefined {
  const bytes: Uint8Array = data.values
  const view = new DataView(bytes.buffer, bytes.byteOffset + row * 16, 16)
  const length = view.getInt32(0, true)
  const inline = length <= 12
  const start = inline ? row * 16 + 4 : view.getInt32(12, true)
  const holder = inline ? bytes : data.variadicBuffers[view.getInt32(8, true)]
  if (length < 0 || start < 0 || !holder || start + length > holder.length) return undefined
  return { bytes: holder, start, end: start + length }
}

/**
 * Throws `file_corrupt` where a value would lie outside of its buffer. Only `data` itself is looked at, not its children.
 * Neither decoder does this for Arrow IPC, and what they make of such a file is JSON with `undefined` in it.
 */
export function checkBuffers(column: string, data: Data): void {
  const problem = data.length === 0 ? undefined : (bitmapProblem(data) ?? valuesProblem(data))
  if (problem)
    throw new FormatError('file_corrupt', `column ${JSON.stringify(column)}: ${problem}; stage the file again`)
}

function bitmapProblem({ nullBitmap, offset, length }: Data): string | undefined {
  const isShort = nullBitmap && nullBitmap.length > 0 && nullBitmap.length * 8 < offset + length
  return isShort ? 'its null bitmap is shorter than the column' : undefined
}

function valuesProblem(data: Data): string | undefined {
  const { type, length, values, valueOffsets, children, stride } = data
  const short = (isShort: boolean): string | undefined => (isShort ? 'its values are fewer than its rows' : undefined)
  if (DataType.isNull(type)) return undefined
  if (DataType.isUnion(type)) return unionProblem(data)
  if (DataType.isDictionary(type)) return short(values.length < length) ?? dictionaryProblem(data)
  if (DataType.isStruct(type)) return short(children.some(child => child.length < length))
  if (DataType.isFixedSizeList(type)) return short(children[0]!.length < length * stride)
  if (DataType.isBool(type)) return short(values.length * 8 < data.offset + length)
  if (valueOffsets) return offsetsProblem(offsetsOf(data), length, children[0]?.length ?? values.length)
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type))
    return short(values.length < length * 16) ?? viewProblem(data)
  // a type without values of its own is none that is known here: the renderer says so
  return values && short(values.length < length * stride && !isCutView(data))
}

/**
 * arrow-js-ffi 0.4 makes views of decimals and intervals one element a row long, whatever a value's width; the rest of the
 * values lies right behind in the same memory.
 */
function isCutView({ type, length, values, stride }: Data): boolean {
  if (!DataType.isDecimal(type) && !DataType.isInterval(type)) return false
  const { buffer, byteOffset, BYTES_PER_ELEMENT }: Int32Array = values
  return values.length === length && byteOffset + length * stride * BYTES_PER_ELEMENT <= buffer.byteLength
}

function offsetsProblem(offsets: Offsets, length: number, size: number): string | undefined {
  if (offsets.length <= length) return 'its offsets are fewer than its rows'
  let previous = 0
  for (let i = 0; i <= length; i++) {
    const offset = offsets[i]!
    if (offset < previous) return 'its offsets go backwards'
    previous = offset
  }
  return previous > size ? 'its offsets point behind its values' : undefined
}

function viewProblem(data: Data): string | undefined {
  const isNull = nullTest(data)
  const views = words(data, 4)
  const sizes = data.variadicBuffers.map(bytes => bytes.length)
  for (let row = 0; row < data.length; row++) {
    const length = views[4 * row]!
    const offset = views[4 * row + 3]!
    const isWithin = length <= 12 ? length >= 0 : offset >= 0 && offset + length <= (sizes[views[4 * row + 2]!] ?? -1)
    if (!isWithin && !isNull?.(row)) return 'a view points outside of its buffers'
  }
  return undefined
}

function dictionaryProblem(data: Data): string | undefined {
  const isNull = nullTest(data)
  const size = data.dictionary?.length ?? 0
  for (let row = 0; row < data.length; row++) {
    const index = Number(data.values[row])
    if (!isNull?.(row) && !(index >= 0 && index < size)) return 'an index points outside of its dictionary'
  }
  return undefined
}

function unionProblem({ type, length, typeIds, valueOffsets, children }: Data): string | undefined {
  if (!DataType.isUnion(type)) return undefined
  if (typeIds.length < length || (valueOffsets && valueOffsets.length < length))
    return 'its type ids are fewer than its rows'
  for (let row = 0; row < length; row++) {
    const child = children[type.typeIdToChildIndex[typeIds[row]!]!]
    const index = valueOffsets ? valueOffsets[row] : row
    if (!child || !(index >= 0 && index < child.length)) return 'a row points outside of the members of its union'
  }
  return undefined
}

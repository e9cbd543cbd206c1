/** Arrow columns as the kernel reads them: where their buffers lie and what kind of values they hold. */
import { type Data, DataType, DateUnit, type Int, Precision } from 'apache-arrow'
import * as layout from './kernel-layout.ts'
import type { KernelMemory } from './kernel-memory.ts'
import type { Place, Scratch } from './kernel-scratch.ts'
import { planViews } from './kernel-views.ts'
import { checkBuffers } from './render/buffers.ts'

/** A column record before addresses are known. */
export interface ColumnPlan {
  readonly kind: number
  readonly values: Place
  readonly parameter?: number
  readonly nulls?: NullBits | undefined
  readonly offsets?: Place
  /** Of views: what they point into, and room for the addresses of these. */
  readonly buffers?: { readonly places: readonly Place[]; readonly table: Place }
  /** Of a dictionary. */
  readonly pieces?: { readonly plans: readonly ColumnPlan[]; readonly records: Place }
  /** Of a piece of a dictionary. */
  readonly rows?: number
  /** What stands before the value in a row. */
  readonly key?: { readonly place: Place; readonly bytes: number }
  /** A string in the row, although it is a number. */
  readonly quoted?: boolean
}

interface NullBits {
  readonly place: Place
  /** Of row 0, in the first byte. */
  readonly bit: number
}

const NOWHERE: Place = { inScratch: false, at: 0 }
/** A wider scale is left to JavaScript: it would write more bytes than a value is taken to have at most. */
const MOST_SCALE = 48

/**
 * undefined for types that are not read natively. Throws `file_corrupt` as the renderer does, before anything is read.
 * `column`: the name, for errors.
 */
export function planColumn(scratch: Scratch, column: string, data: Data): ColumnPlan | undefined {
  const { type } = data
  if (DataType.isDictionary(type)) return planDictionary(scratch, column, data, type.indices)
  return planLeaf(scratch, column, data)
}

function planLeaf(scratch: Scratch, column: string, data: Data): ColumnPlan | undefined {
  const { type } = data
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) {
    const kind = DataType.isUtf8View(type) ? layout.KIND_UTF8_VIEW : layout.KIND_BINARY_VIEW
    return { kind, nulls: nullBits(scratch, data), ...planViews(scratch, column, data) }
  }
  const isText = DataType.isUtf8(type) || DataType.isLargeUtf8(type)
  if (isText || DataType.isBinary(type) || DataType.isLargeBinary(type)) return planBytes(scratch, column, data, isText)
  const fixed = DataType.isBool(type) ? BOOLS : fixedKind(type)
  if (!fixed) return undefined
  checkBuffers(column, data)
  if (data.length === 0) return { kind: fixed.kind, values: NOWHERE }
  const nulls = nullBits(scratch, data)
  if (fixed !== BOOLS) return { ...fixed, nulls, values: placeElements(scratch, data, fixed.width) }
  const { place, bit } = placeBits(scratch, data.values, data)
  return { kind: fixed.kind, nulls, values: place, parameter: bit }
}

interface FixedKind {
  readonly kind: number
  /** Bytes a value. */
  readonly width: number
  readonly parameter?: number
}

const BOOLS: FixedKind = { kind: layout.KIND_BOOL, width: 0 }

function fixedKind(type: DataType): FixedKind | undefined {
  if (DataType.isNull(type)) return { kind: layout.KIND_NULL, width: 0 }
  if (DataType.isInt(type)) return integerKind(type)
  if (DataType.isFloat(type)) {
    if (type.precision === Precision.HALF) return undefined
    return type.precision === Precision.SINGLE
      ? { kind: layout.KIND_FLOAT32, width: 4 }
      : { kind: layout.KIND_FLOAT64, width: 8 }
  }
  if (DataType.isDecimal(type)) {
    const isNative = type.bitWidth === 128 && Math.abs(type.scale) <= MOST_SCALE
    return isNative ? { kind: layout.KIND_DECIMAL128, width: 16, parameter: type.scale } : undefined
  }
  if (DataType.isDate(type)) {
    return type.unit === DateUnit.DAY ? { kind: layout.KIND_DATE32, width: 4 } : { kind: layout.KIND_DATE64, width: 8 }
  }
  if (DataType.isTime(type)) {
    const kind = type.bitWidth === 32 ? layout.KIND_TIME32 : layout.KIND_TIME64
    return { kind, width: type.bitWidth / 8, parameter: 3 * type.unit }
  }
  if (DataType.isTimestamp(type)) return { kind: layout.KIND_TIMESTAMP, width: 8, parameter: 3 * type.unit }
  if (DataType.isFixedSizeBinary(type))
    return { kind: layout.KIND_FIXED_BINARY, width: type.byteWidth, parameter: type.byteWidth }
  return undefined
}

/** The eight kinds of integers lie by width, those with a sign first. */
function integerKind({ bitWidth, isSigned }: Int): FixedKind {
  const first = isSigned ? layout.KIND_INT8 : layout.KIND_UINT8
  return { kind: first + Math.log2(bitWidth / 8), width: bitWidth / 8 }
}

function planBytes(scratch: Scratch, column: string, data: Data, isText: boolean): ColumnPlan {
  checkBuffers(column, data)
  const offsets: Int32Array | BigInt64Array = data.valueOffsets
  const isLarge = offsets instanceof BigInt64Array
  const kind = isText
    ? isLarge
      ? layout.KIND_LARGE_UTF8
      : layout.KIND_UTF8
    : isLarge
      ? layout.KIND_LARGE_BINARY
      : layout.KIND_BINARY
  if (data.length === 0) return { kind, values: NOWHERE }
  const [start, end] = [Number(offsets[0]), Number(offsets[data.length])]
  const bytes: Uint8Array = data.values
  const { inScratch, at } = scratch.place(bytes.subarray(start, end))
  return {
    kind,
    nulls: nullBits(scratch, data),
    // where the offset 0 would be, which may lie in front of the copy
    values: { inScratch, at: at - start },
    offsets: scratch.place(offsets.subarray(0, data.length + 1)),
  }
}

function planDictionary(scratch: Scratch, column: string, data: Data, indices: Int): ColumnPlan | undefined {
  const plans: ColumnPlan[] = []
  for (const piece of data.dictionary?.data ?? []) {
    const plan = planLeaf(scratch, column, piece)
    if (!plan) return undefined
    plans.push({ ...plan, rows: piece.length })
  }
  checkBuffers(column, data)
  const { kind, width } = integerKind(indices)
  return {
    kind: layout.KIND_DICTIONARY,
    parameter: kind,
    nulls: nullBits(scratch, data),
    values: placeElements(scratch, data, width),
    pieces: { plans, records: scratch.reserve(plans.length * layout.COLUMN_BYTES) },
  }
}

/** By the width and not by the view's length: arrow-js-ffi makes some views too short (`render/buffers.ts`). */
function placeElements(scratch: Scratch, { values, length }: Data, width: number): Place {
  if (width === 0 || length === 0) return NOWHERE
  const { buffer, byteOffset }: ArrayBufferView = values
  return scratch.place(new Uint8Array(buffer, byteOffset, length * width))
}

/** As `nullTest` in `render/buffers.ts` sees them. */
function nullBits(scratch: Scratch, data: Data): NullBits | undefined {
  const { nullBitmap } = data
  if (!nullBitmap || nullBitmap.length === 0 || data.length === 0 || data.nullCount === 0) return undefined
  return placeBits(scratch, nullBitmap, data)
}

function placeBits(scratch: Scratch, bits: Uint8Array, { offset, length }: Data): NullBits {
  return { place: scratch.place(bits.subarray(offset >> 3, (offset + length + 7) >> 3)), bit: offset & 7 }
}

/** Writes the record of a plan, and those it refers to, once the scratch is filled. */
export function writeColumn(memory: KernelMemory, scratch: Scratch, record: number, plan: ColumnPlan): void {
  const { kind, values, nulls, offsets, parameter = 0, buffers, pieces, rows = 0, key, quoted } = plan
  memory.set(record + layout.COLUMN_KIND, kind)
  memory.set(record + layout.COLUMN_NULLS, nulls ? scratch.addressOf(nulls.place) : 0)
  memory.set(record + layout.COLUMN_NULL_BIT, nulls?.bit ?? 0)
  memory.set(record + layout.COLUMN_VALUES, scratch.addressOf(values))
  memory.set(record + layout.COLUMN_OFFSETS, scratch.addressOf(offsets ?? buffers?.table ?? NOWHERE))
  memory.set(record + layout.COLUMN_PARAMETER, parameter)
  memory.set(record + layout.COLUMN_KEY, scratch.addressOf(key?.place ?? NOWHERE))
  memory.set(record + layout.COLUMN_KEY_BYTES, key?.bytes ?? 0)
  memory.set(record + layout.COLUMN_ROWS, rows)
  memory.set(record + layout.COLUMN_QUOTED, quoted ? 1 : 0)
  memory.set(record + layout.COLUMN_PIECES, scratch.addressOf(pieces?.records ?? NOWHERE))
  buffers?.places.forEach((place, index) => {
    memory.set(scratch.addressOf(buffers.table) + 4 * index, scratch.addressOf(place))
  })
  pieces?.plans.forEach((piece, index) => {
    writeColumn(memory, scratch, scratch.addressOf(pieces.records) + index * layout.COLUMN_BYTES, piece)
  })
}

/** Values of an Arrow column as keys (`value-keys.ts`), a block of rows at a time, with nothing made per row. */
import { type Data, DataType, DateUnit, type Decimal, Precision, TimeUnit } from 'apache-arrow'
import { BLOCK_KEYS, emptyBlock, type KeyBlock } from './byte-set.ts'
import { offsetsOf, words } from './render/buffers.ts'

/** Fills the block with the keys of rows [from, from + count) of `rows`, none of which is NULL. */
export type ReadKeys = (rows: Uint32Array, from: number, count: number) => KeyBlock

/**
 * `width`: bytes of the key of a whole number. Undefined for columns that are read in another way. The buffers have been
 * checked. What is no number, or none of that width, has the empty key, which is no number's.
 */
export function keyReader(data: Data, width: number): ReadKeys | undefined {
  const { type } = data
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type))
    return stretches(data)
  if (DataType.isFixedSizeBinary(type)) return fixedStretches(data)
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) return viewStretches(data)
  const write = numberWriter(data, width)
  return write && numbers(write, width)
}

function stretches(data: Data): ReadKeys {
  const bytes: Uint8Array = data.values
  const offsets = offsetsOf(data)
  const block = emptyBlock(viewOf(bytes))
  const { starts, lengths } = block
  return (rows, from, count) => {
    for (let i = 0; i < count; i++) {
      const row = rows[from + i]!
      const start = offsets[row]!
      starts[i] = start
      lengths[i] = offsets[row + 1]! - start
    }
    return block
  }
}

function fixedStretches({ values, stride }: Data): ReadKeys {
  const block = emptyBlock(viewOf(values))
  block.lengths.fill(stride)
  return (rows, from, count) => {
    for (let i = 0; i < count; i++) block.starts[i] = rows[from + i]! * stride
    return block
  }
}

/**
 * A view is 16 bytes: the length of the value, and then its bytes if at most 12, else four of them, the number of a buffer and an
 * offset into it. Undefined where the buffers do not lie in one memory, as they do in the kernel's.
 */
function viewStretches(data: Data): ReadKeys | undefined {
  const { buffer, byteOffset }: Uint8Array = data.values
  const buffers: readonly Uint8Array[] = data.variadicBuffers
  if (buffers.some(bytes => bytes.buffer !== buffer)) return undefined
  const views = words(data, 4)
  const bases = buffers.map(bytes => bytes.byteOffset)
  const block = emptyBlock(new DataView(buffer))
  const { starts, lengths } = block
  return (rows, from, count) => {
    for (let i = 0; i < count; i++) {
      const row = rows[from + i]!
      const length = views[4 * row]!
      lengths[i] = length
      starts[i] = length <= 12 ? byteOffset + 16 * row + 4 : bases[views[4 * row + 2]!]! + views[4 * row + 3]!
    }
    return block
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

/** Writes the key of a row's number at `at`; returns its length. */
type WriteNumber = (row: number, into: DataView, at: number) => number

function numbers(write: WriteNumber, width: number): ReadKeys {
  const block = emptyBlock(new DataView(new ArrayBuffer(BLOCK_KEYS * width)))
  for (let i = 0; i < BLOCK_KEYS; i++) block.starts[i] = i * width
  return (rows, from, count) => {
    for (let i = 0; i < count; i++) block.lengths[i] = write(rows[from + i]!, block.view, i * width)
    return block
  }
}

function numberWriter(data: Data, width: number): WriteNumber | undefined {
  const { type, values } = data
  if (DataType.isBool(type)) return boolWriter(data, width)
  if (DataType.isFloat(type)) return type.precision === Precision.HALF ? undefined : doubleWriter(values)
  if (DataType.isDecimal(type)) return decimalWriter(data, type, width)
  if (DataType.isInt(type)) return integerWriter(data, type.isSigned, width)
  if (DataType.isTimestamp(type) || DataType.isTime(type)) return scaledWriter(data, UNIT_FACTORS[type.unit], width)
  // the other dates count milliseconds, of which a day is made first
  if (DataType.isDate(type) && type.unit === DateUnit.DAY) return scaledWriter(data, DAY_FACTORS, width)
  return undefined
}

const SIGN = -0x80000000
const TWO_32 = 2 ** 32

/** Nanoseconds per unit as factors of at most 20 bits, whose products with 32 bits a double holds exactly. */
const UNIT_FACTORS: Readonly<Record<TimeUnit, readonly number[]>> = {
  [TimeUnit.SECOND]: [1e6, 1e3],
  [TimeUnit.MILLISECOND]: [1e6],
  [TimeUnit.MICROSECOND]: [1e3],
  [TimeUnit.NANOSECOND]: [],
}
const DAY_FACTORS: readonly number[] = [86_400, 1e6, 1e3]

/** A whole number of three words; above them is only its sign. */
function writeWhole(into: DataView, at: number, width: number, low: number, middle: number, high: number): number {
  const sign = high >> 31
  const end = at + width
  into.setInt32(at, sign ^ SIGN)
  for (let above = at + 4; above < end - 12; above += 4) into.setInt32(above, sign)
  into.setInt32(end - 12, high)
  into.setInt32(end - 8, middle)
  into.setInt32(end - 4, low)
  return width
}

function boolWriter({ values, offset }: Data, width: number): WriteNumber {
  const bits: Uint8Array = values
  return (row, into, at) => writeWhole(into, at, width, (bits[(offset + row) >> 3]! >> ((offset + row) & 7)) & 1, 0, 0)
}

function integerWriter(data: Data, signed: boolean, width: number): WriteNumber {
  const values: ArrayLike<number> | BigInt64Array | BigUint64Array = data.values
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    const halves = words(data, 2)
    return (row, into, at) => {
      const high = halves[2 * row + 1]!
      return writeWhole(into, at, width, halves[2 * row]!, high, signed ? high >> 31 : 0)
    }
  }
  return (row, into, at) => {
    const value = values[row]!
    return writeWhole(into, at, width, value, value < 0 ? -1 : 0, value < 0 ? -1 : 0)
  }
}

function scaledWriter(data: Data, factors: readonly number[], width: number): WriteNumber {
  const values: Int32Array | BigInt64Array = data.values
  const perRow = values instanceof Int32Array ? 1 : 2
  const parts = words(data, perRow)
  return (row, into, at) => {
    let low = parts[perRow * row]! >>> 0
    let middle = perRow === 2 ? parts[2 * row + 1]! : parts[row]! >> 31
    let high = middle >> 31
    for (const factor of factors) {
      const lowest = low * factor
      const next = (middle >>> 0) * factor + Math.floor(lowest / TWO_32)
      low = lowest >>> 0
      middle = next | 0
      high = high * factor + Math.floor(next / TWO_32)
    }
    return writeWhole(into, at, width, low, middle, high)
  }
}

function decimalWriter(data: Data, { bitWidth }: Decimal, width: number): WriteNumber {
  const perRow = bitWidth / 32
  const most = width / 4
  const parts = words(data, perRow)
  return (row, into, at) => {
    const first = row * perRow
    const sign = parts[first + perRow - 1]! >> 31
    for (let i = most; i < perRow; i++) if (parts[first + i] !== sign) return 0
    if (perRow > most && parts[first + most - 1]! >> 31 !== sign) return 0
    for (let i = 0; i < most; i++) {
      const part = i < perRow ? parts[first + i]! : sign
      into.setInt32(at + width - 4 * (i + 1), i === most - 1 ? part ^ SIGN : part)
    }
    return width
  }
}

function doubleWriter(values: ArrayLike<number>): WriteNumber {
  return (row, into, at) => {
    const value = values[row]!
    if (!Number.isFinite(value)) return 0
    into.setFloat64(at, value + 0)
    const high = into.getInt32(at)
    const flip = high >> 31
    into.setInt32(at, high ^ (flip | SIGN))
    into.setInt32(at + 4, into.getInt32(at + 4) ^ flip)
    return 8
  }
}

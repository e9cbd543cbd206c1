/// <reference lib="esnext.float16" />
/** Booleans, integers, decimals and floats as text. None of these functions looks at NULLs. */
import { type Data, type Decimal, type Float, type Int, Precision } from 'apache-arrow'
import { formatFloat16, formatFloat32 } from '../float.ts'
import { blockReader } from './blocks.ts'
import { words } from './buffers.ts'

const TWO_32 = 2 ** 32
/** Doubles that are printed at once. */
const BLOCK_ROWS = 64

export function boolText(data: Data): (row: number) => string {
  const { offset } = data
  const values: Uint8Array = data.values
  return row => ((values[(offset + row) >> 3]! >> ((offset + row) & 7)) & 1 ? 'true' : 'false')
}

export function intText(data: Data, type: Int): (row: number) => string {
  const values: ArrayLike<number> = data.values
  if (type.bitWidth < 64) return row => String(values[row])
  const halves = words(data, 2)
  return type.isSigned
    ? row => signed64(halves[2 * row]!, halves[2 * row + 1]!)
    : row => unsigned64(halves[2 * row]! >>> 0, halves[2 * row + 1]! >>> 0)
}

/** A BigInt only where a double could lose a digit: it costs several times as much. */
function signed64(low: number, high: number): string {
  const value = high * TWO_32 + (low >>> 0)
  return Number.isSafeInteger(value) ? String(value) : String((BigInt(high) << 32n) | BigInt(low >>> 0))
}

function unsigned64(low: number, high: number): string {
  const value = high * TWO_32 + low
  return Number.isSafeInteger(value) ? String(value) : String((BigInt(high) << 32n) | BigInt(low))
}

export function decimalText(data: Data, { scale, bitWidth }: Decimal): (row: number) => string {
  const width = bitWidth / 32
  const parts = words(data, width)
  return row => withPoint(wideInteger(parts, row * width, (row + 1) * width), scale)
}

/** The two's complement integer in words [start, end). */
function wideInteger(parts: Int32Array, start: number, end: number): string {
  let top = end - 1
  // words that only repeat the sign of the one below say nothing: most decimals are small
  while (top > start && parts[top] === parts[top - 1]! >> 31) top--
  if (top === start) return String(parts[start])
  if (top === start + 1) return signed64(parts[start]!, parts[top]!)
  let value = BigInt(parts[top]!)
  for (let i = top - 1; i >= start; i--) value = (value << 32n) | BigInt(parts[i]! >>> 0)
  return String(value)
}

function withPoint(integer: string, scale: number): string {
  if (scale === 0) return integer
  if (scale < 0) return integer === '0' ? integer : integer + '0'.repeat(-scale)
  const sign = integer.startsWith('-') ? '-' : ''
  const digits = integer.slice(sign.length).padStart(scale + 1, '0')
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** null: NaN and the infinities, for which JSON has no number. */
export function floatText(data: Data, type: Float): (row: number) => string | null {
  const values: Uint16Array | Float32Array | Float64Array = data.values
  if (values instanceof Float64Array) return doubleText(values)
  const [floats, format]: [ArrayLike<number>, (value: number) => string] =
    type.precision === Precision.HALF
      ? [new Float16Array(values.buffer, values.byteOffset, values.length), formatFloat16]
      : [values, formatFloat32]
  return row => finiteText(floats[row]!, format)
}

function finiteText(value: number, format: (value: number) => string): string | null {
  return Number.isFinite(value) ? format(value) : null
}

/** One `JSON.stringify` of many doubles takes half as long as `String` of each, which looks every one up in a cache. */
function doubleText(values: Float64Array): (row: number) => string | null {
  const blockAt = blockReader(values.length, BLOCK_ROWS, (from, to) => {
    const numbers = Array.from(values.subarray(from, to))
    return { from, texts: JSON.stringify(numbers).slice(1, -1).split(',') }
  })
  return row => {
    const block = blockAt(row)
    if (!block) return finiteText(values[row]!, String)
    const text = block.texts[row - block.from]!
    return text === 'null' ? null : text
  }
}

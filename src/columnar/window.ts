/** Rows of a column between the bounds of a window, by the raw numbers in its buffers: no BigInt per row, and no text. */
import { type Data, DataType, DateUnit, Precision, TimeUnit } from 'apache-arrow'
import { ceilDivide, DAY_NANOS, readDateNanos, readTimestamp } from './calendar.ts'
import type { ColumnType } from './column-type.ts'
import type { Predicate } from './predicate.ts'
import { words } from './render/buffers.ts'

/** Of a row that is not NULL. */
export type RowTest = (row: number) => boolean

/** Whether a row lies in the window. Undefined where the column cannot be compared with the bounds. */
export function windowTest(window: NonNullable<Predicate['window']>, data: Data): RowTest | undefined {
  const bound = boundReader(window.type, data.type)
  return bound && between(data, bound(window.start), bound(window.end))
}

/** From a bound's canonical text to the column's unit; a finer bound is rounded up, which leaves a half-open window unchanged. */
function boundReader(type: ColumnType, found: DataType): ((text: string) => bigint) | undefined {
  if (type.kind === 'integer') return isIntegral(found) || isFloat(found) ? BigInt : undefined
  const unit = unitNanos(found)
  if (unit === undefined) return undefined
  const nanosOf = type.kind === 'date' ? readDateNanos : type.kind === 'timestamp' ? readTimestamp : undefined
  return nanosOf && (text => ceilDivide(nanosOf(text)!, unit))
}

export function isIntegral(type: DataType): boolean {
  return DataType.isInt(type) || (DataType.isDecimal(type) && type.scale === 0)
}

function isFloat(type: DataType): boolean {
  return DataType.isFloat(type) && type.precision !== Precision.HALF
}

function unitNanos(type: DataType): bigint | undefined {
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? DAY_NANOS : 1_000_000n
  if (!DataType.isTimestamp(type)) return undefined
  return {
    [TimeUnit.SECOND]: 10n ** 9n,
    [TimeUnit.MILLISECOND]: 10n ** 6n,
    [TimeUnit.MICROSECOND]: 1000n,
    [TimeUnit.NANOSECOND]: 1n,
  }[type.unit]
}

/** `start <= value < end` */
function between(data: Data, start: bigint, end: bigint): RowTest {
  const { type } = data
  if (DataType.isDecimal(type)) return wordsBetween(data, type.bitWidth / 32, true, start, end)
  const values: ArrayLike<number> | BigInt64Array | BigUint64Array = data.values
  if (values instanceof BigInt64Array || values instanceof BigUint64Array)
    return wordsBetween(data, 2, values instanceof BigInt64Array, start, end)
  const [low, high] = [doubleFrom(start), doubleFrom(end)]
  return row => values[row]! >= low && values[row]! < high
}

/** The least double that is not below an integer: doubles compare with it as they do with the integer. */
function doubleFrom(bound: bigint): number {
  const nearest = Number(bound)
  if (!Number.isFinite(nearest) || BigInt(nearest) >= bound) return nearest
  const bits = new BigInt64Array(Float64Array.of(nearest).buffer)
  bits[0]! += nearest < 0 ? -1n : 1n
  return new Float64Array(bits.buffer)[0]!
}

/** Two's complement integers of `width` 32-bit words. */
function wordsBetween(data: Data, width: number, signed: boolean, start: bigint, end: bigint): RowTest {
  const bits = BigInt(32 * width)
  const least = signed ? -(1n << (bits - 1n)) : 0n
  const greatest = least + (1n << bits) - 1n
  // the last value and not the end: an end behind all values has no bits to be compared by
  const first = start > least ? start : least
  const last = end <= greatest ? end - 1n : greatest
  if (first > last) return () => false
  const flip = signed ? 0 : SIGN
  const parts = words(data, width)
  const [low, high] = [boundWords(first, width, flip), boundWords(last, width, flip)]
  if (width === 2) return pairBetween(parts, flip, low, high)
  return row =>
    compare(parts, row * width, width, flip, low) >= 0 && compare(parts, row * width, width, flip, high) <= 0
}

/** 64-bit integers, which nearly all windows are over. */
function pairBetween(parts: Int32Array, flip: number, low: Int32Array, high: Int32Array): RowTest {
  const [lowRest, lowTop] = low as unknown as [number, number]
  const [highRest, highTop] = high as unknown as [number, number]
  return row => {
    const top = parts[2 * row + 1]! ^ flip
    if (top < lowTop || top > highTop) return false
    if (top > lowTop && top < highTop) return true
    const rest = parts[2 * row]! ^ SIGN
    return (top > lowTop || rest >= lowRest) && (top < highTop || rest <= highRest)
  }
}

/** Flips the sign: unsigned words compare like signed ones then. */
const SIGN = -0x80000000

function boundWords(bound: bigint, width: number, flip: number): Int32Array {
  const top = width - 1
  return Int32Array.from(
    { length: width },
    (_, i) => Number(BigInt.asIntN(32, bound >> BigInt(32 * i))) ^ (i === top ? flip : SIGN),
  )
}

function compare(parts: Int32Array, at: number, width: number, flip: number, bound: Int32Array): number {
  for (let i = width - 1; i >= 0; i--) {
    const part = parts[at + i]! ^ (i === width - 1 ? flip : SIGN)
    if (part !== bound[i]) return part < bound[i]! ? -1 : 1
  }
  return 0
}

/**
 * Values as keys: byte strings that are equal exactly when the values are, and whose order, byte by byte, is the order of
 * the values. A set of values then needs to know nothing of types, and neither does a comparison with a file's statistics.
 *
 * Strings and binary values are their own bytes. Whole numbers (integers, decimals without their point, nanoseconds since
 * the epoch or since midnight, booleans) are two's complement with the sign flipped, most significant byte first: one
 * form for all widths and units in which files hold them. Floats are doubles, with the bits flipped that order them.
 */
import { readDateNanos, readTime, readTimestamp } from './calendar.ts'
import type { ColumnType } from './column-type.ts'

/** Writes the key of a value in canonical text (`literal.ts`); returns its length, or -1 where no row of a column can have it. */
export type KeyWriter = (text: string, into: Buffer, at: number) => number

/** Bytes of the key of a whole number of the type. */
export function wholeBytes(type: ColumnType): number {
  const isWide = (type.kind === 'decimal' && type.precision > 38) || (type.kind === 'integer' && type.bits === 128)
  return isWide ? 32 : 16
}

const DOUBLE_BYTES = 8

/** Undefined for types that cannot be compared. `width`: bytes of the key of a whole number. */
export function keyWriter(type: ColumnType, width: number = wholeBytes(type)): KeyWriter | undefined {
  const writeRead = (value: bigint | undefined, into: Buffer, at: number): number =>
    value === undefined ? -1 : writeWhole(value, width, into, at)
  switch (type.kind) {
    case 'string':
      return (text, into, at) => into.write(text, at, 'utf8')
    case 'binary':
      return (text, into, at) => into.write(text, at, 'base64')
    case 'integer':
      return (text, into, at) => writeRead(isDigits(text) ? BigInt(text) : undefined, into, at)
    case 'decimal':
      return (text, into, at) => writeRead(unscaledOf(text, type.scale), into, at)
    case 'boolean':
      return (text, into, at) => writeRead(text === 'true' ? 1n : text === 'false' ? 0n : undefined, into, at)
    case 'date':
      return (text, into, at) => writeRead(readDateNanos(text), into, at)
    case 'time':
      return (text, into, at) => writeRead(readTime(text), into, at)
    case 'timestamp':
      return (text, into, at) => writeRead(readTimestamp(text), into, at)
    case 'float':
      return (text, into, at) => writeDouble(type.bits === 32 ? Math.fround(Number(text)) : Number(text), into, at)
    case 'other':
      return undefined
  }
}

/** Most bytes that the key of a text takes. */
export function mostKeyBytes(text: string): number {
  return Math.max(MOST_WHOLE_BYTES, 3 * text.length)
}

const MOST_WHOLE_BYTES = 32

export function keyOf(text: string, type: ColumnType, width?: number): Uint8Array | undefined {
  const into = Buffer.allocUnsafe(mostKeyBytes(text))
  const length = keyWriter(type, width)?.(text, into, 0) ?? -1
  return length < 0 ? undefined : into.subarray(0, length)
}

/** Undefined where the number is too large. */
export function wholeKey(value: bigint, width: number): Uint8Array | undefined {
  const into = Buffer.allocUnsafe(width)
  return writeWhole(value, width, into, 0) < 0 ? undefined : into
}

/** Undefined for NaN and the infinities. */
export function doubleKey(value: number): Uint8Array | undefined {
  const into = Buffer.allocUnsafe(DOUBLE_BYTES)
  return writeDouble(value, into, 0) < 0 ? undefined : into
}

function isDigits(text: string): boolean {
  return /^-?\d{1,64}$/.test(text)
}

/** Without the point. Undefined where the text has more or fewer decimal places. */
function unscaledOf(text: string, scale: number): bigint | undefined {
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text)
  if (!match || (match[2]?.length ?? 0) !== Math.max(scale, 0)) return undefined
  const digits = BigInt(match[1]! + (match[2] ?? ''))
  return scale < 0 ? digits / 10n ** BigInt(-scale) : digits
}

function writeWhole(value: bigint, width: number, into: Buffer, at: number): number {
  if (value !== BigInt.asIntN(8 * width, value)) return -1
  let rest = value
  for (let word = at + width - 4; word >= at; word -= 4, rest >>= 32n)
    into.writeInt32BE(Number(BigInt.asIntN(32, rest)), word)
  into[at]! ^= 0x80
  return width
}

/** NaN equals nothing, and an infinity has no text. */
function writeDouble(value: number, into: Buffer, at: number): number {
  if (!Number.isFinite(value)) return -1
  // the sum makes 0 of -0, which is written as 0
  into.writeDoubleBE(value + 0, at)
  const high = into.readInt32BE(at)
  const flip = high >> 31
  into.writeInt32BE(high ^ (flip | SIGN), at)
  into.writeInt32BE(into.readInt32BE(at + 4) ^ flip, at + 4)
  return DOUBLE_BYTES
}

const SIGN = -0x80000000

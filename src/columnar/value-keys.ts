/**
 * Values as keys: byte strings that are equal exactly when the values are, and whose order, byte by byte, is the order of
 * the values. A set of values then needs to know nothing of types, and neither does a comparison with a file's statistics.
 *
 * Strings and binary values are their own bytes. Whole numbers (integers, decimals without their point, nanoseconds since
 * the epoch or since midnight, booleans) are 128-bit two's complement with the sign flipped, most significant byte first: one
 * form for all widths and units in which files hold them. Floats are doubles, with the bits flipped that order them.
 */
import { readDateNanos, readTime, readTimestamp } from './calendar.ts'
import type { ColumnType } from './column-type.ts'

/** Writes the key of a value in canonical text (`literal.ts`); returns its length, or -1 where no row of a column can have it. */
export type KeyWriter = (text: string, into: Buffer, at: number) => number

/** Bytes of the key of a number. */
export const NUMBER_BYTES = 16
export const DOUBLE_BYTES = 8

/** Undefined for types that cannot be compared. */
export function keyWriter(type: ColumnType): KeyWriter | undefined {
  switch (type.kind) {
    case 'string':
      return (text, into, at) => into.write(text, at, 'utf8')
    case 'binary':
      return (text, into, at) => into.write(text, at, 'base64')
    case 'integer':
      return (text, into, at) => (isDigits(text) ? writeWhole(BigInt(text), into, at) : -1)
    case 'decimal':
      return (text, into, at) => {
        const unscaled = unscaledOf(text, type.scale)
        return unscaled === undefined ? -1 : writeWhole(unscaled, into, at)
      }
    case 'boolean':
      return (text, into, at) =>
        text === 'true' || text === 'false' ? writeWhole(text === 'true' ? 1n : 0n, into, at) : -1
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
  return Math.max(NUMBER_BYTES, 3 * text.length)
}

export function keyOf(text: string, type: ColumnType): Uint8Array | undefined {
  const into = Buffer.allocUnsafe(mostKeyBytes(text))
  const length = keyWriter(type)?.(text, into, 0) ?? -1
  return length < 0 ? undefined : into.subarray(0, length)
}

/** Undefined where it takes more than 128 bits. */
export function wholeKey(value: bigint): Uint8Array | undefined {
  const into = Buffer.allocUnsafe(NUMBER_BYTES)
  return writeWhole(value, into, 0) < 0 ? undefined : into
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
  const places = Math.max(scale, 0)
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text)
  if (!match || (match[2]?.length ?? 0) !== places) return undefined
  const digits = BigInt(match[1]! + (match[2] ?? ''))
  return scale < 0 ? digits / 10n ** BigInt(-scale) : digits
}

function writeRead(value: bigint | undefined, into: Buffer, at: number): number {
  return value === undefined ? -1 : writeWhole(value, into, at)
}

function writeWhole(value: bigint, into: Buffer, at: number): number {
  if (value !== BigInt.asIntN(128, value)) return -1
  into.writeInt32BE(Number(BigInt.asIntN(32, (value >> 96n) ^ 0x80000000n)), at)
  into.writeInt32BE(Number(BigInt.asIntN(32, value >> 64n)), at + 4)
  into.writeInt32BE(Number(BigInt.asIntN(32, value >> 32n)), at + 8)
  into.writeInt32BE(Number(BigInt.asIntN(32, value)), at + 12)
  return NUMBER_BYTES
}

/** NaN equals nothing, and an infinity has no text. */
function writeDouble(value: number, into: Buffer, at: number): number {
  if (!Number.isFinite(value)) return -1
  // the sum makes 0 of -0, which is written as 0
  into.writeDoubleBE(value + 0, at)
  const high = into.readInt32BE(at)
  if (high >= 0) into.writeInt32BE(high ^ -0x80000000, at)
  else {
    into.writeInt32BE(~high, at)
    into.writeInt32BE(~into.readInt32BE(at + 4), at + 4)
  }
  return DOUBLE_BYTES
}

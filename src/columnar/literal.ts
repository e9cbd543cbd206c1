/**
 * Reading the values of a request (window bounds, filter values) as the type of a column.
 *
 * The result is canonical text, one form per value and type, equal exactly when the values are equal: the form the
 * value has in a delivered row, without quotes (`-42`, `1.500000`, `2026-03-01T00:00:00Z`, base64). Text and not numbers
 * because it must cross threads, processes and JSON without losing a digit.
 */
import {
  ceilDivide,
  DAY_NANOS,
  formatDate,
  formatTime,
  formatTimestamp,
  readDate,
  readDateNanos,
  readTime,
  readTimestamp,
} from './calendar.ts'
import { type ColumnType, UNIT_DIGITS } from './column-type.ts'
import { formatFloat32 } from './float.ts'

/** A filter value or a bound as JSON has it. */
export type Scalar = string | number | boolean

/** A problem with one value; the message completes "value 3 …". Not an Error: callers collect them. */
export interface Unreadable {
  readonly problem: string
}

/**
 * Reads a filter value. SQL's meaning of equality: a value that no row of the column could hold (`1.5` for an
 * integer, 300 for an 8-bit one, a microsecond for a column of seconds) cannot be read as the type.
 */
export function readLiteral(value: Scalar, type: ColumnType): string | Unreadable {
  switch (type.kind) {
    case 'boolean':
      return value === true || value === 'true'
        ? 'true'
        : value === false || value === 'false'
          ? 'false'
          : expected('true or false', value)
    case 'integer': {
      const integer = readInteger(value)
      if (typeof integer === 'object') return integer
      const [low, high] = integerRange(type.bits, type.signed)
      return integer >= low && integer <= high ? String(integer) : { problem: `is outside ${low} to ${high}` }
    }
    case 'decimal':
      return readDecimal(value, type.precision, type.scale)
    case 'float':
      return readFloat(value, type.bits)
    case 'string':
      if (typeof value !== 'string') return expected('a string', value)
      return value.isWellFormed() ? value : { problem: 'holds half of a surrogate pair, which is no text' }
    case 'binary':
      return typeof value === 'string' && isBase64(value) ? value : expected('base64', value)
    case 'date': {
      const days = typeof value === 'string' ? readDate(value) : undefined
      if (days === undefined) return expected('a date that exists, as 2026-03-01', value)
      return days === (days | 0) ? formatDate(days) : { problem: 'is outside the range of the column' }
    }
    case 'time': {
      const nanos = typeof value === 'string' ? readTime(value) : undefined
      if (nanos === undefined) return expected('a time as 12:34:56', value)
      if (nanos % unitNanos(type.unit) !== 0n) return finer(type.unit)
      return formatTime(nanos)
    }
    case 'timestamp': {
      const nanos = typeof value === 'string' ? readTimestamp(value) : undefined
      if (nanos === undefined) return expected('a date or time that exists, as 2026-03-01T00:00:00Z (ISO 8601)', value)
      if (nanos % unitNanos(type.unit) !== 0n) return finer(type.unit)
      const count = nanos / unitNanos(type.unit)
      return count === BigInt.asIntN(64, count)
        ? formatTimestamp(nanos)
        : { problem: 'is outside the range of the column' }
    }
    case 'other':
      return { problem: 'cannot be compared with a column of this type' }
  }
}

/** A window bound: canonical text for the source, and a number that orders it against the other bound. */
export interface Bound {
  readonly text: string
  readonly order: bigint
}

/**
 * Reads a window bound for a partition key of type timestamp, date or integer. A bound finer than the column's unit is
 * rounded up, which leaves a half-open window over that column unchanged.
 */
export function readBound(value: string | number, type: ColumnType): Bound | Unreadable {
  switch (type.kind) {
    case 'integer': {
      const integer = readInteger(value)
      return typeof integer === 'object' ? integer : { text: String(integer), order: integer }
    }
    case 'date': {
      const nanos = typeof value === 'string' ? (readTimestamp(value) ?? readDateNanos(value)) : undefined
      if (nanos === undefined) return expected('a date that exists, as 2026-03-01', value)
      const days = ceilDivide(nanos, DAY_NANOS)
      return { text: formatDate(Number(days)), order: days }
    }
    case 'timestamp': {
      const nanos = typeof value === 'string' ? (readTimestamp(value) ?? readDateNanos(value)) : undefined
      if (nanos === undefined) return expected('a date or time that exists, as 2026-03-01T00:00:00Z (ISO 8601)', value)
      const unit = unitNanos(type.unit)
      const order = ceilDivide(nanos, unit) * unit
      return { text: formatTimestamp(order), order }
    }
    default:
      return { problem: 'cannot be compared with a partition key of this type' }
  }
}

function expected(what: string, value: Scalar): Unreadable {
  return { problem: `must be ${what}${typeof value === 'string' ? '' : `, not a ${typeof value}`}` }
}

function finer(unit: keyof typeof UNIT_DIGITS): Unreadable {
  return { problem: `is finer than the column's unit (${unit})` }
}

function unitNanos(unit: keyof typeof UNIT_DIGITS): bigint {
  return 10n ** BigInt(9 - UNIT_DIGITS[unit])
}

function integerRange(bits: number, signed: boolean): [bigint, bigint] {
  const size = 1n << BigInt(signed ? bits - 1 : bits)
  return [signed ? -size : 0n, size - 1n]
}

function readInteger(value: Scalar): bigint | Unreadable {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return BigInt(value)
    return {
      problem: Number.isInteger(value) ? 'is too large for a JSON number: send it as a string' : 'must be an integer',
    }
  }
  if (typeof value === 'string' && value.length <= 64 && /^[+-]?\d+$/.test(value)) return BigInt(value.replace('+', ''))
  return expected('an integer', value)
}

function readDecimal(value: Scalar, precision: number, scale: number): string | Unreadable {
  const text = typeof value === 'number' ? plainNumber(value) : value
  if (text === undefined) return { problem: 'is not exact as a JSON number: send it as a string, without an exponent' }
  const match = typeof text === 'string' && text.length <= 128 ? /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text) : null
  if (!match) return expected('a decimal number', value)
  const whole = match[2]!.replace(/^0+(?=\d)/, '')
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  if (fraction.length > scale) return { problem: `has more than the ${scale} decimal places of the column` }
  if (whole !== '0' && whole.length > precision - scale)
    return { problem: `has more digits than DECIMAL(${precision},${scale})` }
  const digits = scale > 0 ? `${whole}.${fraction.padEnd(scale, '0')}` : whole
  return match[1] === '-' && /[1-9]/.test(digits) ? `-${digits}` : digits
}

/** Decimal notation without an exponent where that is exact; a number in exponent form has to come as a string. */
function plainNumber(value: number): string | undefined {
  const text = String(value)
  return text.includes('e') || (Number.isInteger(value) && !Number.isSafeInteger(value)) ? undefined : text
}

function readFloat(value: Scalar, bits: 32 | 64): string | Unreadable {
  const number =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(value)
        ? Number(value)
        : Number.NaN
  if (!Number.isFinite(number)) return expected('a finite number', value)
  if (bits === 64) return String(number)
  const rounded = Math.fround(number)
  return Number.isFinite(rounded) ? formatFloat32(rounded) : { problem: 'is outside the range of a 32-bit float' }
}

function isBase64(text: string): boolean {
  return (
    text.length % 4 === 0 &&
    /^[A-Za-z0-9+/]*={0,2}$/.test(text) &&
    Buffer.from(text, 'base64').toString('base64') === text
  )
}

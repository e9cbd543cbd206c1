/**
 * Quoting for DuckDB: the one place where names and values become SQL text. Filter values may be a table of their own
 * and windows need literals, so statement parameters alone would not do.
 */
import { readDate, readTimestamp } from '../columnar/calendar.ts'
import type { ColumnType, TimeUnit } from '../columnar/column-type.ts'
import { ConfigError, SourceError } from '../core/errors.ts'

/** Throws a `ConfigError` for a name with a NUL character, which DuckDB cannot hold. */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0'))
    throw new ConfigError('a table or column name is empty or has a NUL character')
  return `"${name.replaceAll('"', '""')}"`
}

/** Backslashes mean nothing in DuckDB's literals. A lone surrogate, which UTF-8 cannot express, becomes U+FFFD. */
export function quoteLiteral(text: string): string {
  const pieces = text.split('\0').map(piece => `'${piece.replaceAll("'", "''")}'`)
  // the driver hands a statement on as a C string, which ends at the first NUL
  return pieces.length === 1 ? pieces[0]! : `(${pieces.join(' || chr(0) || ')})`
}

/** `text`: canonical text of the type (`columnar/literal.ts`). Undefined where no row of such a column can hold the value. */
export function typedLiteral(text: string, type: ColumnType): string | undefined {
  const value = valueText(text, type)
  return value === undefined ? undefined : valueExpression(quoteLiteral(value), type)
}

/**
 * The same value in the text that {@link valueExpression} reads: dates and timestamps as numbers since the epoch, since
 * DuckDB does not read years outside 0001-9999 as ISO 8601 writes them.
 */
export function valueText(text: string, type: ColumnType): string | undefined {
  const range = nativeRange(type)
  if (!range) return text
  const value = nativeNumber(text, type)
  return value >= range.low && value <= range.high ? String(value) : undefined
}

/** SQL for the value of the column's type whose {@link valueText} is the VARCHAR expression `text`. */
export function valueExpression(text: string, type: ColumnType): string {
  switch (type.kind) {
    case 'boolean':
      return `CAST(${text} AS BOOLEAN)`
    case 'integer':
      return `CAST(${text} AS ${integerName(type.bits, type.signed)})`
    case 'decimal':
      return `CAST(${text} AS DECIMAL(${type.precision}, ${type.scale}))`
    case 'float':
      return `CAST(${text} AS ${type.bits === 32 ? 'FLOAT' : 'DOUBLE'})`
    case 'string':
      return text
    case 'binary':
      return `from_base64(${text})`
    case 'date':
      return `make_date(CAST(${text} AS INTEGER))`
    case 'time':
      return `CAST(${text} AS ${type.unit === 'ns' ? 'TIME_NS' : 'TIME'})`
    case 'timestamp':
      return timestampExpression(`CAST(${text} AS BIGINT)`, type.unit, type.zone)
    case 'other':
      throw uncomparable()
  }
}

/**
 * `start <= column < end` for a column of type integer, date or timestamp. A bound that the type cannot hold is one that
 * all of its values, or none, lie beyond.
 */
export function windowCondition(column: string, type: ColumnType, start: string, end: string): string {
  const range = nativeRange(type)
  if (!range) throw uncomparable()
  const [from, to] = [nativeNumber(start, type), nativeNumber(end, type)]
  if (from > range.high || to <= range.low) return 'false'
  const literal = (value: bigint) => valueExpression(quoteLiteral(String(value)), type)
  // biome-ignore lint/complexity/useMathMinMax: Math.max takes no bigint
  const lower = `${column} >= ${literal(from < range.low ? range.low : from)}`
  return to > range.high
    ? `${lower} AND ${column} <= ${literal(range.high)}`
    : `${lower} AND ${column} < ${literal(to)}`
}

function uncomparable(): SourceError {
  return new SourceError('a column of this type cannot be compared with values', { retryable: false })
}

function integerName(bits: number, signed: boolean): string {
  const name = { 8: 'TINYINT', 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT', 128: 'HUGEINT' }[bits]!
  return signed ? name : `U${name}`
}

function timestampExpression(number: string, unit: TimeUnit, zone: boolean): string {
  if (zone) return `make_timestamptz(${number})`
  switch (unit) {
    case 's':
      return `CAST(make_timestamp(${number} * 1000000) AS TIMESTAMP_S)`
    case 'ms':
      return `make_timestamp_ms(${number})`
    case 'us':
      return `make_timestamp(${number})`
    case 'ns':
      return `make_timestamp_ns(${number})`
  }
}

/** A value of canonical text in the unit that the column stores. */
function nativeNumber(text: string, type: ColumnType): bigint {
  if (type.kind === 'integer') return BigInt(text)
  if (type.kind === 'date') return BigInt(readDate(text)!)
  if (type.kind === 'timestamp') return readTimestamp(text)! / UNIT_NANOS[type.unit]
  throw uncomparable()
}

const UNIT_NANOS: Readonly<Record<TimeUnit, bigint>> = { s: 1_000_000_000n, ms: 1_000_000n, us: 1_000n, ns: 1n }

/** The finite values that DuckDB has for a type, both ends included, found by trying; undefined for types without an order here. */
function nativeRange(type: ColumnType): { readonly low: bigint; readonly high: bigint } | undefined {
  switch (type.kind) {
    case 'integer': {
      const size = 1n << BigInt(type.signed ? type.bits - 1 : type.bits)
      return { low: type.signed ? -size : 0n, high: size - 1n }
    }
    case 'date':
      return { low: -2_147_483_646n, high: 2_147_483_646n }
    case 'timestamp':
      if (type.unit === 'ns') return { low: -9_223_286_400_000_000_000n, high: 9_223_372_036_854_775_806n }
      return {
        low: (-9_223_372_022_400_000_000n * 1_000n) / UNIT_NANOS[type.unit],
        high: (9_223_372_036_854_775_806n * 1_000n) / UNIT_NANOS[type.unit],
      }
    default:
      return undefined
  }
}

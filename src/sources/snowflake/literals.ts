/** Values as SQL of Snowflake: the one place where they become text. Formats are given, so that no setting of the session changes what is read. */
import { DAY_NANOS, readDate, readTimestamp } from '../../columnar/calendar.ts'
import type { ColumnType } from '../../columnar/column-type.ts'
import { SourceError } from '../../core/errors.ts'

/** A backslash escapes in Snowflake's literals. A lone surrogate, which UTF-8 cannot express, becomes U+FFFD. */
export function quoteLiteral(text: string): string {
  const escaped = text.toWellFormed().replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\0', '\\0')
  return `'${escaped}'`
}

/** `text`: canonical text of the type (`columnar/literal.ts`). Undefined where no row of such a column can hold the value. */
export function typedLiteral(text: string, type: ColumnType): string | undefined {
  const value = valueText(text, type)
  return value === undefined ? undefined : valueExpression(quoteLiteral(value), type)
}

/** The same value in the text that {@link valueExpression} reads. */
export function valueText(text: string, type: ColumnType): string | undefined {
  const range = rangeOf(type)
  if (!range) return text
  const value = ordinal(text, type)
  return value >= range.low && value <= range.high ? textOf(value, type) : undefined
}

/** SQL for the value whose {@link valueText} is the VARCHAR expression `text`. */
export function valueExpression(text: string, type: ColumnType): string {
  switch (type.kind) {
    case 'boolean':
      return `TO_BOOLEAN(${text})`
    case 'integer':
      return `TO_NUMBER(${text}, 38, 0)`
    case 'decimal':
      return `TO_NUMBER(${text}, 38, ${type.scale})`
    case 'float':
      return `TO_DOUBLE(${text})`
    case 'string':
      return text
    case 'binary':
      return `TO_BINARY(${text}, 'BASE64')`
    case 'date':
      return `TO_DATE(${text}, 'YYYY-MM-DD')`
    case 'time':
      return `TO_TIME(${text})`
    case 'timestamp':
      return type.zone
        ? `TO_TIMESTAMP_TZ(${text} || ' +0000', '${TIMESTAMP_FORMAT} TZHTZM')`
        : `TO_TIMESTAMP_NTZ(${text}, '${TIMESTAMP_FORMAT}')`
    case 'other':
      throw uncomparable()
  }
}

const TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9'

/**
 * `start <= column < end` for a column of type integer, date or timestamp. A bound that the type cannot hold is one that
 * all of its values, or none, lie beyond.
 */
export function windowCondition(column: string, type: ColumnType, start: string, end: string): string {
  const range = rangeOf(type)
  if (!range) throw uncomparable()
  const [from, to] = [ordinal(start, type), ordinal(end, type)]
  if (from > range.high || to <= range.low) return 'FALSE'
  const literal = (value: bigint) => valueExpression(quoteLiteral(textOf(value, type)), type)
  // biome-ignore lint/complexity/useMathMinMax: Math.max takes no bigint
  const lower = `${column} >= ${literal(from < range.low ? range.low : from)}`
  return to > range.high
    ? `${lower} AND ${column} <= ${literal(range.high)}`
    : `${lower} AND ${column} < ${literal(to)}`
}

function uncomparable(): SourceError {
  return new SourceError('a column of this type cannot be compared with values', { retryable: false })
}

const MOST_NUMBER = 10n ** 38n - 1n
const FIRST_DAY = BigInt(readDate('0001-01-01')!)
const LAST_DAY = BigInt(readDate('9999-12-31')!)

/** The values that Snowflake has for a type, both ends included: 38 digits, and years of four. */
function rangeOf(type: ColumnType): { readonly low: bigint; readonly high: bigint } | undefined {
  if (type.kind === 'integer') return { low: -MOST_NUMBER, high: MOST_NUMBER }
  if (type.kind === 'date') return { low: FIRST_DAY, high: LAST_DAY }
  if (type.kind === 'timestamp') return { low: FIRST_DAY * DAY_NANOS, high: (LAST_DAY + 1n) * DAY_NANOS - 1n }
  return undefined
}

function ordinal(text: string, type: ColumnType): bigint {
  if (type.kind === 'integer') return BigInt(text)
  return type.kind === 'date' ? BigInt(readDate(text)!) : readTimestamp(text)!
}

/** Of a value in its range. */
function textOf(value: bigint, type: ColumnType): string {
  if (type.kind === 'integer') return String(value)
  const nanos = type.kind === 'date' ? value * DAY_NANOS : value
  const second = 1_000_000_000n
  const fraction = ((nanos % second) + second) % second
  const iso = new Date(Number((nanos - fraction) / 1_000_000n)).toISOString()
  if (type.kind === 'date') return iso.slice(0, 10)
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.${String(fraction).padStart(9, '0')}`
}

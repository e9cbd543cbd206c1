/**
 * What the footer of a Parquet file says about the values of a column in a row group. Source: `parquet.thrift`, "Statistics"
 * and "ColumnOrder".
 *
 * Rows are left out by it unread, so all that is not beyond doubt counts as unknown: bounds in an undefined order (written
 * before there was `column_orders`), of a wrong length or the wrong way round, INT96, NaN.
 */
import type { ColumnType, TimeUnit } from './column-type.ts'
import type { ColumnChunk, ParquetFooter, RawStatistics, SchemaElement } from './parquet-footer.ts'
import type { ColumnRange, ValueRange } from './spans.ts'
import { doubleKey, wholeBytes, wholeKey } from './value-keys.ts'

/** Of a top-level column in row group number `group`. Undefined where nothing is known. */
export function columnRange(footer: ParquetFooter, group: number, column: string): ColumnRange | undefined {
  const found = topLevelLeaf(footer, column)
  if (!found) return undefined
  const { columns, num_rows } = footer.row_groups[group]!
  const chunk = columns[found.leaf]
  if (!chunk?.statistics || !isOf(chunk, found.element)) return undefined
  const bounds = boundsOf(found.element)
  if (!bounds) return undefined
  if (chunk.statistics.null_count === num_rows) return { type: bounds.type, values: 'none' }
  const values = valueRange(chunk.statistics, bounds, footer.ordered[found.leaf]!)
  return values && { type: bounds.type, values }
}

/** The first of that name, as in the batches that are decoded; undefined also where it is a list or a struct. */
function topLevelLeaf(
  { schema }: ParquetFooter,
  column: string,
): { readonly element: SchemaElement; readonly leaf: number } | undefined {
  let leaf = 0
  let within = 0
  for (const element of schema.slice(1)) {
    const isTopLevel = within === 0
    within = Math.max(0, within - 1) + element.num_children
    if (isTopLevel && element.name === column) {
      return element.type === undefined || element.repetition_type === 'REPEATED' ? undefined : { element, leaf }
    }
    if (element.type !== undefined) leaf++
  }
  return undefined
}

function isOf({ type, path_in_schema, file_path, encrypted }: ColumnChunk, element: SchemaElement): boolean {
  const isHere = file_path === undefined && !encrypted
  return isHere && type === element.type && path_in_schema.length === 1 && path_in_schema[0] === element.name
}

interface Bounds {
  readonly type: ColumnType
  /** From a bound in plain encoding. Undefined: it cannot be one. */
  key(bound: Uint8Array): Uint8Array | undefined
  /** Whether it is ordered as signed numbers are, which is the order of the deprecated bounds. */
  readonly signed?: boolean
}

function valueRange(found: RawStatistics, { key, signed }: Bounds, ordered: boolean): ValueRange | undefined {
  const { min_value, max_value } = found
  const current = ordered && min_value !== undefined && max_value !== undefined
  const [least, greatest] = current ? [min_value, max_value] : signed ? [found.min, found.max] : []
  const min = least && key(least)
  const max = greatest && key(greatest)
  return min && max && Buffer.compare(min, max) <= 0 ? { min, max } : undefined
}

function boundsOf(element: SchemaElement): Bounds | undefined {
  switch (element.type) {
    case 'BOOLEAN':
      return booleanBounds
    case 'INT32':
    case 'INT64':
      return integerBounds(element, element.type === 'INT32' ? 4 : 8)
    case 'FLOAT':
      return { type: { kind: 'float', bits: 32 }, key: bound => doubleOf(bound, 4, view => view.getFloat32(0, true)) }
    case 'DOUBLE':
      return { type: { kind: 'float', bits: 64 }, key: bound => doubleOf(bound, 8, view => view.getFloat64(0, true)) }
    case 'BYTE_ARRAY':
    case 'FIXED_LEN_BYTE_ARRAY':
      return bytesBounds(element)
    default:
      return undefined
  }
}

const booleanBounds: Bounds = {
  type: { kind: 'boolean' },
  key: bound => (bound.length === 1 && bound[0]! <= 1 ? wholeKey(BigInt(bound[0]!), 16) : undefined),
}

function integerBounds(element: SchemaElement, width: 4 | 8): Bounds | undefined {
  const found = integerType(element, width * 8)
  if (!found) return undefined
  const { type, scale = 1n } = found
  const signed = type.kind !== 'integer' || type.signed
  const bits = type.kind === 'integer' ? type.bits : width * 8
  const least = signed ? -(1n << BigInt(bits - 1)) : 0n
  const greatest = least + (1n << BigInt(bits)) - 1n
  const read = (view: DataView): bigint => {
    if (width === 4) return BigInt(signed ? view.getInt32(0, true) : view.getUint32(0, true))
    return signed ? view.getBigInt64(0, true) : view.getBigUint64(0, true)
  }
  return {
    type,
    signed,
    key(bound) {
      const value = bound.length === width ? read(viewOf(bound)) : undefined
      const isValue = value !== undefined && value >= least && value <= greatest
      return isValue ? wholeKey(value * scale, wholeBytes(type)) : undefined
    },
  }
}

/** `scale`: nanoseconds per unit. */
function integerType(element: SchemaElement, width: number): { type: ColumnType; scale?: bigint } | undefined {
  const { logical_type: logical, converted_type: converted } = element
  const decimal = decimalType(element)
  if (decimal) return { type: decimal }
  if (logical?.kind === 'DATE' || converted === CONVERTED.DATE) return { type: { kind: 'date' }, scale: DAY_NANOS }
  const time = timeType(element)
  if (time) return { type: time, scale: UNIT_NANOS[time.unit] }
  if (logical?.kind === 'INTEGER') return integerOf(logical.bits, logical.signed)
  if (logical !== undefined) return undefined
  if (converted === undefined) return integerOf(width, true)
  if (converted < CONVERTED.UINT_8 || converted > CONVERTED.INT_64) return undefined
  const signed = converted > CONVERTED.UINT_64
  return integerOf(8 << (converted - (signed ? CONVERTED.INT_8 : CONVERTED.UINT_8)), signed)
}

function integerOf(bits: number, signed: boolean): { type: ColumnType } | undefined {
  return bits === 8 || bits === 16 || bits === 32 || bits === 64
    ? { type: { kind: 'integer', bits, signed } }
    : undefined
}

function timeType({ logical_type: logical, converted_type: converted }: SchemaElement): TimeType | undefined {
  if (logical?.kind === 'TIME') return { kind: 'time', unit: logical.unit }
  if (logical?.kind === 'TIMESTAMP') return { kind: 'timestamp', unit: logical.unit, zone: logical.utc }
  if (logical !== undefined) return undefined
  if (converted === CONVERTED.TIME_MILLIS || converted === CONVERTED.TIME_MICROS)
    return { kind: 'time', unit: converted === CONVERTED.TIME_MILLIS ? 'ms' : 'us' }
  if (converted === CONVERTED.TIMESTAMP_MILLIS || converted === CONVERTED.TIMESTAMP_MICROS)
    return { kind: 'timestamp', unit: converted === CONVERTED.TIMESTAMP_MILLIS ? 'ms' : 'us', zone: true }
  return undefined
}

type TimeType = Extract<ColumnType, { readonly unit: TimeUnit }>

function decimalType(element: SchemaElement): Extract<ColumnType, { kind: 'decimal' }> | undefined {
  const { logical_type: logical, converted_type: converted } = element
  if (logical?.kind === 'DECIMAL') return { kind: 'decimal', precision: logical.precision, scale: logical.scale }
  if (logical !== undefined || converted !== CONVERTED.DECIMAL) return undefined
  return { kind: 'decimal', precision: element.precision ?? 0, scale: element.scale ?? 0 }
}

/** Of strings and bytes a bound may be cut short, which keeps it a bound; a decimal would become another. */
function bytesBounds(element: SchemaElement): Bounds | undefined {
  const { type, type_length, logical_type: logical, converted_type: converted } = element
  const decimal = decimalType(element)
  if (decimal) {
    const isWhole = ({ length }: Uint8Array): boolean => (type === 'BYTE_ARRAY' ? length > 0 : length === type_length)
    return {
      type: decimal,
      key: bound => (isWhole(bound) ? wholeKey(bigEndian(bound), wholeBytes(decimal)) : undefined),
    }
  }
  if (logical?.kind === 'STRING' || (logical === undefined && converted === CONVERTED.UTF8))
    return type === 'BYTE_ARRAY' ? { type: { kind: 'string' }, key: bound => bound } : undefined
  const plain = (logical === undefined && converted === undefined) || logical?.kind === 'UUID'
  return plain ? { type: { kind: 'binary' }, key: bound => bound } : undefined
}

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString('hex')}`))
}

function doubleOf(bound: Uint8Array, width: number, read: (view: DataView) => number): Uint8Array | undefined {
  return bound.length === width ? doubleKey(read(viewOf(bound))) : undefined
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

/** Of `parquet.thrift`, ConvertedType. */
const CONVERTED = {
  UTF8: 0,
  DECIMAL: 5,
  DATE: 6,
  TIME_MILLIS: 7,
  TIME_MICROS: 8,
  TIMESTAMP_MILLIS: 9,
  TIMESTAMP_MICROS: 10,
  UINT_8: 11,
  UINT_64: 14,
  INT_8: 15,
  INT_64: 18,
} as const

const DAY_NANOS = 86_400_000_000_000n
const UNIT_NANOS: Readonly<Record<TimeUnit, bigint>> = { s: 1_000_000_000n, ms: 1_000_000n, us: 1000n, ns: 1n }

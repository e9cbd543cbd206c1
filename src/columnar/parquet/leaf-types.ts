/**
 * The Arrow type of a flat Parquet column, and how its values come to be Arrow's: the same types as parquet-wasm has for
 * them, but for strings and binary values, which become views.
 *
 * Source: apache/parquet-format, LogicalTypes.md. Where the older "converted type" and the logical type are both there, the
 * logical type counts.
 */
import {
  BinaryView,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  TimeMicrosecond,
  TimeMillisecond,
  TimeNanosecond,
  Timestamp,
  TimeUnit,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8View,
} from 'apache-arrow'
import type { LogicalType, SchemaElement } from '../parquet-footer.ts'

/** How the PLAIN values of a column become elements of an Arrow array. */
export type Form =
  | 'same'
  /** Integers of 32 bits that are stored in 8 or 16. */
  | 'narrow'
  /** Integers of 32 or 64 bits that are stored in 128. */
  | 'widen'
  /** Big-endian integers that are stored in 128 bits, little-endian. */
  | 'reverse'
  | 'reverse-variable'
  /** Bits; an element is a byte while decoding. */
  | 'bits'
  /** Length and bytes that become a view of 16 bytes. */
  | 'view'

export interface LeafType {
  readonly type: DataType
  readonly form: Form
  /** Of a PLAIN value; 0 where each has a length of its own, or less than a byte. */
  readonly plainBytes: number
  readonly elementBytes: number
}

/** Undefined for what is left to parquet-wasm. */
export function leafType(element: SchemaElement): LeafType | undefined {
  const annotation = element.logical_type ?? convertedType(element)
  if (annotation === 'unknown') return undefined
  switch (element.type) {
    case 'BOOLEAN':
      return annotation ? undefined : { type: new Bool(), form: 'bits', plainBytes: 0, elementBytes: 1 }
    case 'INT32':
      return int32(annotation)
    case 'INT64':
      return int64(annotation)
    case 'FLOAT':
      return annotation ? undefined : same(new Float32(), 4)
    case 'DOUBLE':
      return annotation ? undefined : same(new Float64(), 8)
    case 'BYTE_ARRAY':
      return byteArray(annotation)
    case 'FIXED_LEN_BYTE_ARRAY':
      return fixedBytes(element.type_length ?? 0, annotation)
    default:
      return undefined
  }
}

function int32(annotation: LogicalType | undefined): LeafType | undefined {
  switch (annotation?.kind) {
    case undefined:
      return same(new Int32(), 4)
    case 'INTEGER':
      return int32OfBits(annotation.bits, annotation.signed)
    case 'DATE':
      return same(new DateDay(), 4)
    case 'TIME':
      return annotation.unit === 'ms' ? same(new TimeMillisecond(), 4) : undefined
    case 'DECIMAL':
      return decimal(annotation, 9, 'widen', 4)
    default:
      return undefined
  }
}

function int32OfBits(bits: number, signed: boolean): LeafType | undefined {
  switch (bits) {
    case 8:
      return { type: signed ? new Int8() : new Uint8(), form: 'narrow', plainBytes: 4, elementBytes: 1 }
    case 16:
      return { type: signed ? new Int16() : new Uint16(), form: 'narrow', plainBytes: 4, elementBytes: 2 }
    case 32:
      return same(signed ? new Int32() : new Uint32(), 4)
    default:
      return undefined
  }
}

function int64(annotation: LogicalType | undefined): LeafType | undefined {
  switch (annotation?.kind) {
    case undefined:
      return same(new Int64(), 8)
    case 'INTEGER':
      return annotation.bits === 64 ? same(annotation.signed ? new Int64() : new Uint64(), 8) : undefined
    case 'TIME':
      if (annotation.unit === 'ms') return undefined
      return same(annotation.unit === 'us' ? new TimeMicrosecond() : new TimeNanosecond(), 8)
    case 'TIMESTAMP':
      return same(new Timestamp(TIMESTAMP_UNITS[annotation.unit], annotation.utc ? 'UTC' : undefined), 8)
    case 'DECIMAL':
      return decimal(annotation, 18, 'widen', 8)
    default:
      return undefined
  }
}

const TIMESTAMP_UNITS = { ms: TimeUnit.MILLISECOND, us: TimeUnit.MICROSECOND, ns: TimeUnit.NANOSECOND }

function byteArray(annotation: LogicalType | undefined): LeafType | undefined {
  switch (annotation?.kind) {
    case 'STRING':
    case 'JSON':
      return { type: new Utf8View(), form: 'view', plainBytes: 0, elementBytes: 16 }
    case undefined:
    case 'BSON':
    case 'ENUM':
      return { type: new BinaryView(), form: 'view', plainBytes: 0, elementBytes: 16 }
    case 'DECIMAL':
      return decimal(annotation, MOST_DIGITS, 'reverse-variable', 0)
    default:
      return undefined
  }
}

function fixedBytes(bytes: number, annotation: LogicalType | undefined): LeafType | undefined {
  if (bytes <= 0) return undefined
  switch (annotation?.kind) {
    case undefined:
      return same(new FixedSizeBinary(bytes), bytes)
    case 'UUID':
      return bytes === 16 ? same(new FixedSizeBinary(bytes), bytes) : undefined
    case 'FLOAT16':
      return bytes === 2 ? same(new Float16(), bytes) : undefined
    case 'DECIMAL':
      return bytes <= 16 ? decimal(annotation, MOST_DIGITS, 'reverse', bytes) : undefined
    default:
      return undefined
  }
}

/** Of a Decimal128. */
const MOST_DIGITS = 38

function decimal(
  { precision, scale }: { readonly precision: number; readonly scale: number },
  mostDigits: number,
  form: Form,
  plainBytes: number,
): LeafType | undefined {
  if (precision < 1 || precision > mostDigits || scale < 0 || scale > precision) return undefined
  return { type: new Decimal(scale, precision, 128), form, plainBytes, elementBytes: 16 }
}

function same(type: DataType, bytes: number): LeafType {
  return { type, form: 'same', plainBytes: bytes, elementBytes: bytes }
}

/** By its number in `parquet.thrift`. */
function convertedType({ converted_type, precision, scale }: SchemaElement): LogicalType | undefined | 'unknown' {
  switch (converted_type) {
    case undefined:
      return undefined
    case 0:
      return { kind: 'STRING' }
    case 4:
      return { kind: 'ENUM' }
    case 5:
      return { kind: 'DECIMAL', precision: precision ?? 0, scale: scale ?? 0 }
    case 6:
      return { kind: 'DATE' }
    case 7:
    case 8:
      return { kind: 'TIME', unit: converted_type === 7 ? 'ms' : 'us', utc: true }
    case 9:
    case 10:
      return { kind: 'TIMESTAMP', unit: converted_type === 9 ? 'ms' : 'us', utc: true }
    case 19:
      return { kind: 'JSON' }
    case 20:
      return { kind: 'BSON' }
    default: {
      // UINT_8 to UINT_64, then INT_8 to INT_64
      const signed = converted_type >= 15
      const width = converted_type - (signed ? 15 : 11)
      return converted_type >= 11 && width < 4 ? { kind: 'INTEGER', bits: 8 << width, signed } : 'unknown'
    }
  }
}

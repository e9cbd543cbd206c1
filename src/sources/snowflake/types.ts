/** What Snowflake's types are to millrace, and what has to change on the way into Parquet so that no value changes. */
import type { ColumnType, TimeUnit } from '../../columnar/column-type.ts'

export interface TypePlan {
  readonly type: ColumnType
  /** SQL for what is staged of `value`, an expression of the type. */
  staged(value: string): string
}

const itself = (value: string): string => value
/** Unloading an instant is an error. A date and time in UTC is left of it, which is how it is delivered. */
const inUtc = (value: string): string => `CONVERT_TIMEZONE('UTC', ${value})::TIMESTAMP_NTZ(9)`
const asJson = (value: string): string => `TO_JSON(${value}::VARIANT)`
const OTHER: ColumnType = { kind: 'other' }

/** `native`: the type as DESCRIBE names it, `NUMBER(38,0)`. */
export function typePlan(native: string): TypePlan {
  const [, name = '', first, second] = /^([A-Z_][A-Z0-9_]*)(?:\((\d+)(?:, ?(\d+))?\))?/.exec(native) ?? []
  switch (name) {
    case 'NUMBER':
    case 'DECIMAL':
    case 'NUMERIC':
      return { type: numberType(Number(first ?? 38), Number(second ?? 0)), staged: itself }
    case 'FLOAT':
    case 'DOUBLE':
    case 'REAL':
      return { type: { kind: 'float', bits: 64 }, staged: itself }
    case 'VARCHAR':
    case 'CHAR':
    case 'STRING':
    case 'TEXT':
      return { type: { kind: 'string' }, staged: itself }
    case 'BOOLEAN':
      return { type: { kind: 'boolean' }, staged: itself }
    case 'BINARY':
    case 'VARBINARY':
      return { type: { kind: 'binary' }, staged: itself }
    case 'DATE':
      return { type: { kind: 'date' }, staged: itself }
    case 'TIME':
      return { type: { kind: 'time', unit: unitOf(first) }, staged: itself }
    case 'TIMESTAMP_NTZ':
      return { type: { kind: 'timestamp', unit: unitOf(first), zone: false }, staged: itself }
    case 'TIMESTAMP_LTZ':
    case 'TIMESTAMP_TZ':
      return { type: { kind: 'timestamp', unit: unitOf(first), zone: true }, staged: inUtc }
    case 'GEOGRAPHY':
    case 'GEOMETRY':
      return { type: OTHER, staged: value => asJson(`ST_ASGEOJSON(${value})`) }
    case 'VECTOR':
      return { type: OTHER, staged: value => asJson(`${value}::ARRAY`) }
    case 'VARIANT':
    case 'OBJECT':
    case 'ARRAY':
    case 'MAP':
      return { type: OTHER, staged: asJson }
    default:
      return { type: OTHER, staged: value => `TO_VARCHAR(${value})` }
  }
}

function numberType(precision: number, scale: number): ColumnType {
  if (scale === 0) return { kind: 'integer', bits: 128, signed: true }
  return { kind: 'decimal', precision, scale }
}

function unitOf(precision = '9'): TimeUnit {
  const digits = Number(precision)
  if (digits === 0) return 's'
  if (digits <= 3) return 'ms'
  return digits <= 6 ? 'us' : 'ns'
}

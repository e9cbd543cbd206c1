/**
 * What has to change on the way into Parquet so that no value changes, and what DuckDB's types are to millrace. Found by
 * staging extreme values of every type and reading them back.
 */
import type { DuckDBType } from '@duckdb/node-api'
import type { ColumnType } from '../../columnar/column-type.ts'
import { quoteIdentifier, quoteLiteral } from '../sql.ts'

const integer = (bits: 8 | 16 | 32 | 64 | 128, signed: boolean): ColumnType => ({ kind: 'integer', bits, signed })
const timestamp = (unit: 's' | 'ms' | 'us' | 'ns', zone = false): ColumnType => ({ kind: 'timestamp', unit, zone })

/** By the driver's name of the type. ENUM and DECIMAL have parameters; what is not here is `other`. */
const COLUMN_TYPES: Readonly<Record<string, ColumnType>> = {
  BOOLEAN: { kind: 'boolean' },
  TINYINT: integer(8, true),
  SMALLINT: integer(16, true),
  INTEGER: integer(32, true),
  BIGINT: integer(64, true),
  HUGEINT: integer(128, true),
  UTINYINT: integer(8, false),
  USMALLINT: integer(16, false),
  UINTEGER: integer(32, false),
  UBIGINT: integer(64, false),
  UHUGEINT: integer(128, false),
  FLOAT: { kind: 'float', bits: 32 },
  DOUBLE: { kind: 'float', bits: 64 },
  VARCHAR: { kind: 'string' },
  UUID: { kind: 'string' },
  BIT: { kind: 'string' },
  BLOB: { kind: 'binary' },
  DATE: { kind: 'date' },
  TIME: { kind: 'time', unit: 'us' },
  TIME_NS: { kind: 'time', unit: 'ns' },
  TIMESTAMP_S: timestamp('s'),
  TIMESTAMP_MS: timestamp('ms'),
  TIMESTAMP: timestamp('us'),
  TIMESTAMP_NS: timestamp('ns'),
  'TIMESTAMP WITH TIME ZONE': timestamp('us', true),
}

export function columnType(type: DuckDBType): ColumnType {
  if ('width' in type) return { kind: 'decimal', precision: type.width, scale: type.scale }
  if ('valueIndexes' in type) return { kind: 'string' }
  return COLUMN_TYPES[String(type)] ?? { kind: 'other' }
}

const finite = (value: string): string => `CASE WHEN isfinite(${value}) THEN ${value} END`
const text = (value: string): string => `CAST(${value} AS VARCHAR)`
const decimal = (value: string): string => `CAST(${value} AS DECIMAL(38, 0))`

/** The table in the docstring of `duckdbSource` says why. */
const CONVERSIONS: Readonly<Record<string, (value: string) => string>> = {
  HUGEINT: decimal,
  UHUGEINT: decimal,
  UUID: text,
  BIT: text,
  'TIME WITH TIME ZONE': text,
  INTERVAL: value => `millrace_interval(${value})`,
  // the cast alone makes the text `null` of NULL
  VARIANT: value => `CASE WHEN ${value} IS NOT NULL THEN CAST(CAST(${value} AS JSON) AS VARCHAR) END`,
  DATE: finite,
  TIMESTAMP_S: finite,
  TIMESTAMP_MS: finite,
  TIMESTAMP: finite,
  TIMESTAMP_NS: finite,
  'TIMESTAMP WITH TIME ZONE': finite,
}

/** SQL for what is staged of `value`, an expression of this type: itself where nothing has to change. */
export function stagedExpression(type: DuckDBType, value: string): string {
  if ('keyType' in type) {
    const entry = packed([
      ['key', stagedExpression(type.keyType, 'x.key')],
      ['value', stagedExpression(type.valueType, 'x.value')],
    ])
    const plain = entry === packed([['key', 'x.key'], ['value', 'x.value']]) // biome-ignore format: one pair a member
    return plain ? value : `map_from_entries(list_transform(map_entries(${value}), lambda x: ${entry}))`
  }
  if ('valueType' in type) {
    const element = stagedExpression(type.valueType, 'x')
    return element === 'x' ? value : `list_transform(${value}, lambda x: ${element})`
  }
  if ('entryNames' in type) {
    const members = type.entryNames.map((name, index) => {
      const member = `struct_extract(${value}, ${name === '' ? index + 1 : quoteLiteral(name)})`
      return { name, member, staged: stagedExpression(type.entryTypes[index]!, member) }
    })
    if (members.every(({ member, staged }) => member === staged)) return value
    const struct = packed(members.map(({ name, staged }) => [name, staged]))
    return `CASE WHEN ${value} IS NOT NULL THEN ${struct} END`
  }
  if ('memberTags' in type) {
    const members = type.memberTags.map((tag, index): [string, string] => {
      return [tag, stagedExpression(type.memberTypes[index]!, `union_extract(${value}, ${quoteLiteral(tag)})`)]
    })
    const struct = packed([['tag', text(`union_tag(${value})`)], ...members])
    return `CASE WHEN ${value} IS NOT NULL THEN ${struct} END`
  }
  return CONVERSIONS[String(type)]?.(value) ?? value
}

function packed(members: readonly (readonly [name: string, value: string])[]): string {
  return `struct_pack(${members.map(([name, value]) => `${quoteIdentifier(name)} := ${value}`).join(', ')})`
}

/** ISO 8601 as `formatInterval` in `columnar/calendar.ts` writes it; its parts, of which DuckDB has years to microseconds, share a sign or have their own. */
export const INTERVAL_MACROS: readonly string[] = [
  `CREATE TEMP MACRO millrace_part(n, unit) AS CASE WHEN n = 0 THEN '' ELSE n || unit END`,
  `CREATE TEMP MACRO millrace_fraction(us) AS CASE
     WHEN us = 0 THEN ''
     WHEN us % 1000 = 0 THEN '.' || lpad(CAST(us // 1000 AS VARCHAR), 3, '0')
     ELSE '.' || lpad(CAST(us AS VARCHAR), 6, '0') END`,
  `CREATE TEMP MACRO millrace_seconds(us) AS CASE WHEN us = 0 THEN '' ELSE
     CASE WHEN us < 0 THEN '-' ELSE '' END || abs(us) // 1000000 || millrace_fraction(abs(us) % 1000000) || 'S' END`,
  `CREATE TEMP MACRO millrace_sign(years, months, days, hours, minutes, us) AS CASE
     WHEN greatest(years, months, days, hours, minutes, us) <= 0 AND least(years, months, days, hours, minutes, us) < 0
     THEN -1 ELSE 1 END`,
  `CREATE TEMP MACRO millrace_joined(sign, dates, times) AS CASE WHEN sign < 0 THEN '-P' ELSE 'P' END || CASE
     WHEN times <> '' THEN dates || 'T' || times
     WHEN dates = '' THEN 'T0S'
     ELSE dates END`,
  `CREATE TEMP MACRO millrace_signed(sign, years, months, days, hours, minutes, us) AS millrace_joined(sign,
     millrace_part(sign * years, 'Y') || millrace_part(sign * months, 'M') || millrace_part(sign * days, 'D'),
     millrace_part(sign * hours, 'H') || millrace_part(sign * minutes, 'M') || millrace_seconds(sign * us))`,
  `CREATE TEMP MACRO millrace_parts(years, months, days, hours, minutes, us) AS millrace_signed(
     millrace_sign(years, months, days, hours, minutes, us), years, months, days, hours, minutes, us)`,
  `CREATE TEMP MACRO millrace_interval(i) AS millrace_parts(datepart('year', i), datepart('month', i), datepart('day', i),
     datepart('hour', i), datepart('minute', i), datepart('microsecond', i))`,
]

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { formatDate, formatTimestamp } from '../../src/columnar/calendar.ts'
import type { ColumnType, TimeUnit } from '../../src/columnar/column-type.ts'
import { quoteIdentifier, quoteLiteral, typedLiteral, valueText, windowCondition } from '../../src/sources/sql.ts'

let connection: DuckDBConnection
beforeAll(async () => {
  connection = await (await DuckDBInstance.create()).connect()
  await connection.run("SET TimeZone = 'UTC'; CREATE TABLE x (a INTEGER)")
})

const HOSTILE = [
  "'",
  "''",
  '"',
  '\\',
  "\\'",
  '\0',
  '\n',
  ';',
  '--',
  '/*',
  '$1',
  '?',
  '{',
  'é',
  '😀',
  "'; DROP TABLE x; --",
]
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom(...HOSTILE), { maxLength: 8 }).map(parts => parts.join('')),
)

async function rowOf(expressions: readonly string[]): Promise<unknown[]> {
  const result = await connection.runAndReadAll(`SELECT ${expressions.join(', ')}`)
  return result.getRows()[0]!
}

describe('quoting', () => {
  it('brings every text through as it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1 }), async texts => {
        expect(await rowOf(texts.map(quoteLiteral))).toEqual(texts)
      }),
    )
    expect(await rowOf([quoteLiteral('a\ud800b')])).toEqual(['a\ufffdb'])
    expect(await rowOf(['count(*) FROM x'])).toEqual([0n])
  })

  it('brings every name through as it is', async () => {
    const name = text.filter(each => each !== '' && !each.includes('\0'))
    await fc.assert(
      fc.asyncProperty(name, async name => {
        const result = await connection.run(`SELECT 1 AS ${quoteIdentifier(name)}`)
        expect(result.columnNames()).toEqual([name])
      }),
    )
  })

  it.each(['', 'a\0b'])('refuses the name %j', name => {
    expect(() => quoteIdentifier(name)).toThrow('a table or column name is empty or has a NUL character')
  })
})

/** A value in the unit that DuckDB counts it in, its canonical text, and SQL that shows the unit of a literal. */
interface Typed {
  readonly type: ColumnType
  readonly low: bigint
  readonly high: bigint
  text(value: bigint): string
  shown(literal: string): string
}

const MICROS = { low: -9_223_372_022_400_000_000n, high: 9_223_372_036_854_775_806n }

const COUNTED: readonly Typed[] = [
  integers(8, true),
  integers(16, false),
  integers(32, true),
  integers(64, true),
  integers(64, false),
  integers(128, true),
  integers(128, false),
  {
    type: { kind: 'date' },
    low: -2_147_483_646n,
    high: 2_147_483_646n,
    text: days => formatDate(Number(days)),
    shown: literal => `${literal} - DATE '1970-01-01'`,
  },
  timestamps('s', 1_000_000_000n, { low: MICROS.low / 1_000_000n, high: MICROS.high / 1_000_000n }),
  timestamps('ms', 1_000_000n, { low: MICROS.low / 1_000n, high: MICROS.high / 1_000n }),
  timestamps('us', 1_000n, MICROS),
  timestamps('us', 1_000n, MICROS, true),
  timestamps('ns', 1n, { low: -9_223_286_400_000_000_000n, high: MICROS.high }),
]

function integers(bits: 8 | 16 | 32 | 64 | 128, signed: boolean): Typed {
  const size = 1n << BigInt(signed ? bits - 1 : bits)
  const range = { low: signed ? -size : 0n, high: size - 1n }
  return { type: { kind: 'integer', bits, signed }, ...range, text: String, shown: literal => literal }
}

function timestamps(unit: TimeUnit, nanos: bigint, range: { low: bigint; high: bigint }, zone = false): Typed {
  return {
    type: { kind: 'timestamp', unit, zone },
    ...range,
    text: value => formatTimestamp(value * nanos),
    shown: literal => (unit === 'ns' ? `epoch_ns(${literal})` : `epoch_us(${literal}) // ${nanos / 1_000n}`),
  }
}

function valuesOf({ low, high }: Typed): fc.Arbitrary<bigint> {
  return fc.oneof(fc.constantFrom(low, high), fc.bigInt({ min: low, max: high }), fc.bigInt({ min: -9n, max: 9n }))
}

const named = COUNTED.map(typed => [JSON.stringify(typed.type), typed] as const)

describe('typed literals', () => {
  it.each(named)('hold every value of %s that DuckDB has', async (_, typed) => {
    const values = fc.array(valuesOf(typed), { minLength: 1, maxLength: 50 })
    await fc.assert(
      fc.asyncProperty(values, async values => {
        const fitting = values.filter(value => value >= typed.low && value <= typed.high)
        const literals = fitting.map(
          value => `CAST(${typed.shown(typedLiteral(typed.text(value), typed.type)!)} AS VARCHAR)`,
        )
        if (literals.length > 0) expect(await rowOf(literals)).toEqual(fitting.map(String))
      }),
      { numRuns: 20 },
    )
  })

  it.each(named)('do not exist beyond the values of %s', (_, { type, low, high, text }) => {
    expect(typedLiteral(text(low - 1n), type)).toBeUndefined()
    expect(typedLiteral(text(high + 1n), type)).toBeUndefined()
    expect(valueText(text(high), type)).toBe(String(high))
  })

  it('hold decimals, floats, times, booleans, binary and text', async () => {
    const cases: readonly (readonly [string, ColumnType, unknown])[] = [
      ['-12345678901234567890123456789012.123456', { kind: 'decimal', precision: 38, scale: 6 }, '-12345678901234567890123456789012.123456'], // biome-ignore format: one a line
      ['0.1', { kind: 'float', bits: 64 }, '0.1'],
      ['5e-324', { kind: 'float', bits: 64 }, '5e-324'],
      ['1.7976931348623157e+308', { kind: 'float', bits: 64 }, '1.7976931348623157e+308'],
      ['0.10000000149011612', { kind: 'float', bits: 32 }, '0.1'],
      ['12:34:56.789012', { kind: 'time', unit: 'us' }, '12:34:56.789012'],
      ['12:34:56.789012345', { kind: 'time', unit: 'ns' }, '12:34:56.789012345'],
      ['true', { kind: 'boolean' }, 'true'],
      ['AP8n', { kind: 'binary' }, '\\x00\\xFF\\x27'],
      ["it's", { kind: 'string' }, "it's"],
    ]
    const shown = cases.map(([text, type]) => `CAST(${typedLiteral(text, type)} AS VARCHAR)`)
    expect(await rowOf(shown)).toEqual(cases.map(([, , expected]) => expected))
  })

  it('do not exist for types that cannot be compared', () => {
    expect(() => typedLiteral('1', { kind: 'other' })).toThrow('a column of this type cannot be compared with values')
  })
})

describe('windows', () => {
  it.each(named)('hold the values of %s from the start up to the end, wherever these are', async (_, typed) => {
    const { type, low, high, text } = typed
    const bound = fc.oneof(valuesOf(typed), fc.constantFrom(low - 1n, low - 1_000n, high + 1n, high + 1_000n))
    const value = valuesOf(typed).filter(value => value >= low && value <= high)
    await fc.assert(
      fc.asyncProperty(bound, bound, fc.array(value, { minLength: 1, maxLength: 20 }), async (start, end, values) => {
        const rows = values.map((value, index) => `(${index}, ${typedLiteral(text(value), type)})`)
        const from = `FROM (VALUES ${rows.join(', ')}, (-1, NULL)) v(i, x)`
        const condition = windowCondition('x', type, text(start), text(end))
        const result = await connection.runAndReadAll(`SELECT i ${from} WHERE ${condition} ORDER BY i`)
        const inside = values.flatMap((value, index) => (value >= start && value < end ? [index] : []))
        expect(result.getRows().flat()).toEqual(inside)
      }),
      { numRuns: 20 },
    )
  })
})

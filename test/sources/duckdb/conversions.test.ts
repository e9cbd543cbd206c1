import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { formatInterval } from '../../../src/columnar/calendar.ts'
import { INTERVAL_MACROS } from '../../../src/sources/duckdb/conversions.ts'
import { never, stageLines, warehouse } from './warehouse.ts'

const HUGE = '99999999999999999999999999999999999999'

/** Type, value as SQL, and the JSON that is delivered for it. */
const VALUES: readonly (readonly [type: string, value: string, json: string])[] = [
  ['BOOLEAN', 'true', 'true'],
  ['TINYINT', '-128', '-128'],
  ['SMALLINT', '-32768', '-32768'],
  ['INTEGER', '-2147483648', '-2147483648'],
  ['BIGINT', "'-9223372036854775808'", '-9223372036854775808'],
  ['UTINYINT', '255', '255'],
  ['USMALLINT', '65535', '65535'],
  ['UINTEGER', '4294967295', '4294967295'],
  ['UBIGINT', "'18446744073709551615'", '18446744073709551615'],
  ['HUGEINT', `'-${HUGE}'`, `-${HUGE}`],
  ['HUGEINT', '9007199254740993', '9007199254740993'],
  ['UHUGEINT', `'${HUGE}'`, HUGE],
  ['BIGNUM', `'1${HUGE}'`, `"1${HUGE}"`],
  ['FLOAT', '1.1', '1.1'],
  ['DOUBLE', '0.1', '0.1'],
  ['DOUBLE', "'infinity'", 'null'],
  ['DECIMAL(4,1)', '123.4', '123.4'],
  ['DECIMAL(18,6)', '1.5', '1.500000'],
  ['DECIMAL(38,6)', "'-12345678901234567890123456789012.123456'", '-12345678901234567890123456789012.123456'],
  ['VARCHAR', "'a' || chr(0) || 'é😀\"\\'", '"a\\u0000é😀\\"\\\\"'],
  ['JSON', `'{"a": 1.0}'`, '"{\\"a\\": 1.0}"'],
  ["ENUM('a', 'it''s')", "'it''s'", '"it\'s"'],
  ['UUID', "'ffffffff-4455-6677-8899-AABBCCDDEEFF'", '"ffffffff-4455-6677-8899-aabbccddeeff"'],
  ['BLOB', "'\\x00\\xFF'::BLOB", '"AP8="'],
  ['BIT', "'0101011'", '"0101011"'],
  ['DATE', "'2026-03-01'", '"2026-03-01"'],
  ['DATE', "'0044-03-15 (BC)'", '"-000043-03-15"'],
  ['DATE', "'5881580-07-10'", '"+5881580-07-10"'],
  ['DATE', "'infinity'", 'null'],
  ['TIME', "'12:34:56.789012'", '"12:34:56.789012"'],
  ['TIME', "'24:00:00'", '"24:00:00"'],
  ['TIME_NS', "'12:34:56.789012345'", '"12:34:56.789012345"'],
  ['TIMETZ', "'12:34:56.789+02:30'", '"12:34:56.789+02:30"'],
  ['TIMESTAMP_S', "'9999-12-31 00:00:01'", '"9999-12-31T00:00:01Z"'],
  ['TIMESTAMP_MS', "'2026-03-01 00:00:01.123'", '"2026-03-01T00:00:01.123Z"'],
  ['TIMESTAMP', "'0001-01-01 00:00:00.000001'", '"0001-01-01T00:00:00.000001Z"'],
  ['TIMESTAMP', "'294247-01-10 04:00:54.775806'", '"+294247-01-10T04:00:54.775806Z"'],
  ['TIMESTAMP', "'-infinity'", 'null'],
  ['TIMESTAMP_NS', "'2026-03-01 00:00:01.123456789'", '"2026-03-01T00:00:01.123456789Z"'],
  ['TIMESTAMP_NS', "'infinity'", 'null'],
  ['TIMESTAMPTZ', "'2026-03-01 02:00:01.123456+02'", '"2026-03-01T00:00:01.123456Z"'],
  ['INTERVAL', "'1 year 2 months 3 days 04:05:06.789012'", '"P1Y2M3DT4H5M6.789012S"'],
  ['INTERVAL', "'-3 microseconds'", '"-PT0.000003S"'],
  ['INTEGER[]', '[1, NULL, 3]', '[1,null,3]'],
  ['INTEGER[2]', '[1, 2]', '[1,2]'],
  ['HUGEINT[]', `['${HUGE}', NULL]`, `[${HUGE},null]`],
  ['UUID[][]', "[['00112233-4455-6677-8899-aabbccddeeff']]", '[["00112233-4455-6677-8899-aabbccddeeff"]]'],
  ['STRUCT(a INTEGER, "b ""c" HUGEINT)', `{'a': 1, 'b "c': 9007199254740993}`, '{"a":1,"b \\"c":9007199254740993}'],
  ['STRUCT(a UUID)', 'NULL', 'null'],
  ['STRUCT(a STRUCT(b INTERVAL)[])', "{'a': [{'b': INTERVAL 1 DAY}]}", '{"a":[{"b":"P1D"}]}'],
  ['MAP(VARCHAR, INTEGER)', "MAP {'k': 1}", '{"k":1}'],
  ['MAP(VARCHAR, HUGEINT)', "MAP {'k': 9007199254740993}", '{"k":9007199254740993}'],
  ['UNION(num HUGEINT, str VARCHAR)', 'union_value(num := 9007199254740993)', '{"tag":"num","num":9007199254740993,"str":null}'], // biome-ignore format: one case a line
  ['UNION(num INTEGER, str VARCHAR)', "union_value(str := 'x')", '{"tag":"str","num":null,"str":"x"}'],
  ['VARIANT', `{'a': 1.50::DECIMAL(9, 2), 'b': ['${HUGE}'::HUGEINT]}::VARIANT`, `"{\\"a\\":1.50,\\"b\\":[${HUGE}]}"`],
  ['GEOMETRY', "'POINT(1 2)'", '"AQEAAAAAAAAAAADwPwAAAAAAAABA"'],
]

test('values of every type, and its NULL, are delivered as they are in the table', async () => {
  const columns = VALUES.map(([type], index) => `c${index} ${type}`).join(', ')
  const values = VALUES.map(([type, value]) => `CAST(${value} AS ${type})`).join(', ')
  const { source } = await warehouse([
    `CREATE TABLE t (key INTEGER, ${columns})`,
    `INSERT INTO t VALUES (1, ${values})`,
    `INSERT INTO t (key) VALUES (2)`,
  ])
  const lines = await stageLines(source, { start: '0', end: '10', sorted: true })
  const expected = (json: (index: number) => string) => VALUES.map((_, index) => `"c${index}":${json(index)}`).join(',')
  expect(lines).toEqual([`{"key":1,${expected(index => VALUES[index]![2])}}`, `{"key":2,${expected(() => 'null')}}`])
})

it('fails, without the value, where an integer has more digits than Parquet can hold', async () => {
  const { source } = await warehouse([
    `CREATE TABLE t AS SELECT 1 AS key, CAST('170141183460469231731687303715884105727' AS HUGEINT) AS v`,
  ])
  const staging = stageLines(source, { start: '0', end: '10' })
  await expect(staging).rejects.toThrow('cannot stage t: DuckDB reports: Conversion Error (its message is withheld')
  await expect(staging).rejects.not.toThrow('1701411')
})

describe('the columns of a table', () => {
  it('have a type for every type of DuckDB', async () => {
    const types = [
      ['BOOLEAN', { kind: 'boolean' }],
      ['TINYINT', { kind: 'integer', bits: 8, signed: true }],
      ['USMALLINT', { kind: 'integer', bits: 16, signed: false }],
      ['INTEGER', { kind: 'integer', bits: 32, signed: true }],
      ['UBIGINT', { kind: 'integer', bits: 64, signed: false }],
      ['HUGEINT', { kind: 'integer', bits: 128, signed: true }],
      ['UHUGEINT', { kind: 'integer', bits: 128, signed: false }],
      ['DECIMAL(18,3)', { kind: 'decimal', precision: 18, scale: 3 }],
      ['FLOAT', { kind: 'float', bits: 32 }],
      ['DOUBLE', { kind: 'float', bits: 64 }],
      ['VARCHAR', { kind: 'string' }],
      ['JSON', { kind: 'string' }],
      ['UUID', { kind: 'string' }],
      ['BIT', { kind: 'string' }],
      ['BLOB', { kind: 'binary' }],
      ['DATE', { kind: 'date' }],
      ['TIME', { kind: 'time', unit: 'us' }],
      ['TIME_NS', { kind: 'time', unit: 'ns' }],
      ['TIMESTAMP_S', { kind: 'timestamp', unit: 's', zone: false }],
      ['TIMESTAMP_MS', { kind: 'timestamp', unit: 'ms', zone: false }],
      ['TIMESTAMP', { kind: 'timestamp', unit: 'us', zone: false }],
      ['TIMESTAMP_NS', { kind: 'timestamp', unit: 'ns', zone: false }],
      ['TIMESTAMP WITH TIME ZONE', { kind: 'timestamp', unit: 'us', zone: true }],
      ['TIME WITH TIME ZONE', { kind: 'other' }],
      ['INTERVAL', { kind: 'other' }],
      ['BIGNUM', { kind: 'other' }],
      ['VARIANT', { kind: 'other' }],
      ['GEOMETRY', { kind: 'other' }],
      ['INTEGER[]', { kind: 'other' }],
      ['INTEGER[3]', { kind: 'other' }],
      ['MAP(VARCHAR, INTEGER)', { kind: 'other' }],
    ] as const
    const columns = types.map(([type], index) => `c${index} ${type}`).join(', ')
    const { source } = await warehouse([`CREATE TABLE t (key INTEGER NOT NULL, e ENUM('a', 'b'), ${columns})`])
    expect(await source.describe('t', never())).toEqual({
      table: 't',
      partitionKeys: ['key'],
      columns: [
        { name: 'key', type: { kind: 'integer', bits: 32, signed: true }, native: 'INTEGER', nullable: false },
        { name: 'e', type: { kind: 'string' }, native: 'ENUM', nullable: true },
        ...types.map(([native, type], index) => ({ name: `c${index}`, type, native, nullable: true })),
      ],
    })
  })
})

test('intervals are written as millrace writes them', async () => {
  const connection = await (await DuckDBInstance.create()).connect()
  for (const macro of INTERVAL_MACROS) await connection.run(macro)
  const part = fc.oneof(fc.constant(0), fc.integer({ min: -500, max: 500 }))
  const micros = fc.oneof(part, fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }).map(Number))
  const intervals = fc.sample(fc.tuple(part, part, micros), { numRuns: 500, seed: 42 })
  const rows = intervals.map(
    ([months, days, us]) => `(to_months(${months}) + to_days(${days}) + to_microseconds(${us}))`,
  )
  const result = await connection.runAndReadAll(`SELECT millrace_interval(i) FROM (VALUES ${rows.join(', ')}) v(i)`)
  expect(result.getRows().flat()).toEqual(
    intervals.map(([months, days, us]) => formatInterval(months, days, BigInt(us) * 1_000n)),
  )
})

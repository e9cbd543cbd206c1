import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import {
  type LogicalType,
  type ParquetFooter,
  type RawStatistics,
  readFooter,
  type SchemaElement,
} from '../../src/columnar/parquet-footer.ts'
import type { ColumnRange } from '../../src/columnar/spans.ts'
import { columnRange } from '../../src/columnar/statistics.ts'
import { keyOf, wholeBytes } from '../../src/columnar/value-keys.ts'
import { chunkOf, countingAccess } from './read-units.ts'
import { parquetFile } from './staged-files.ts'

async function footerOf(query: string, options = ''): Promise<ParquetFooter> {
  const bytes = await parquetFile(query, options)
  const chunk = chunkOf(bytes)
  return readFooter(chunk, await openFileBytes(chunk, async () => countingAccess(bytes), new AbortController().signal))
}

function rangeOf(type: ColumnType, min: string, max: string): ColumnRange {
  return { type, values: { min: Uint8Array.from(keyOf(min, type)!), max: Uint8Array.from(keyOf(max, type)!) } }
}

/** With bytes of one class. */
function plain(range: ColumnRange | undefined): ColumnRange | undefined {
  if (range === undefined || range.values === 'none') return range
  const { min, max } = range.values
  return { ...range, values: { min: Uint8Array.from(min), max: Uint8Array.from(max) } }
}

const integer = (bits: 8 | 16 | 32 | 64, signed = true): ColumnType => ({ kind: 'integer', bits, signed })
const decimal = (precision: number, scale: number): ColumnType => ({ kind: 'decimal', precision, scale })

describe('in files of DuckDB', () => {
  test.each<[string, ColumnType, string, string, string?]>([
    ['[-128, 127]::TINYINT[]', integer(8), '-128', '127'],
    ['[-5, 7]::SMALLINT[]', integer(16), '-5', '7'],
    ['[-5, 7]::INTEGER[]', integer(32), '-5', '7'],
    [
      '[-9223372036854775808, 9223372036854775807]::BIGINT[]',
      integer(64),
      String(-(2n ** 63n)),
      String(2n ** 63n - 1n),
    ],
    ['[0, 255]::UTINYINT[]', integer(8, false), '0', '255'],
    ['[0, 4294967295]::UINTEGER[]', integer(32, false), '0', '4294967295'],
    ['[1, 18446744073709551615]::UBIGINT[]', integer(64, false), '1', String(2n ** 64n - 1n)],
    ['[-1.5, 2.25]::DECIMAL(4,2)[]', decimal(4, 2), '-1.50', '2.25'],
    ['[-1.5, 2.25]::DECIMAL(18,2)[]', decimal(18, 2), '-1.50', '2.25'],
    [
      "['-99999999999999999999999999999999999.5', '2.25']::DECIMAL(38,2)[]",
      decimal(38, 2),
      `-${'9'.repeat(35)}.50`,
      '2.25',
    ],
    ['[true, false]', { kind: 'boolean' }, 'false', 'true'],
    ['[-1.5, 2.25]::FLOAT[]', { kind: 'float', bits: 32 }, '-1.5', '2.25'],
    ['[-1e300, 5e-324]::DOUBLE[]', { kind: 'float', bits: 64 }, '-1e300', '5e-324'],
    ["[DATE '2026-03-01', DATE '1969-12-31']", { kind: 'date' }, '1969-12-31', '2026-03-01'],
    ["[TIME '10:00:00.5', TIME '09:00:00']", { kind: 'time', unit: 'us' }, '09:00:00', '10:00:00.5'],
    [
      "[TIMESTAMP '2026-03-01 00:00:00.000001', TIMESTAMP '1969-12-31 23:59:59.999999']",
      { kind: 'timestamp', unit: 'us', zone: false },
      ...(['1969-12-31T23:59:59.999999Z', '2026-03-01T00:00:00.000001Z'] as const),
    ],
    [
      "[TIMESTAMP_MS '2026-03-01 00:00:00.001', TIMESTAMP_MS '1969-12-31 23:59:59.999']",
      { kind: 'timestamp', unit: 'ms', zone: false },
      ...(['1969-12-31T23:59:59.999Z', '2026-03-01T00:00:00.001Z'] as const),
    ],
    [
      "[TIMESTAMP_NS '2026-03-01 00:00:00.000000001', TIMESTAMP_NS '1969-12-31 23:59:59.999999999']",
      { kind: 'timestamp', unit: 'ns', zone: false },
      ...(['1969-12-31T23:59:59.999999999Z', '2026-03-01T00:00:00.000000001Z'] as const),
    ],
    [
      "[TIMESTAMPTZ '2026-03-01 00:00:00+00']",
      { kind: 'timestamp', unit: 'us', zone: true },
      '2026-03-01',
      '2026-03-01',
    ],
    ["['b', 'ä', '', '😀']", { kind: 'string' }, '', '😀'],
    ["[encode('b'), '\\x00\\xFF'::BLOB]", { kind: 'binary' }, 'AP8=', 'Yg=='],
  ])('the bounds of %s are known', async (list, type, min, max) => {
    const footer = await footerOf(`SELECT 1 AS first, [1, 2] AS list, unnest(${list}) AS c`)
    const instant = (text: string): string =>
      type.kind === 'timestamp' && text.length === 10 ? `${text}T00:00:00Z` : text
    expect(plain(columnRange(footer, 0, 'c'))).toEqual(rangeOf(type, instant(min), instant(max)))
  })

  test('NULLs are no bounds, and a column of nothing else has no values', async () => {
    const footer = await footerOf(
      'SELECT CASE WHEN i < 2048 THEN NULL ELSE i END AS c FROM range(4096) r(i)',
      'ROW_GROUP_SIZE 2048',
    )
    expect([columnRange(footer, 0, 'c'), plain(columnRange(footer, 1, 'c'))]).toEqual([
      { type: integer(64), values: 'none' },
      rangeOf(integer(64), '2048', '4095'),
    ])
  })

  test('a column behind lists and structs is the one of its name, and these have no bounds', async () => {
    const footer = await footerOf('SELECT {c: 1, d: {e: 2}} AS s, [3] AS l, MAP {4: 5} AS m, 6 AS c, 7 AS e')
    expect(['c', 'e'].map(name => plain(columnRange(footer, 0, name)))).toEqual([
      rangeOf(integer(32), '6', '6'),
      rangeOf(integer(32), '7', '7'),
    ])
    expect(['s', 'l', 'm', 'd', 'list', 'none'].map(name => columnRange(footer, 0, name))).toEqual(
      Array(6).fill(undefined),
    )
  })

  test('NaN leaves a column without bounds, or within bounds that hold for the rest', async () => {
    const footer = await footerOf("SELECT unnest(['NaN', '1', '-inf'])::DOUBLE AS c")
    expect(columnRange(footer, 0, 'c')).toBeUndefined()
  })
})

interface Crafted extends Partial<RawStatistics> {
  readonly type: SchemaElement['type']
  readonly length?: number
  readonly logical?: LogicalType
  readonly converted?: number
  readonly precision?: number
  readonly scale?: number
  readonly ordered?: boolean
  readonly rows?: number
  readonly repetition?: 'REPEATED'
  readonly path?: readonly string[]
  readonly encrypted?: boolean
  readonly file?: string
}

/** The range of a column in a footer that says just this. */
function craft({ type, ordered = true, rows = 10, ...column }: Crafted): ColumnRange | undefined {
  const none = { null_count: undefined, min_value: undefined, max_value: undefined, min: undefined, max: undefined }
  const { null_count = 0, min_value, max_value, min, max } = column
  const element: SchemaElement = {
    ...{ name: 'c', type, type_length: column.length, repetition_type: column.repetition, num_children: 0 },
    ...{ converted_type: column.converted, scale: column.scale, precision: column.precision },
    logical_type: column.logical,
  }
  const root = { ...element, name: 'root', type: undefined, num_children: 1 }
  const sizes = { num_values: rows, total_uncompressed_size: 1, total_compressed_size: 1, data_page_offset: 4 }
  const chunk = {
    ...{ file_path: column.file, type: type!, encodings: [], path_in_schema: column.path ?? ['c'], codec: 0, ...sizes },
    ...{ dictionary_page_offset: undefined, encrypted: column.encrypted ?? false },
    statistics: { ...none, null_count, min_value, max_value, min, max },
  }
  const footer: ParquetFooter = {
    ...{ schema: [root, element], num_rows: rows, created_by: undefined, arrow_schema: undefined, ordered: [ordered] },
    row_groups: [{ columns: [chunk], num_rows: rows, total_byte_size: 1 }],
  }
  return columnRange(footer, 0, 'c')
}

const int32 = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)
const int64 = (value: bigint): Uint8Array => new Uint8Array(BigInt64Array.of(value).buffer)
const double = (value: number): Uint8Array => new Uint8Array(Float64Array.of(value).buffer)
const text = (value: string): Uint8Array => Buffer.from(value)
const STRING: LogicalType = { kind: 'STRING' }

describe('bounds', () => {
  test.each<[string, Crafted, ColumnRange]>([
    [
      'deprecated ones of signed numbers',
      { type: 'INT32', ordered: false, min: int32(-1), max: int32(2) },
      rangeOf(integer(32), '-1', '2'),
    ],
    [
      'unsigned ones',
      { type: 'INT32', converted: 13, min_value: int32(1), max_value: int32(-1) },
      rangeOf(integer(32, false), '1', '4294967295'),
    ],
    [
      'narrow ones',
      { type: 'INT32', converted: 15, min_value: int32(-1), max_value: int32(1) },
      rangeOf(integer(8), '-1', '1'),
    ],
    [
      'milliseconds',
      { type: 'INT64', converted: 9, min_value: int64(-1n), max_value: int64(1n) },
      rangeOf({ kind: 'timestamp', unit: 'ms', zone: true }, '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00.001Z'),
    ],
    [
      'milliseconds of a day',
      { type: 'INT32', converted: 7, min_value: int32(0), max_value: int32(1) },
      rangeOf({ kind: 'time', unit: 'ms' }, '00:00:00', '00:00:00.001'),
    ],
    [
      'decimals of few bytes',
      {
        type: 'FIXED_LEN_BYTE_ARRAY',
        length: 3,
        converted: 5,
        precision: 5,
        scale: 2,
        min_value: Uint8Array.of(255, 255, 254),
        max_value: Uint8Array.of(0, 1, 0),
      },
      rangeOf(decimal(5, 2), '-0.02', '2.56'),
    ],
    [
      'wide decimals',
      {
        type: 'BYTE_ARRAY',
        logical: { kind: 'DECIMAL', precision: 50, scale: 0 },
        min_value: Uint8Array.of(255),
        max_value: Uint8Array.of(1),
      },
      rangeOf(decimal(50, 0), '-1', '1'),
    ],
    [
      'strings that were cut within a character',
      { type: 'BYTE_ARRAY', logical: STRING, min_value: Uint8Array.of(0xc3), max_value: Uint8Array.of(0xc4) },
      { type: { kind: 'string' }, values: { min: Uint8Array.of(0xc3), max: Uint8Array.of(0xc4) } },
    ],
    [
      'fixed bytes',
      { type: 'FIXED_LEN_BYTE_ARRAY', length: 2, min_value: text('aa'), max_value: text('b') },
      { type: { kind: 'binary' }, values: { min: text('aa'), max: text('b') } },
    ],
    [
      'nothing but NULL',
      { type: 'BYTE_ARRAY', logical: STRING, null_count: 10 },
      { type: { kind: 'string' }, values: 'none' },
    ],
  ])('are taken from %s', (_, crafted, expected) => {
    expect(plain(craft(crafted))).toEqual(plain(expected))
    if (expected.values !== 'none' && expected.type.kind === 'decimal')
      expect(expected.values.min).toHaveLength(wholeBytes(expected.type))
  })

  const range = { min_value: text('a'), max_value: text('b') }
  test.each<[string, Crafted]>([
    ['deprecated ones of strings', { type: 'BYTE_ARRAY', logical: STRING, min: text('a'), max: text('b') }],
    ['deprecated ones of unsigned numbers', { type: 'INT32', converted: 13, min: int32(1), max: int32(2) }],
    [
      'deprecated ones of decimals in bytes',
      { type: 'FIXED_LEN_BYTE_ARRAY', length: 1, converted: 5, precision: 2, scale: 0, min: text('a'), max: text('b') },
    ],
    ['deprecated ones of floats', { type: 'DOUBLE', min: double(1), max: double(2) }],
    ['ones in an undefined order', { type: 'BYTE_ARRAY', logical: STRING, ordered: false, ...range }],
    ['only one', { type: 'BYTE_ARRAY', logical: STRING, min_value: text('a') }],
    ['none', { type: 'INT32' }],
    ['ones of too few bytes', { type: 'INT64', min_value: int32(1), max_value: int32(2) }],
    [
      'empty decimals',
      { type: 'BYTE_ARRAY', converted: 5, precision: 2, scale: 0, min_value: text(''), max_value: text('') },
    ],
    [
      'decimals that were cut short',
      {
        type: 'FIXED_LEN_BYTE_ARRAY',
        length: 4,
        converted: 5,
        precision: 9,
        scale: 0,
        min_value: Uint8Array.of(0, 0, 0, 1),
        max_value: Uint8Array.of(1),
      },
    ],
    ['ones the wrong way round', { type: 'INT32', min_value: int32(2), max_value: int32(1) }],
    ['NaN', { type: 'DOUBLE', min_value: double(Number.NaN), max_value: double(1) }],
    ['an infinity', { type: 'DOUBLE', min_value: double(0), max_value: double(Infinity) }],
    ['what the type cannot hold', { type: 'INT32', converted: 15, min_value: int32(1), max_value: int32(300) }],
    ['no boolean', { type: 'BOOLEAN', min_value: Uint8Array.of(0), max_value: Uint8Array.of(2) }],
    ['INT96', { type: 'INT96', min_value: new Uint8Array(12), max_value: new Uint8Array(12) }],
    ['half floats', { type: 'FIXED_LEN_BYTE_ARRAY', length: 2, logical: { kind: 'FLOAT16' }, ...range }],
    ['intervals', { type: 'FIXED_LEN_BYTE_ARRAY', length: 12, converted: 21, ...range }],
    ['JSON', { type: 'BYTE_ARRAY', logical: { kind: 'JSON' }, ...range }],
    [
      'a type from the future',
      { type: 'INT64', logical: { kind: 'other' }, min_value: int64(1n), max_value: int64(2n) },
    ],
    ['lists', { type: 'INT32', repetition: 'REPEATED', min_value: int32(1), max_value: int32(2) }],
    ['another column', { type: 'INT32', path: ['d'], min_value: int32(1), max_value: int32(2) }],
    ['another file', { type: 'INT32', file: 'x', min_value: int32(1), max_value: int32(2) }],
    ['encrypted columns', { type: 'INT32', encrypted: true, min_value: int32(1), max_value: int32(2) }],
  ])('are not taken from %s', (_, crafted) => {
    expect(craft(crafted)).toBeUndefined()
  })
})

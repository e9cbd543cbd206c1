/** What the kernel makes of row groups, against parquet-wasm. */
import { Field, makeData, RecordBatch, Schema, Struct, Table, tableToIPC } from 'apache-arrow'
import fc from 'fast-check'
import * as parquet from 'parquet-wasm/node'
import { describe, expect, test } from 'vitest'
import { columnOf } from '../arrow-column.ts'
import { type Kind, LEAVES, WELL_FORMED } from '../arrow-leaf.ts'
import { parquetFile } from '../staged-files.ts'
import { kernelRows, wasmRows } from './decoders.ts'

const { Compression, WriterVersion } = parquet

/** As parquet-wasm writes them: with an Arrow schema beside Parquet's. */
describe('a file of the Arrow project', () => {
  const options = fc.record({
    version: fc.constantFrom(WriterVersion.V1, WriterVersion.V2),
    codec: fc.constantFrom(
      Compression.UNCOMPRESSED,
      Compression.SNAPPY,
      Compression.GZIP,
      Compression.BROTLI,
      Compression.ZSTD,
      Compression.LZ4_RAW,
    ),
    dictionary: fc.boolean(),
    pageBytes: fc.constantFrom(50, 1_000_000),
    batchRows: fc.constantFrom(1, 7, 1000),
    groupRows: fc.constantFrom(10, 1000),
    required: fc.boolean(),
  })
  type Options = typeof options extends fc.Arbitrary<infer O> ? O : never

  function write(kind: Kind, values: readonly unknown[], chosen: Options): Uint8Array {
    const data = kind.build(values)
    const fields = [new Field('c', data.type, !(chosen.required && !values.includes(null)))]
    const type = new Struct(fields)
    const batch = new RecordBatch(new Schema(fields), makeData({ type, length: values.length, children: [data] }))
    const properties = new parquet.WriterPropertiesBuilder()
      .setWriterVersion(chosen.version)
      .setCompression(chosen.codec)
      .setDictionaryEnabled(chosen.dictionary)
      .setDataPageSizeLimit(chosen.pageBytes)
      .setWriteBatchSize(chosen.batchRows)
      .setMaxRowGroupSize(chosen.groupRows)
      .build()
    return parquet.writeParquet(parquet.Table.fromIPCStream(tableToIPC(new Table(batch), 'stream')), properties)
  }

  // not text that is no UTF-8, which parquet-wasm refuses, nor what Parquet cannot hold
  const kinds = [...WELL_FORMED, ...LEAVES.filter(({ type }) => !/Utf8|e-3|MONTH_DAY_NANO/.test(String(type)))]
  const left = /^(Null|Decimal\[76|Date64|Time32<SECOND>|Timestamp<SECOND|Duration|Interval)/

  test.each(kinds.map(kind => [String(kind.type), kind] as const))('of %s has the same rows', async (name, kind) => {
    await fc.assert(
      fc.asyncProperty(columnOf(fc.constant(kind), 1, 40), options, async ({ values }, chosen) => {
        const file = write(kind, values, chosen)
        const found = await kernelRows(file, { spanRows: 13 })
        if (left.test(name)) expect(found).toBeUndefined()
        else if (found || !mayBeIncremental(kind, chosen)) expect(found).toEqual(await wasmRows(file, { spanRows: 13 }))
      }),
      { numRuns: 8 },
    )
  })

  /** Whether strings or bytes may be stored as what they do not share with the one before, which is left to parquet-wasm. */
  function mayBeIncremental({ type }: Kind, { version }: Options): boolean {
    return version === WriterVersion.V2 && /Utf8|Binary|Decimal|Float16/.test(String(type))
  }
})

describe('a file of DuckDB', () => {
  const options = fc.record({
    rows: fc.integer({ min: 1, max: 5000 }),
    codec: fc.constantFrom('uncompressed', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4_raw'),
    version: fc.constantFrom('V1', 'V2'),
    dictionarySize: fc.constantFrom(1, 100, 100_000),
    seed: fc.nat(),
    offset: fc.constantFrom(0, 999),
  })

  /** `v` is a number below some limit. */
  const TYPES = [
    'v % 2 = 0',
    '(v % 100)::TINYINT - 50',
    '(v % 30000)::SMALLINT - 10000',
    'v::INTEGER * 37 - 1000',
    'v * 1234567890123 - 10',
    '(v % 256)::UTINYINT',
    '(v % 65536)::USMALLINT',
    '(v * 4000)::UINTEGER',
    '(v * 1844674407)::UBIGINT',
    'v * 1.1::DOUBLE',
    '(v * 1.1)::FLOAT',
    '(v % 100 / 10)::DECIMAL(4, 1)',
    '(v % 1000 - 500)::DECIMAL(9, 2)',
    '(v * 1000 - 500)::DECIMAL(18, 3)',
    '(v - 500)::DECIMAL(38, 10) * 12345678901234567',
    "DATE '2026-01-01' - v::INTEGER",
    "TIME '00:00:00' + INTERVAL (v) MILLISECOND",
    "TIMESTAMP '1969-01-01' + INTERVAL (v * 60) SECOND",
    "(TIMESTAMP '1969-01-01' + INTERVAL (v * 60) SECOND)::TIMESTAMP_MS",
    "(TIMESTAMP '1969-01-01' + INTERVAL (v * 60) SECOND)::TIMESTAMP_NS",
    "(TIMESTAMP '1969-01-01' + INTERVAL (v * 60) SECOND)::TIMESTAMPTZ",
    'md5(v::VARCHAR)::UUID',
    'substr(md5(v::VARCHAR), 1, (v % 33)::INTEGER)',
    "repeat('é' || v, (v % 100)::INTEGER)",
    "('\\x00\\xFF' || v)::BLOB",
    `('{"v": ' || v || '}')::JSON`,
    "('abc'[(v % 3 + 1)::INTEGER])::ENUM('a', 'b', 'c', '')",
  ]

  test('has the same rows', async () => {
    await fc.assert(
      fc.asyncProperty(options, async ({ rows, codec, version, dictionarySize, seed, offset }) => {
        const columns = TYPES.map((expression, column) => {
          const [distinct, nulls] = [[1, 10, 300, 50_000][(seed + column) % 4], [0, 0, 5, 60, 100][(seed + column) % 5]]
          const random = `hash(i * 31 + ${(seed % 1000) + column})`
          const value = expression.replaceAll(/\bv\b/g, `(${random} % ${distinct})::BIGINT`)
          return `CASE WHEN ${random} % 99 >= ${nulls} THEN ${value} END AS c${column}`
        })
        const file = await parquetFile(
          `SELECT ${columns.join(', ')} FROM range(${rows}) r(i)`,
          `COMPRESSION ${codec}, PARQUET_VERSION ${version}, ROW_GROUP_SIZE 2048, DICTIONARY_SIZE_LIMIT ${dictionarySize}`,
        )
        const decoding = { spanRows: 999, offset }
        expect(await kernelRows(file, decoding)).toEqual(await wasmRows(file, decoding))
      }),
      { numRuns: 10 },
    )
  })
})

/** Columns as `parquet-wasm` and `arrow-js-ffi` hand them over: views of WebAssembly memory. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { Field, Int16, makeData, RecordBatch, Schema, Struct, Table, tableToIPC } from 'apache-arrow'
import { parseRecordBatch } from 'arrow-js-ffi'
import fc from 'fast-check'
import * as parquet from 'parquet-wasm/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { renderColumn, renderRows } from '../../src/columnar/render.ts'
import { columnOf, dictionaries, fixedLists, lists, maps, structs } from './arrow-column.ts'
import { type Kind, LEAVES, WELL_FORMED } from './arrow-leaf.ts'
import { oracleJson } from './oracle.ts'

/** Calls `use` with each batch of a file while its memory is there. */
function forEachBatch(table: parquet.Table, use: (batch: RecordBatch) => void): void {
  for (let i = 0; i < table.numBatches; i++) {
    const ffi = table.recordBatch(i)!.intoFFI()
    use(parseRecordBatch(parquet.wasmMemory().buffer, ffi.arrayAddr(), ffi.schemaAddr(), false))
    ffi.free()
  }
  table.free()
}

describe('a file that names its Arrow types', () => {
  const [text] = WELL_FORMED as [Kind]
  const leaves = LEAVES.filter(
    // not text: what is no UTF-8 is refused; not decimals with a negative scale, and not this interval: Parquet has none
    ({ type }) => !/Utf8|e-3|MONTH_DAY_NANO/.test(String(type)),
  )
  const integer = leaves.find(({ type }) => String(type) === 'Int64')!
  const kinds: Kind[] = [
    ...WELL_FORMED,
    ...leaves,
    ...[text, integer].flatMap(kind => [
      lists(kind),
      lists(kind, true),
      fixedLists(kind, 2),
      dictionaries(kind, new Int16()),
    ]),
    ...leaves
      .slice(1)
      .map(kind => structs(kind, lists(kind)))
      .filter(({ type }) => !/View/.test(String(type))),
    maps(text, integer),
    maps(integer, text),
    lists(structs(text, maps(text, lists(dictionaries(text, new Int16()))))),
  ]

  it.each(kinds.map(kind => [String(kind.type), kind] as const))('holds %s as the oracle says', (_, kind) => {
    fc.assert(
      fc.property(columnOf(fc.constant(kind), 1, 40), ({ values }) => {
        const data = kind.build(values)
        const { fields } = new Schema([new Field('c', data.type, true)])
        const batch = new RecordBatch(
          new Schema(fields),
          makeData({ type: new Struct(fields), length: values.length, children: [data] }),
        )
        const file = parquet.writeParquet(parquet.Table.fromIPCStream(tableToIPC(new Table(batch), 'stream')))
        const found: string[] = []
        forEachBatch(parquet.readParquet(file), ({ schema, data: rows, numRows }) => {
          const column = renderColumn(schema.fields[0]!, rows.children[0]!)
          for (let row = 0; row < numRows; row++) found.push(column.json(row))
        })
        expect(found).toEqual(values.map(value => oracleJson(kind.type, value)))
      }),
      { numRuns: 10 },
    )
  })
})

/**
 * Every type that DuckDB writes to Parquet, and how its own reading of the file tells that our text is right.
 * In `check`, `c` is the column as `read_parquet` has it, `t` our text (VARCHAR), `j` our JSON read by DuckDB as `json`.
 */
interface Case {
  readonly type: string
  readonly values: readonly string[]
  readonly check: string
  readonly json?: string
}

const EXACT = 't IS NOT DISTINCT FROM c::VARCHAR'
/** DuckDB leaves out the zero before the point where the type has no digits there. */
const EXACT_FRACTION = `t IS NOT DISTINCT FROM regexp_replace(c::VARCHAR, '^(-?)\\.', '\\10.')`
const NESTED = 'j IS NOT DISTINCT FROM c'

const TEXTS = [
  "''",
  "'plain'",
  `'"quoted" \\back\\ /slash/'`,
  'chr(0) || chr(1) || chr(8) || chr(9) || chr(10) || chr(12) || chr(13) || chr(31) || chr(127)',
  "'héllo wörld'",
  "'漢字 😀 👩‍👩‍👧'",
  'chr(8232) || chr(8233) || chr(65279) || chr(65533) || chr(65535)',
  "repeat('x', 100000)",
  "repeat('ü', 1000)",
  "'null'",
]

/** Year, and the rest of the date, from DuckDB's own calendar (which counts years before the first as 0, -1, ...). */
const DATE_TEXT = `(CASE WHEN year(c) BETWEEN 0 AND 9999 THEN printf('%04d', year(c))
  ELSE printf('%s%06d', CASE WHEN year(c) < 0 THEN '-' ELSE '+' END, abs(year(c))) END || printf('-%02d-%02d', month(c), day(c)))`

const CLOCK_TEXT = `(printf('%02d:%02d:%02d', hour(c), minute(c), second(c)) || CASE
  WHEN microsecond(c) % 1000000 = 0 THEN '' WHEN microsecond(c) % 1000 = 0 THEN printf('.%03d', millisecond(c) % 1000)
  ELSE printf('.%06d', microsecond(c) % 1000000) END)`
const TIMESTAMP = `t IS NOT DISTINCT FROM ${DATE_TEXT} || 'T' || ${CLOCK_TEXT} || 'Z'`
const MOMENTS = [
  "'1970-01-01 00:00:00'",
  "'1969-12-31 23:59:59.999999'",
  "'2026-03-01 12:34:56'",
  "'2026-03-01 12:34:56.7'",
  "'2000-02-29 00:00:00.000001'",
  "'9999-12-31 23:59:59.999999'",
  "'10000-01-01 00:00:00'",
  "'0001-01-01 00:00:00'",
  "'0001-01-01 (BC) 00:00:00'",
  "'0002-12-31 (BC) 23:59:59.5'",
  "'290309-12-22 (BC) 00:00:00'",
  "'294247-01-10 04:00:54.775806'",
]
const SHORT_MOMENTS = MOMENTS.filter(moment => !/\.\d/.test(moment))

const CASES: Readonly<Record<string, Case>> = {
  bool: { type: 'BOOLEAN', values: ['true', 'false'], check: EXACT },
  ...Object.fromEntries(
    [8, 16, 32, 64].flatMap((bits, i) => {
      const [low, high, top] = [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n, 2n ** BigInt(bits) - 1n]
      const name = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'][i]!
      const safe = bits === 64 ? ['9007199254740993', '-9007199254740993', '9007199254740991', '4294967296'] : []
      return [
        [`int${bits}`, { type: name, values: ['0', '1', '-1', `(${low})`, String(high), ...safe], check: EXACT }],
        [`uint${bits}`, { type: `U${name}`, values: ['0', '1', String(high + 1n), String(top)], check: EXACT }],
      ]
    }),
  ),
  // DuckDB has only doubles for these in Parquet
  hugeint: {
    type: 'HUGEINT',
    values: ['170141183460469231731687303715884105727', '(-1)'],
    check: 't::DOUBLE IS NOT DISTINCT FROM c',
  },
  uhugeint: {
    type: 'UHUGEINT',
    values: ['340282366920938463463374607431768211455', '0'],
    check: 't::DOUBLE IS NOT DISTINCT FROM c',
  },
  decimal4: { type: 'DECIMAL(4,1)', values: ['-999.9', '0', '0.1', '12.5'], check: EXACT },
  decimal9: { type: 'DECIMAL(9,9)', values: ['-0.999999999', '0.000000001', '0'], check: EXACT_FRACTION },
  decimal18: { type: 'DECIMAL(18,3)', values: ['-999999999999999.999', '9007199254740.993', '0.001'], check: EXACT },
  decimal38: {
    type: 'DECIMAL(38,0)',
    values: [
      '99999999999999999999999999999999999999',
      "'-99999999999999999999999999999999999999'",
      '0',
      '18446744073709551616',
    ],
    check: EXACT,
  },
  decimal38_10: {
    type: 'DECIMAL(38,10)',
    values: ['9999999999999999999999999999.9999999999', "'-0.0000000001'", '1.5', '4294967296.5'],
    check: EXACT,
  },
  decimal38_38: {
    type: 'DECIMAL(38,38)',
    values: ["'-0.99999999999999999999999999999999999999'", "'0.00000000000000000000000000000000000001'"],
    check: EXACT_FRACTION,
  },
  float: {
    type: 'FLOAT',
    values: ['0.1', "'-0.0'", '3.4028235e38', '1e-45', '16777216', "'nan'", "'inf'", "'-inf'", '1e-7', '1.1754944e-38'],
    check: 't::FLOAT IS NOT DISTINCT FROM CASE WHEN isfinite(c) THEN c END',
  },
  double: {
    type: 'DOUBLE',
    values: [
      '0.1',
      "'-0.0'",
      '1.7976931348623157e308',
      '5e-324',
      '1e21',
      "'nan'",
      "'inf'",
      "'-inf'",
      '123456789012345680',
      '0.30000000000000004',
    ],
    check: 't::DOUBLE IS NOT DISTINCT FROM CASE WHEN isfinite(c) THEN c END',
  },
  date: {
    type: 'DATE',
    values: [
      ...SHORT_MOMENTS.slice(0, -2).map(moment => moment.replace(/ [\d:]+'/, "'")),
      "'5881580-07-10'",
      "'5877642-06-25 (BC)'",
    ],
    check: `t IS NOT DISTINCT FROM ${DATE_TEXT}`,
  },
  time: {
    type: 'TIME',
    values: ["'00:00:00'", "'23:59:59.999999'", "'12:34:56.7'", "'24:00:00'"],
    check: `t IS NOT DISTINCT FROM ${CLOCK_TEXT}`,
  },
  time_ns: { type: 'TIME_NS', values: ["'12:34:56.123456789'", "'00:00:00.000000001'"], check: EXACT },
  timetz: {
    type: 'TIMETZ',
    values: ["'12:34:56+00'", "'00:00:00.5+00'"],
    check: `t IS NOT DISTINCT FROM ${CLOCK_TEXT}`,
  },
  timestamp: { type: 'TIMESTAMP', values: MOMENTS, check: TIMESTAMP },
  timestamp_s: { type: 'TIMESTAMP_S', values: SHORT_MOMENTS, check: TIMESTAMP },
  timestamp_ms: { type: 'TIMESTAMP_MS', values: [...SHORT_MOMENTS, "'1969-12-31 23:59:59.999'"], check: TIMESTAMP },
  timestamp_ns: {
    type: 'TIMESTAMP_NS',
    values: [
      "'2026-03-01 12:34:56.123456789'",
      "'2026-03-01 12:34:56.123456'",
      "'1969-12-31 23:59:59.999999999'",
      "'2262-04-11 23:47:16.854775806'",
      "'1677-09-22 00:00:00.000000001'",
    ],
    check: "t IS NOT DISTINCT FROM replace(c::VARCHAR, ' ', 'T') || 'Z'",
  },
  timestamptz: {
    type: 'TIMESTAMPTZ',
    values: [...MOMENTS.slice(0, 8).map(moment => moment.replace(/'$/, "+00'")), "'2026-03-01 00:00:00+05:45'"],
    check: TIMESTAMP,
  },
  // months and microseconds are lost while parquet-wasm reads (it takes DuckDB's intervals for days and milliseconds)
  interval: {
    type: 'INTERVAL',
    values: ["'3 days 4.567 seconds'", "'25 hours'", "'0 days'"],
    check: `CASE t WHEN 'P3DT4.567S' THEN INTERVAL '3 days 4.567 seconds' WHEN 'PT25H' THEN INTERVAL '25 hours'
      WHEN 'PT0S' THEN INTERVAL '0 days' END IS NOT DISTINCT FROM c`,
  },
  blob: {
    type: 'BLOB',
    values: ["''::BLOB", "'\\x00\\xFF'::BLOB", "'abc'::BLOB", "'\\xC3\\x28'::BLOB", "repeat('ab', 5000)::BLOB"],
    check: 't IS NOT DISTINCT FROM base64(c)',
  },
  uuid: {
    type: 'UUID',
    values: ["'00000000-0000-0000-0000-000000000000'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    check: "t IS NOT DISTINCT FROM base64(unhex(replace(c::VARCHAR, '-', '')))",
  },
  bit: { type: 'BIT', values: ["'0'", "'101010101010'"], check: EXACT },
  bignum: { type: 'BIGNUM', values: ["'-123456789012345678901234567890123456789012345'", "'0'"], check: EXACT },
  varchar: { type: 'VARCHAR', values: TEXTS, check: EXACT },
  json: { type: 'JSON', values: [`'{"a": [1, "x\\n"]}'`, "'null'"], check: EXACT },
  enum: { type: "ENUM('', 'b', 'ü\"')", values: ["''", "'b'", "'ü\"'"], check: EXACT },
  int_list: { type: 'INTEGER[]', values: ['[]', '[1, NULL, -2147483648]', '[NULL]'], check: NESTED, json: 'INTEGER[]' },
  text_list: { type: 'VARCHAR[]', values: ['[]', `[${TEXTS.join(', ')}]`], check: NESTED, json: 'VARCHAR[]' },
  lists: {
    type: 'BIGINT[][]',
    values: ['[]', '[[], NULL, [1, 2]]', '[[9007199254740993]]'],
    check: NESTED,
    json: 'BIGINT[][]',
  },
  array: { type: 'DOUBLE[2]', values: ['[1.5, NULL]', '[0.1, 1e300]'], check: NESTED, json: 'DOUBLE[]' },
  struct: {
    type: 'STRUCT(a INTEGER, "b ""q" VARCHAR)',
    values: [`{'a': 1, 'b "q': 'x'}`, `{'a': NULL, 'b "q': NULL}`],
    check: NESTED,
    json: 'STRUCT(a INTEGER, "b ""q" VARCHAR)',
  },
  map: {
    type: 'MAP(VARCHAR, INTEGER)',
    values: ['MAP {}', `MAP {'k': 1, '"': NULL, '': 3}`],
    check: NESTED,
    json: 'MAP(VARCHAR, INTEGER)',
  },
  int_map: {
    type: 'MAP(INTEGER, VARCHAR)',
    values: ['MAP {}', `MAP {1: 'x', -1: NULL}`],
    check: "map_from_entries(list_transform(j, x -> {'k': (x->>0)::INTEGER, 'v': x->>1})) IS NOT DISTINCT FROM c",
    json: 'JSON[]',
  },
  deep: {
    type: 'STRUCT(a BIGINT[], m MAP(VARCHAR, STRUCT(y DATE)))[]',
    values: ['[]', `[{'a': [1, NULL], 'm': MAP {'x': {'y': DATE '2026-03-01'}}}, NULL, {'a': NULL, 'm': NULL}]`],
    check: NESTED,
    json: 'STRUCT(a BIGINT[], m MAP(VARCHAR, STRUCT(y DATE)))[]',
  },
}

describe('a file of DuckDB', () => {
  let folder = ''
  let connection: Awaited<ReturnType<DuckDBInstance['connect']>>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-render-'))
    connection = await (await DuckDBInstance.create(':memory:')).connect()
    await connection.run("SET TimeZone = 'UTC'")
  })
  afterAll(async () => {
    connection.closeSync()
    await rm(folder, { recursive: true })
  })

  /** Writes the values of a case, NULLs between them, in row groups and batches that no value count divides. */
  async function write(name: string, { type, values }: Case): Promise<string> {
    const path = join(folder, `${name}.parquet`)
    const rows = values.flatMap((value, i) => [`(${i * 2}, ${value})`, `(${i * 2 + 1}, NULL)`]).join(', ')
    await connection.run(
      `COPY (SELECT v::${type} AS v FROM (VALUES ${rows}) r(i, v), range(20) n(n) ORDER BY n, i) TO '${path}' (FORMAT parquet)`,
    )
    return path
  }

  it.each(Object.keys(CASES))('gives %s with the values that DuckDB reads', async name => {
    const { check, json, values } = CASES[name]!
    const path = await write(name, CASES[name]!)
    const lines: string[] = []
    const file = await parquet.ParquetFile.fromFile(new Blob([await readFile(path)]))
    forEachBatch(await file.read({ batchSize: 7 }), batch => {
      const row = renderRows(batch)
      const column = renderColumn(batch.schema.fields[0]!, batch.data.children[0]!)
      for (let i = 0; i < batch.numRows; i++) {
        expect(row(i)).toBe(`{"v":${column.json(i)}}`)
        lines.push(`{"t":${JSON.stringify(column.text(i))},"j":${column.json(i)}}`)
      }
    })
    await writeFile(join(folder, `${name}.ndjson`), lines.join('\n'))
    const ours = `read_json('${folder}/${name}.ndjson', format = 'newline_delimited', maximum_object_size = 10000000,
      columns = {t: 'VARCHAR', j: '${(json ?? 'JSON').replaceAll("'", "''")}'})`
    const result = await connection.runAndReadAll(
      `SELECT count(*)::INTEGER AS n, count(*) FILTER (WHERE (${check}) IS NOT TRUE)::INTEGER AS wrong,
         list([t, c::VARCHAR]) FILTER (WHERE (${check}) IS NOT TRUE)[:3]::VARCHAR AS examples
       FROM ${ours} POSITIONAL JOIN (SELECT v AS c FROM read_parquet('${path}'))`,
    )
    const [row] = result.getRowObjects()
    expect(row).toEqual({ n: values.length * 40, wrong: 0, examples: null })
  })
})

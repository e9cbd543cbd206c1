import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ColumnType } from '../../../src/columnar/column-type.ts'
import { duckdbSource } from '../../../src/sources/duckdb.ts'
import type { Source, Staged } from '../../../src/sources/source.ts'
import { readStaged } from '../../../src/testing/source-driver.ts'
import { makeDatabase, never, scratch, stage, stageLines, warehouse } from './warehouse.ts'

const ALL = { start: '0', end: '9000000000000' }

async function keysOf(source: Source, staged: Staged): Promise<number[]> {
  const rows = await readStaged<{ key: number }>(source, staged)
  return rows.map(({ key }) => key)
}

interface RowGroup {
  readonly file: string
  readonly rows: number
  readonly bytes: number
  readonly memory: number
}

/** Every row group of a staging: rows, bytes in the file and bytes in memory. */
async function rowGroupsOf(directory: string): Promise<RowGroup[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  const result = await connection.runAndReadAll(
    `SELECT file_name, any_value(row_group_num_rows), sum(total_compressed_size)::BIGINT, sum(total_uncompressed_size)::BIGINT
     FROM parquet_metadata('${join(directory, '*')}') GROUP BY file_name, row_group_id ORDER BY file_name, row_group_id`,
  )
  return result.getRows().map(([file, rows, bytes, memory]) => ({
    file: String(file),
    rows: Number(rows),
    bytes: Number(bytes),
    memory: Number(memory),
  }))
}

describe('files', () => {
  it.each([false, true])(
    'exceed the asked size by less than a row group, and fall short of it at most once a thread (sorted: %s)',
    async sorted => {
      const { source, stagingDir } = await warehouse(
        ['CREATE TABLE t AS SELECT i AS key, md5(i::VARCHAR) || md5((-i)::VARCHAR) AS text FROM range(400_000) r(i)'],
        { threads: 4, rowGroupRows: 4_096 },
      )
      const fileBytes = 1 << 20
      const { files } = await stage(source, { ...ALL, stagingId: 'one', sorted, fileBytes })
      const groups = await rowGroupsOf(join(stagingDir, 'one'))
      const lastGroups = new Map(groups.map(({ file, bytes }) => [basename(file), bytes]))
      const exceeding = files.filter(({ name, bytes }) => bytes - lastGroups.get(basename(name))! > fileBytes)
      expect(exceeding).toEqual([])
      expect(files.length).toBeGreaterThan(20)
      expect(files.filter(({ bytes }) => bytes < fileBytes).length).toBeLessThanOrEqual(sorted ? 1 : 4)
      expect(files.map(({ name }) => name)).toEqual(files.map(({ name }) => name).toSorted())
      expect(Math.max(...groups.map(({ rows }) => rows))).toBe(4_096)
      expect(groups.reduce((sum, { rows }) => sum + rows, 0)).toBe(400_000)
    },
  )

  it('have smaller row groups where rows are wide', async () => {
    const { source, stagingDir } = await warehouse(
      ['CREATE VIEW t AS SELECT i AS key, repeat(md5(i::VARCHAR), 200) AS text FROM range(8_000) r(i)'],
      { threads: 1 },
    )
    await stage(source, { ...ALL, stagingId: 'one' })
    const groups = await rowGroupsOf(join(stagingDir, 'one'))
    expect(groups.length).toBe(2)
    // 32 MiB, and one vector of 2,048 rows
    expect(Math.max(...groups.map(({ memory }) => memory))).toBeLessThan((32 << 20) + 2_048 * 6_500)
  })

  it('hold every row once, in any order, and in that of the window where it is asked for', async () => {
    const { source } = await warehouse(
      ['CREATE TABLE t AS SELECT (i * 7_919) % 120_011 AS key FROM range(120_011) r(i)'],
      { threads: 8, rowGroupRows: 2_048 },
    )
    const expected = Array.from({ length: 120_000 }, (_, key) => key)
    const window = { start: '0', end: '120000', fileBytes: 16 << 10 }
    const sorted = await stage(source, { ...window, sorted: true })
    expect(sorted.files.length).toBeGreaterThan(10)
    expect(await keysOf(source, sorted)).toEqual(expected)
    const unsorted = await keysOf(source, await stage(source, window))
    expect(unsorted.toSorted((left, right) => left - right)).toEqual(expected)
  })
})

describe('windows', () => {
  it.each([
    ['DATE', "'2026-02-28', '2026-03-01', '2026-03-31', '2026-04-01'", '2026-03-01', '2026-04-01'],
    [
      'TIMESTAMP',
      "'2026-02-28 23:59:59.999999', '2026-03-01', '2026-03-31 23:59:59.999999', '2026-04-01'",
      '2026-03-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ],
    [
      'TIMESTAMP_NS',
      "'2026-02-28 23:59:59.999999999', '2026-03-01', '2026-03-31 23:59:59.999999999', '2026-04-01'",
      '2026-03-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ],
    [
      'TIMESTAMP_MS',
      "'2026-02-28 23:59:59.999', '2026-03-01', '2026-03-31 23:59:59.999', '2026-04-01'",
      '2026-03-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ],
    [
      'TIMESTAMP_S',
      "'2026-02-28 23:59:59', '2026-03-01', '2026-03-31 23:59:59', '2026-04-01'",
      '2026-03-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ],
    [
      'TIMESTAMPTZ',
      "'2026-03-01 01:59:59+02', '2026-03-01 02:00:00+02', '2026-03-31 18:59:59.9-05', '2026-03-31 19:00:00-05'",
      '2026-03-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ],
    [
      'UBIGINT',
      "'0', '18446744073709551614', '18446744073709551614', '18446744073709551615'",
      '18446744073709551614',
      '18446744073709551615',
    ],
    ['HUGEINT', "'-3', '-2', '-2', '-1'", '-2', '-1'],
  ])('over a %s hold their start and not their end, and never a NULL', async (type, values, start, end) => {
    const { source } = await warehouse([
      `CREATE TABLE t AS SELECT CAST(k AS ${type}) AS key, row_number() OVER () AS id
       FROM (SELECT unnest([${values}, NULL]) AS k)`,
    ])
    const rows = await readStaged<{ id: number }>(source, await stage(source, { start, end }))
    expect(rows.map(({ id }) => id)).toEqual([2, 3])
  })

  it('leave out infinite times', async () => {
    const { source } = await warehouse([
      "CREATE TABLE t AS SELECT unnest(['infinity', '-infinity', '2026-03-01'])::TIMESTAMP AS key",
    ])
    const window = { start: '-999999-01-01T00:00:00Z', end: '+999999-01-01T00:00:00Z' }
    expect(await stageLines(source, window)).toEqual(['{"key":"2026-03-01T00:00:00Z"}'])
  })
})

describe('filters', () => {
  let directory: string
  const types: readonly (readonly [
    column: string,
    sql: string,
    type: ColumnType['kind'],
    value: string,
    others: (index: number) => string,
  ])[] = [
    ['a', 'BOOLEAN', 'boolean', 'true', () => 'true'],
    ['b', 'BIGINT', 'integer', '7', index => String(-index - 1)],
    ['c', 'DECIMAL(18,6)', 'decimal', '7.500000', index => `-${index + 1}.000000`],
    ['d', 'DOUBLE', 'float', '0.1', index => String(index + 1e10)],
    ['e', 'VARCHAR', 'string', 'it\'s \\ \0 "7"', index => `none ${index}`],
    ['f', "ENUM('seven', 'eight')", 'string', 'seven', index => `none ${index}`],
    ['g', 'UUID', 'string', '00000000-0000-0000-0000-000000000007', index => `none ${index}`],
    ['m', 'UUID', 'string', 'ABCDEFAB-0000-0000-0000-00000000000C', index => `none ${index}`],
    ['h', 'BLOB', 'binary', 'AP8n', index => Buffer.from(`none ${index}`).toString('base64')],
    ['i', 'DATE', 'date', '2026-03-07', index => `+00${1_000 + index}-01-01`.replace('+00', index % 2 ? '+27' : '')],
    ['j', 'TIME', 'time', '00:00:07.000001', index => `01:00:00.${String(index).padStart(6, '0')}`],
    ['k', 'TIMESTAMP', 'timestamp', '2026-03-07T00:00:00.000001Z', index => `+${300_000 + index}-01-01T00:00:00Z`],
    ['l', 'TIMESTAMPTZ', 'timestamp', '2026-03-07T00:00:00Z', index => `${1_000 + index}-01-01T00:00:00Z`],
  ]
  const seven = `true, 7, 7.5, 0.1, 'it''s \\ ' || chr(0) || ' "7"', 'seven', '00000000-0000-0000-0000-000000000007', 'abcdefab-0000-0000-0000-00000000000c', '\\x00\\xFF\\x27',
    '2026-03-07', '00:00:07.000001', '2026-03-07 00:00:00.000001', '2026-03-07 02:00:00+02'`
  const eight = `false, 8, 8.5, 0.2, 'eight', 'eight', '00000000-0000-0000-0000-000000000008', 'abcdefab-0000-0000-0000-00000000000d', '\\x00',
    '2026-03-08', '00:00:08', '2026-03-08', '2026-03-07 00:00:00+02'`

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-duckdb-'))
    await makeDatabase(
      directory,
      `CREATE TABLE t (key INTEGER, ${types.map(([column, sql]) => `${column} ${sql}`).join(', ')})`,
      `INSERT INTO t VALUES (7, ${seven}), (8, ${eight})`,
      'INSERT INTO t (key) VALUES (9)',
    )
  })

  afterAll(() => rm(directory, { recursive: true }))

  async function passing(column: string, values: readonly string[]): Promise<number[]> {
    const source = duckdbSource({
      database: join(directory, 'base.duckdb'),
      stagingDir: await scratch(),
      tables: { t: { partitionKeys: ['key'] } },
    })
    return keysOf(source, await stage(source, { ...ALL, filter: { column, values } }))
  }

  it.each(types)(
    'on column %s of type %s pass its values and no NULL, however long the list',
    async (column, _, __, value, others) => {
      expect(await passing(column, [value, value])).toEqual([7])
      expect(
        await passing(column, [...Array.from({ length: 1_500 }, (_, index) => others(index)), value, value]),
      ).toEqual([7])
    },
  )

  it('with values that none of the column could be pass nothing', async () => {
    expect(await passing('f', ['nine'])).toEqual([])
    expect(await passing('k', ['+999999-01-01T00:00:00Z'])).toEqual([])
  })

  it('of 200,000 values with repeats double nothing', async () => {
    const { source } = await warehouse([
      'CREATE VIEW t AS SELECT i AS key, md5(i::VARCHAR) AS text, i AS n FROM range(50_000) r(i)',
    ])
    const half = Array.from({ length: 100_000 }, (_, index) => String(index * 2))
    const values = [...half, ...half]
    const keys = await keysOf(source, await stage(source, { ...ALL, filter: { column: 'n', values } }))
    expect(keys.toSorted((left, right) => left - right)).toEqual(
      Array.from({ length: 25_000 }, (_, index) => index * 2),
    )
  })

  it('take their values piece by piece', async () => {
    const { source } = await warehouse(['CREATE TABLE t AS SELECT 1 AS key'])
    const schema = await source.describe('t', never())
    const type = schema.columns[0]!.type
    let given = 0
    const controller = new AbortController()
    async function* values() {
      for (; ; given++) {
        if (given === 50) controller.abort(new Error('enough'))
        yield Array.from({ length: 100 }, (_, index) => String(given * 100 + index))
      }
    }
    const filter = { column: 'key', type, list: { count: 10_000_000, ref: 'sha256:0' }, values }
    const request = {
      jobId: 'job',
      stagingId: 'one',
      schema,
      window: { column: 'key', type, ...ALL },
      filter,
      sorted: false,
      fileBytes: 1 << 20,
    }
    await expect(source.stage(request, undefined, async () => {}, controller.signal)).rejects.toThrow('enough')
    expect(given).toBe(50)
  })
})

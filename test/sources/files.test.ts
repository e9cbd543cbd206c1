import { existsSync } from 'node:fs'
import { appendFile, mkdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tableFromArrays, tableToIPC } from 'apache-arrow'
import { describe, expect, it, test } from 'vitest'
import { filesSource } from '../../src/sources/files.ts'
import type { Source } from '../../src/sources/source.ts'
import { sourceTestRows, testSource } from '../../src/testing/source.ts'
import { readStagedLines, stageRequest } from '../../src/testing/source-driver.ts'
import { never, runSql, scratch, sourceOf, stage, stageLines, writeParquet } from './files/folder.ts'

describe('the suite of sources', () => {
  const rows = JSON.stringify(sourceTestRows()).replaceAll("'", "''")
  const shape = '[{"id": "BIGINT", "at": "TIMESTAMP", "name": "VARCHAR"}]'
  const from = `SELECT unnest(from_json('${rows}', '${shape}'), recursive := true)`
  const table = 'base.assets.test_rows'

  async function create(): Promise<Source> {
    const folder = await scratch()
    await runSql(`CREATE TABLE IF NOT EXISTS test_rows AS ${from}`)
    const parts = ['id < 3000', 'id BETWEEN 3000 AND 6999', 'id BETWEEN 7000 AND 9999', 'id > 9999']
    for (const [part, where] of parts.entries())
      await writeParquet(
        join(folder, `part-${9 - part}.parquet`),
        `SELECT * FROM test_rows WHERE ${where} ORDER BY "at"`,
        ', ROW_GROUP_SIZE 2048',
      )
    return filesSource({
      tables: { [table]: { files: join(folder, '*.parquet'), partitionKeys: ['at'], sortedBy: 'at' } },
    })
  }

  for (const { name, run } of testSource({ create, table, inPlace: true })) test(name, run)
})

describe('files whose columns differ', () => {
  it('are one table by the names of columns, with NULL where one lacks a column', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), "SELECT 1::INTEGER AS key, 'x' AS s")
    await writeParquet(join(folder, 'b.parquet'), 'SELECT [1.5, 2] AS more, 2::INTEGER AS key')
    await writeFile(join(folder, 'c.arrows'), tableToIPC(tableFromArrays({ key: Int32Array.of(3), flag: [true] })))
    const source = sourceOf(join(folder, '*'))
    const { columns } = await source.describe('t', never())
    expect(columns.map(({ name, native }) => [name, native])).toEqual([
      ['key', 'int32'],
      ['s', 'string'],
      ['more', 'list<decimal(11,1)>'],
      ['flag', 'boolean'],
    ])
    expect(await stageLines(source)).toEqual([
      '{"key":1,"s":"x","more":null,"flag":null}',
      '{"key":2,"s":null,"more":[1.5,2.0],"flag":null}',
      '{"key":3,"s":null,"more":null,"flag":true}',
    ])
  })

  it('are read where the filter, or the window, is over a column that some lack', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), "SELECT 1::INTEGER AS key, 'x' AS s")
    await writeParquet(join(folder, 'b.parquet'), 'SELECT 2::INTEGER AS key, 3::BIGINT AS block')
    const source = sourceOf(join(folder, '*'), { table: { partitionKeys: ['block', 'key'] } })
    expect(await stageLines(source)).toEqual(['{"key":2,"s":null,"block":3}'])
    const byKey = sourceOf(join(folder, '*'))
    expect(await stageLines(byKey, { start: '0', end: '9', filter: { column: 's', values: ['x'] } })).toEqual([
      '{"key":1,"s":"x","block":null}',
    ])
  })

  it.each([
    ['1::INTEGER', '1::BIGINT', 'int32', 'int64'],
    ["'a'", "'a'::BLOB", 'string', 'binary'],
    ['now()::TIMESTAMP', 'now()', 'timestamp(us)', 'timestamp(us, UTC)'],
    ['[1::INTEGER]', "['a']", 'list<int32>', 'list<string>'],
    ["{'a': 1::INTEGER}", "{'b': 1::INTEGER}", 'struct<a: int32>', 'struct<b: int32>'],
    ["MAP {'a': 1::INTEGER}", 'MAP {1::INTEGER: 1::INTEGER}', 'map<string, int32>', 'map<int32, int32>'],
  ])('are refused where a column is %s and %s', async (one, other, first, second) => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), `SELECT 1 AS key, ${one} AS v`)
    const path = await writeParquet(join(folder, 'b.parquet'), `SELECT 1 AS key, ${other} AS v`)
    await expect(sourceOf(join(folder, '*')).describe('t', never())).rejects.toMatchObject({
      code: 'unsupported_type',
      message: `column "v" is ${second} in the staged file ${JSON.stringify(path)} and ${first} elsewhere in the table: write its files with one type, or put those of each type into a table of their own`,
    })
  })

  it('and were not looked into, are refused when they are read', async () => {
    const folder = await scratch()
    for (const name of ['a', 'c']) await writeParquet(join(folder, `${name}.parquet`), 'SELECT 1 AS key')
    const path = await writeParquet(join(folder, 'b.parquet'), "SELECT 'x' AS key")
    await expect(stageLines(sourceOf(join(folder, '*'), { inspectFiles: 2 }))).rejects.toMatchObject({
      code: 'unsupported_type',
      message: expect.stringContaining(`column "key" is string in the staged file ${JSON.stringify(path)} and int32`),
    })
    await writeParquet(path, 'SELECT 1 AS key, 2 AS extra')
    await expect(stageLines(sourceOf(join(folder, '*'), { inspectFiles: 2 }))).rejects.toMatchObject({
      code: 'unsupported_type',
      message: expect.stringContaining(
        'has a column "extra", which the table was not found to have: raise inspectFiles',
      ),
    })
    expect(await stageLines(sourceOf(join(folder, '*')))).toHaveLength(3)
  })
})

describe('folders', () => {
  async function tree(): Promise<string> {
    const folder = await scratch()
    const write = (path: string, key: number) => writeParquet(join(folder, path), `SELECT ${key}::INTEGER AS key`)
    await write('day=2001-01-01/n=7/zone=a%2Fb/x.parquet', 1)
    await write('day=2001-01-02/n=-8/zone=01/x.parquet', 2)
    await write('day=2001-01-03/n=9/zone=__HIVE_DEFAULT_PARTITION__/x.parquet', 3)
    return folder
  }

  it('are columns, whose types their values tell', async () => {
    const source = sourceOf(join(await tree(), '**/*.parquet'))
    const { columns } = await source.describe('t', never())
    expect(columns.map(({ name, native }) => [name, native])).toEqual([
      ['key', 'int32'],
      ['day', 'date'],
      ['n', 'int64'],
      ['zone', 'string'],
    ])
    expect(await stageLines(source)).toEqual([
      '{"key":1,"day":"2001-01-01","n":7,"zone":"a/b"}',
      '{"key":2,"day":"2001-01-02","n":-8,"zone":"01"}',
      '{"key":3,"day":"2001-01-03","n":9,"zone":null}',
    ])
  })

  it('leave out files by the window and by the filter', async () => {
    const source = sourceOf(join(await tree(), '**/*.parquet'), { table: { partitionKeys: ['day', 'key'] } })
    const window = { start: '2001-01-02', end: '2001-01-04' }
    const keys = async (choice: Parameters<typeof stage>[1]) => {
      const staged = await stage(source, choice)
      return [staged.files.length, (await readStagedLines(source, staged)).map(line => JSON.parse(line).key)]
    }
    expect(await keys(window)).toEqual([2, [2, 3]])
    expect(await keys({ ...window, filter: { column: 'n', values: ['-8', '7'] } })).toEqual([1, [2]])
    expect(await keys({ ...window, filter: { column: 'zone', values: ['01'] } })).toEqual([1, [2]])
    expect(await keys({ ...window, filter: { column: 'zone', values: ['a/b'] } })).toEqual([0, []])
  })

  it('have the types that they are given, or are none', async () => {
    const pattern = join(await tree(), '**/*.parquet')
    const described = async (folders: false | Record<string, 'string' | 'date'>) =>
      (await sourceOf(pattern, { table: { folders } }).describe('t', never())).columns.map(({ native }) => native)
    expect(await described({ n: 'string' })).toEqual(['int32', 'date', 'string', 'string'])
    expect(await described(false)).toEqual(['int32'])
    await expect(stageLines(sourceOf(pattern, { table: { folders: { n: 'date' } } }))).rejects.toMatchObject({
      code: 'source_failed',
      message: expect.stringMatching(/the folder "n" of the file ".*" must be a date that exists/),
    })
  })

  it('stand back behind columns of the files', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'key=5/x.parquet'), 'SELECT 1::INTEGER AS key')
    expect(await stageLines(sourceOf(join(folder, '*/*')))).toEqual(['{"key":1}'])
  })
})

describe('the files of a table', () => {
  it('are those of all patterns, each once, in the order of their names, and no hidden ones', async () => {
    const folder = await scratch()
    for (const [index, name] of ['b.parquet', 'sub/a.parquet', '_day=1/c.parquet'].entries())
      await writeParquet(join(folder, name), `SELECT ${index} AS key`)
    for (const name of ['.hidden.parquet', '_SUCCESS', 'sub/_temporary/x.parquet'])
      await writeParquet(join(folder, name), 'SELECT 9 AS key')
    await mkdir(join(folder, 'folder.parquet'))
    await symlink(join(folder, 'nothing'), join(folder, 'dangling.parquet'))
    const source = sourceOf([join(folder, '**/*.parquet'), join(folder, 'b.parquet')])
    const { files } = await stage(source)
    expect(files.map(({ name }) => name.slice(folder.length + 1))).toEqual([
      '_day=1/c.parquet',
      'b.parquet',
      'sub/a.parquet',
    ])
  })

  it('may have names that would be globs', async () => {
    const folder = await scratch()
    const path = await writeParquet(join(folder, 'a[1].parquet'), 'SELECT 1 AS key')
    expect(await stageLines(sourceOf(path))).toEqual(['{"key":1}'])
  })

  it('have to be there', async () => {
    const source = sourceOf(join(await scratch(), '*.parquet'))
    await expect(source.describe('t', never())).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'there is no file of table t: see its `files`',
    })
  })

  it('that are written again or removed after they were listed are errors', async () => {
    const folder = await scratch()
    const path = await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    const source = sourceOf(join(folder, '*'))
    const staged = await stage(source)
    expect(await readStagedLines(source, staged)).toHaveLength(1)
    await utimes(path, 1, 1)
    await expect(readStagedLines(source, staged)).rejects.toMatchObject({ code: 'file_corrupt' })
    const again = await stage(source)
    await appendFile(path, 'x')
    await utimes(path, 1, 1)
    await expect(readStagedLines(source, again)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: `the file ${JSON.stringify(path)} was written again since it was listed: create the backfill again`,
    })
    await rm(path)
    await expect(readStagedLines(source, again)).rejects.toMatchObject({ code: 'file_missing' })
  })

  it('are no others than those of the catalogue', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    const source = sourceOf(join(folder, '*.parquet'))
    for (const name of ['/etc/passwd', join(folder, '../x.parquet'), join(folder, '_a.parquet'), 's3://b/a.parquet'])
      await expect(source.access({ name, bytes: 1 }, never())).rejects.toMatchObject({
        code: 'source_failed',
        message: expect.stringContaining('is not one of the files of this source'),
      })
  })

  it('are counted by an estimate as far as the window needs them', async () => {
    const folder = await scratch()
    const sizes: number[] = []
    for (const index of [0, 1, 2]) {
      const path = join(folder, `${index}.parquet`)
      await writeParquet(path, `SELECT i AS key FROM range(${index * 100}, ${index * 100 + 100}) r(i)`)
      sizes.push((await stat(path)).size)
    }
    const source = sourceOf(join(folder, '*'))
    const request = await stageRequest(source, 't', { start: '50', end: '150' })
    expect(await source.estimate!(request, never())).toEqual({
      rows: null,
      files: 2,
      bytes: sizes[0]! + sizes[1]!,
      sql: [],
      columns: [{ name: 'key', native: 'int64', staged: 'key' }],
    })
  })

  it('are never removed', async () => {
    const folder = await scratch()
    const path = await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    const source = sourceOf(join(folder, '*.parquet'))
    await stage(source, { stagingId: 'one', start: '0', end: '9' })
    await source.discard('one', undefined, never())
    expect(existsSync(path)).toBe(true)
  })

  it('that are damaged are named', async () => {
    const folder = await scratch()
    await writeFile(join(folder, 'a.parquet'), Buffer.from('PAR1 no 0000PAR1'.replace('0000', '\x05\0\0\0')))
    await expect(sourceOf(join(folder, '*')).describe('t', never())).rejects.toMatchObject({
      code: 'file_corrupt',
      message: expect.stringContaining('a.parquet'),
    })
  })
})

describe('the order of a column', () => {
  async function source(...bounds: readonly [number, number][]): Promise<Source> {
    const folder = await scratch()
    for (const [index, [start, end]] of bounds.entries())
      await writeParquet(join(folder, `${index}.parquet`), `SELECT i AS key FROM range(${start}, ${end}) r(i)`)
    return sourceOf(join(folder, '*'), { table: { sortedBy: 'key' } })
  }

  it('is that of the bounds of files', async () => {
    const lines = await stageLines(await source([20, 30], [0, 10], [10, 20]), { start: '5', end: '25', sorted: true })
    expect(lines).toEqual(Array.from({ length: 20 }, (_, index) => `{"key":${index + 5}}`))
  })

  it('is refused where files overlap, and where nothing is known of it', async () => {
    await expect(stage(await source([0, 10], [5, 15]), { start: '0', end: '99', sorted: true })).rejects.toMatchObject({
      code: 'source_failed',
      message: expect.stringMatching(/the files ".*0.parquet" and ".*1.parquet" overlap in key/),
    })
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    await expect(stage(sourceOf(join(folder, '*')), { start: '0', end: '9', sorted: true })).rejects.toMatchObject({
      code: 'source_failed',
      message: expect.stringContaining('sortedBy'),
    })
  })
})

describe('options', () => {
  it('that cannot be are named', () => {
    const options = { tables: { t: { files: [], partitionKeys: [], sortedBy: 'a' } }, inspectFiles: 0, more: 1 }
    expect(() => filesSource(options)).toThrowError(
      /tables\.t\.files: .*; tables\.t\.partitionKeys: .*; inspectFiles: .*; options: .*more/s,
    )
  })

  it('name partition keys that can be', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), "SELECT 1 AS key, 'x' AS s")
    await expect(
      sourceOf(join(folder, '*'), { table: { partitionKeys: ['s'] } }).describe('t', never()),
    ).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'partition key s of t is string; columns of type timestamp, date or integer are key',
    })
  })
})

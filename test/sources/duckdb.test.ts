import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it, test } from 'vitest'
import { type DuckdbSourceOptions, type DuckdbTable, duckdbSource } from '../../src/sources/duckdb.ts'
import type { Source, StageRequest } from '../../src/sources/source.ts'
import { sourceTestRows, testSource } from '../../src/testing/source.ts'
import { stageRequest } from '../../src/testing/source-driver.ts'
import { never, scratch, stage, stageLines, warehouse } from './duckdb/warehouse.ts'

const FIVE_ROWS = ['CREATE TABLE t AS SELECT i::INTEGER AS key FROM range(5) r(i)']
/** Staging it takes for ever. */
const ENDLESS = ['CREATE VIEW t AS SELECT i AS key FROM range(1_000_000_000_000) r(i)']
const PATIENT = { timeout: 30_000 }
const ALL = { start: '0', end: '9000000000000' }

describe('the suite of sources', () => {
  const rows = JSON.stringify(sourceTestRows()).replaceAll("'", "''")
  const shape = '[{"id": "BIGINT", "at": "TIMESTAMP", "name": "VARCHAR"}]'
  const table = 'base.assets.test_rows'

  async function create(): Promise<Source> {
    const { source } = await warehouse(
      [
        'CREATE SCHEMA assets',
        `CREATE TABLE assets.test_rows AS SELECT unnest(from_json('${rows}', '${shape}'), recursive := true)`,
      ],
      { tables: { [table]: { partitionKeys: ['at'] } } },
    )
    return source
  }

  for (const { name, run } of testSource({ create, table })) test(name, run)
})

describe('the catalogue', () => {
  async function describeTable(statements: readonly string[], table: DuckdbTable): Promise<unknown> {
    const { source } = await warehouse(statements, { tables: { t: table } })
    return source.describe('t', never())
  }

  it('says which tables there are instead of one that is not there', async () => {
    const described = describeTable(['CREATE TABLE a (key DATE)', 'CREATE SCHEMA s', 'CREATE VIEW s.b AS FROM a'], {
      partitionKeys: ['key'],
    })
    await expect(described).rejects.toMatchObject({
      code: 'invalid_config',
      message:
        'cannot describe t: DuckDB reports: Catalog Error: Table with name t does not exist! The database has base.main.a, base.s.b.',
    })
  })

  it.each([
    ['missing', 'partition key missing of t does not exist; columns of type timestamp, date or integer are at, day'],
    ['name', 'partition key name of t is VARCHAR; columns of type timestamp, date or integer are at, day'],
  ])('says what can be a partition key where %s cannot', async (key, message) => {
    const statements = ['CREATE TABLE t ("at" TIMESTAMP, day DATE, name VARCHAR)']
    const described = describeTable(statements, { partitionKeys: ['at', key] })
    await expect(described).rejects.toMatchObject({ code: 'invalid_config', message })
  })

  it('may give a table another name than DuckDB has', async () => {
    const statements = ['CREATE SCHEMA "a ""b"', 'CREATE TABLE "a ""b"."c; d" AS SELECT 1 AS key']
    const { source } = await warehouse(statements, {
      tables: { t: { partitionKeys: ['key'], relation: 'base.a "b.c; d' } },
    })
    expect(await stageLines(source, ALL)).toEqual(['{"key":1}'])
  })

  it('names no table that an object happens to have', async () => {
    const { source } = await warehouse(FIVE_ROWS)
    await expect(source.describe('toString', never())).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'unknown table toString; the catalogue has t',
    })
  })

  it('is checked against the table again when it is staged', async () => {
    const instance = await DuckDBInstance.create()
    const connection = await instance.connect()
    const stagingDir = await scratch()
    const source = duckdbSource({ database: instance, stagingDir, tables: { t: { partitionKeys: ['key'] } } })
    await connection.run('CREATE TABLE t AS SELECT 1 AS key, 2 AS a, 3 AS b')
    const request = await stageRequest(source, 't', ALL)
    const staging = () => source.stage(request, undefined, async () => {}, never())

    await connection.run('ALTER TABLE t ALTER a TYPE VARCHAR; ALTER TABLE t ADD c INTEGER')
    await expect(staging()).rejects.toMatchObject({ code: 'source_failed', retryable: false })
    await expect(staging()).rejects.toThrow('column a of t is now VARCHAR, not INTEGER: create the backfill again')
    await connection.run('ALTER TABLE t ALTER a TYPE INTEGER; ALTER TABLE t DROP b')
    await expect(staging()).rejects.toThrow('column b of t is gone: create the backfill again')
    connection.closeSync()
  })
})

describe('options', () => {
  const given = (options: Partial<DuckdbSourceOptions>) => () =>
    duckdbSource({ database: 'base.duckdb', tables: { t: { partitionKeys: ['key'] } }, ...options })

  it.each<[Partial<DuckdbSourceOptions>, string]>([
    [{ database: ':memory:' }, 'create a DuckDBInstance and hand that in'],
    [{ rowGroupRows: 1_000 }, 'rowGroupRows must be a multiple of 2048, not 1000'],
    [{ rowGroupRows: 0 }, 'rowGroupRows must be a multiple of 2048, not 0'],
    [{ tables: { t: { partitionKeys: [] } } }, 'table t needs at least one partition key'],
    [{ tables: { 'a.b.c.d': { partitionKeys: ['key'] } } }, 'a.b.c.d has more parts than database.schema.table'],
    [{ tables: { 'a.': { partitionKeys: ['key'] } } }, 'a table or column name is empty'],
  ])('that cannot be are refused: %j', (options, message) => {
    expect(given(options)).toThrow(expect.objectContaining({ code: 'invalid_config' }))
    expect(given(options)).toThrow(message)
  })

  it('of the memory belong to the host where the instance does', async () => {
    const database = await DuckDBInstance.create()
    const message = 'memoryLimit and threads are settings of the host where the host hands in the instance'
    expect(given({ database, memoryLimit: '1GB' })).toThrow(message)
    expect(given({ database, threads: 1 })).toThrow(message)
  })

  it('bound the memory', async () => {
    const sorted = ['CREATE VIEW t AS SELECT i AS key, md5(i::VARCHAR) AS text FROM range(300_000) r(i)']
    const { source } = await warehouse(sorted, { memoryLimit: '1MB' })
    await expect(stage(source, { ...ALL, sorted: true })).rejects.toMatchObject({
      code: 'source_failed',
      retryable: true,
      message: expect.stringMatching(/Out of Memory Error: .*; raise memoryLimit, or lower rowGroupRows or threads$/),
    })
  })
})

describe('the database', () => {
  it('has to be there', async () => {
    const stagingDir = await scratch()
    const source = duckdbSource({
      database: join(stagingDir, 'none'),
      stagingDir,
      tables: { t: { partitionKeys: ['key'] } },
    })
    await expect(source.describe('t', never())).rejects.toMatchObject({
      code: 'invalid_config',
      message: `there is no database file ${join(stagingDir, 'none')}`,
    })
  })

  it.each(['memory.duckdb', 'Temp.duckdb', 'system'])('may be called as one that DuckDB has itself: %s', async name => {
    const stagingDir = await scratch()
    const database = join(stagingDir, name)
    const instance = await DuckDBInstance.create(join(stagingDir, 'other'))
    const connection = await instance.connect()
    await connection.run('CREATE TABLE t AS SELECT 1 AS key')
    connection.closeSync()
    instance.closeSync()
    await rename(join(stagingDir, 'other'), database)
    const source = duckdbSource({ database, stagingDir, tables: { t: { partitionKeys: ['key'] } } })
    await expect(source.describe('t', never())).resolves.toMatchObject({ columns: [{ name: 'key' }] })
  })

  it('has to be one of DuckDB', async () => {
    const stagingDir = await scratch()
    const database = join(stagingDir, 'text.txt')
    await writeFile(database, 'no database'.repeat(1_000))
    const source = duckdbSource({ database, stagingDir, tables: { t: { partitionKeys: ['key'] } } })
    await expect(source.describe('t', never())).rejects.toThrow(
      `cannot open ${database}: DuckDB reports: IO Error: The file`,
    )
  })

  it('is open only while it is used, so that other processes can write to it', async () => {
    const { source, database } = await warehouse(FIVE_ROWS)
    expect((await stageLines(source, ALL)).length).toBe(5)
    const write = `const { DuckDBInstance } = await import('@duckdb/node-api')
      const connection = await (await DuckDBInstance.create(${JSON.stringify(database)})).connect()
      await connection.run('INSERT INTO t VALUES (5)')`
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', write])
    expect((await stageLines(source, ALL)).length).toBe(6)
  })

  it('of the host is used with the settings of the host, and left open', async () => {
    const instance = await DuckDBInstance.create()
    const connection = await instance.connect()
    await connection.run("SET GLOBAL TimeZone = 'Asia/Tokyo'")
    await connection.run("CREATE VIEW t AS SELECT 1 AS key, TIMESTAMP '2026-03-01 00:00:00'::TIMESTAMPTZ AS utc")
    const source = duckdbSource({
      database: instance,
      stagingDir: await scratch(),
      tables: { t: { partitionKeys: ['key'] } },
    })
    expect(await stageLines(source, ALL)).toEqual(['{"key":1,"utc":"2026-03-01T00:00:00Z"}'])
    const settings = "SELECT current_setting('TimeZone'), current_setting('preserve_insertion_order')"
    expect((await connection.runAndReadAll(settings)).getRows()).toEqual([['Asia/Tokyo', true]])
    connection.closeSync()
  })

  it('spills into the staging directory, where nothing stays, not even of processes that were killed', async () => {
    const { source, stagingDir } = await warehouse(
      ['CREATE VIEW t AS SELECT i AS key, md5(i::VARCHAR) AS text FROM range(500_000) r(i)'],
      { memoryLimit: '30MB', threads: 1 },
    )
    const [dead, same, alive, elsewhere] = [
      `.spill-${hostname()}-999999999-0`,
      `.spill-${hostname()}-${process.pid}-999999`,
      `.spill-${hostname()}-${process.ppid}-0`,
      '.spill-another-host-1-0',
    ]
    for (const name of [dead, same, alive, elsewhere]) await mkdir(join(stagingDir, name), { recursive: true })
    const seen = new Set<string>()
    const watch = setInterval(async () => (await readdir(stagingDir)).forEach(name => void seen.add(name)), 5)
    const { files } = await stage(source, { ...ALL, stagingId: 'sorted', sorted: true })
    clearInterval(watch)
    expect(files.reduce((sum, { rows }) => sum + rows!, 0)).toBe(500_000)
    const own = [...seen].filter(name => name.startsWith(`.spill-${hostname()}-${process.pid}-`) && name !== same)
    expect(own).toHaveLength(1)
    expect((await readdir(stagingDir)).toSorted()).toEqual([alive, elsewhere, 'sorted'].toSorted())
  })
})

describe('staging', () => {
  it('starts afresh where an attempt died', async () => {
    const { source, stagingDir } = await warehouse(FIVE_ROWS)
    await mkdir(join(stagingDir, 'again'), { recursive: true })
    await writeFile(join(stagingDir, 'again', 'data_0.parquet'), 'half a file')
    const { files } = await stage(source, { ...ALL, stagingId: 'again' })
    expect(files.map(({ name, rows }) => [name, rows])).toEqual([['again/part-000000.parquet', 5]])
    expect(await readdir(join(stagingDir, 'again'))).toEqual(['part-000000.parquet'])
  })

  it('stops while DuckDB is at work', async () => {
    const { source, stagingDir } = await warehouse(ENDLESS)
    const controller = new AbortController()
    const staging = source.stage(
      await stageRequest(source, 't', { ...ALL, stagingId: 'one' }),
      undefined,
      async () => {},
      controller.signal,
    )
    await expect.poll(() => existsSync(join(stagingDir, 'one', 'data_0.parquet')), PATIENT).toBe(true)
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(staging).rejects.toBe(reason)
  })

  it('stops when it is discarded, and leaves nothing', async () => {
    const { source, stagingDir } = await warehouse(ENDLESS)
    const staging = stage(source, { ...ALL, stagingId: 'one' })
    staging.catch(() => {})
    await expect.poll(() => existsSync(join(stagingDir, 'one', 'data_0.parquet')), PATIENT).toBe(true)
    await source.discard('one', undefined, never())
    expect(await readdir(stagingDir)).toEqual([])
    await expect(staging).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('waits behind two others, and can be stopped while it waits', async () => {
    const { source, stagingDir } = await warehouse(ENDLESS)
    const requests = ['one', 'two', 'three', 'four'].map(stagingId => stageRequest(source, 't', { ...ALL, stagingId }))
    const [one, two, three, four] = await Promise.all(requests)
    const controller = new AbortController()
    const begin = (request: StageRequest, signal: AbortSignal) => {
      const staging = source.stage(request, undefined, async () => {}, signal)
      staging.catch(() => {})
      return staging
    }
    const running = [begin(one!, never()), begin(two!, never())]
    await expect.poll(async () => (await readdir(stagingDir)).filter(isStaging), PATIENT).toEqual(['one', 'two'])
    const waiting = begin(three!, never())
    const alsoWaiting = begin(four!, controller.signal)
    controller.abort(new Error('enough'))
    await expect(alsoWaiting).rejects.toThrow('enough')
    await source.discard('three', undefined, never())
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
    expect((await readdir(stagingDir)).filter(isStaging)).toEqual(['one', 'two'])
    for (const stagingId of ['one', 'two']) await source.discard(stagingId, undefined, never())
    await Promise.allSettled(running)
    expect(await readdir(stagingDir)).toEqual([])
  })
})

describe('names', () => {
  it.each(['../t', 'a/b', '.', '', 'a\0', 'x'.repeat(65)])(
    'of stagings cannot lead out of the directory: %j',
    async name => {
      const { source } = await warehouse(FIVE_ROWS)
      await expect(stage(source, { ...ALL, stagingId: name })).rejects.toThrow(
        'is not the name of a staging of this source',
      )
      await expect(source.discard(name, undefined, never())).rejects.toThrow(
        'is not the name of a staging of this source',
      )
    },
  )

  it.each([
    '../part-000000.parquet',
    'one/../../part-000000.parquet',
    'one/other',
    '/etc/passwd',
    'part-000000.parquet',
  ])('of files cannot lead out of a staging: %j', async name => {
    const { source } = await warehouse(FIVE_ROWS)
    await expect(source.access({ name, bytes: 1 }, never())).rejects.toMatchObject({
      code: 'source_failed',
      retryable: false,
    })
  })

  it('of files that are gone are named in the error', async () => {
    const { source, stagingDir } = await warehouse(FIVE_ROWS)
    await expect(source.access({ name: 'one/part-000000.parquet', bytes: 1 }, never())).rejects.toMatchObject({
      code: 'file_missing',
      message: `staged file one/part-000000.parquet is not in ${stagingDir}: create the backfill again`,
    })
  })
})

function isStaging(name: string): boolean {
  return !name.startsWith('.spill-')
}

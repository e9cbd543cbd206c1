import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type SnowflakeSourceOptions, type SnowflakeTable, snowflakeSource } from '../../../src/sources/snowflake.ts'
import { stageRequest } from '../../../src/testing/source-driver.ts'
import type { SnowflakeServer } from '../../servers/snowflake/server.ts'
import { loginTo, never, STAGE, sourceOn, stagedNames, startAccount, TEST_TABLE } from './account.ts'

let server: SnowflakeServer
beforeAll(async () => {
  server = await startAccount({ ID: 'NUMBER(38,0)', NAME: 'VARCHAR(10)', AMOUNT: 'NUMBER(10,2)' }, "SELECT 1, 'x', 2")
  server.stages.create('BASE.ASSETS.ENCRYPTED', 'INTERNAL')
})
afterAll(() => server.stop())
afterEach(() => {
  server.compute = 'running'
  server.forbidden = undefined
})

describe('options', () => {
  it.each<[Partial<SnowflakeSourceOptions>, string]>([
    [{ stage: 'exports' }, 'stage must be @~/path or @database.schema.stage/path, not "exports"'],
    [{ stage: '@a.b.c/x y' }, 'stage must be'],
    [{ stage: '@a.b.c.d' }, 'has more parts than database.schema.name'],
    [{ stage: '@~/x', reading: 'url' }, "files of the user's own stage @~ cannot be read by URL"],
    [{ urlLifetimeSeconds: 604_801 }, 'urlLifetimeSeconds must be a whole number from 60 to 604800, not 604801'],
    [{ spool: { maxBytes: 0 } }, 'spool.maxBytes must be a whole number above 0, not 0'],
    [{ tables: { t: { partitionKeys: [] } } }, 'table t needs at least one partition key'],
    [{ tables: { 't; DROP': { partitionKeys: ['a'] } } }, '"t; DROP" is not a name'],
  ])('that cannot be are refused: %j', (options, message) => {
    const make = () => snowflakeSource({ connection: loginTo(server), stage: STAGE, tables: {}, ...options })
    expect(make).toThrow(message)
  })
})

describe('the catalogue', () => {
  const describeTable = (table: SnowflakeTable) => sourceOn(server, { tables: { t: table } }).describe('t', never())

  it.each<[SnowflakeTable, string]>([
    [
      { relation: 'base.assets.test_rowz', partitionKeys: ['at'] },
      "cannot describe BASE.ASSETS.TEST_ROWZ: Snowflake reports 002003 (02000): Object 'BASE.ASSETS.TEST_ROWZ' does not exist or not authorized; correct the name, or grant the role SELECT on the table and USAGE on its database and schema; the schema has TEST_ROWS",
    ],
    [{ relation: 'base.assets."test_rows"', partitionKeys: ['at'] }, 'the schema has TEST_ROWS'],
    [
      { relation: 'base.asets.test_rows', partitionKeys: ['at'] },
      'cannot describe BASE.ASETS.TEST_ROWS: Snowflake reports 002003',
    ],
    [
      { relation: 'base.assets.t', partitionKeys: ['idd'] },
      'partition key idd of t does not exist; did you mean id?; columns of type timestamp, date or NUMBER of scale 0 are id',
    ],
    [{ relation: 'base.assets.t', partitionKeys: ['name'] }, 'partition key name of t is VARCHAR(10); columns'],
    [{ relation: 'base.assets.t', partitionKeys: ['amount'] }, 'partition key amount of t is NUMBER(10,2); columns'],
    [{ relation: 'base.assets.t', partitionKeys: ['ID'] }, 'partition key ID of t does not exist; did you mean id?'],
  ])('names what does not exist, and what comes near: %j', async (table, message) => {
    const described = describeTable(table)
    await expect(described).rejects.toMatchObject({ code: 'invalid_config' })
    await expect(described).rejects.toThrow(message)
  })

  it('knows no other tables', async () => {
    const described = sourceOn(server).describe('base.assets.test_row', never())
    await expect(described).rejects.toThrow('unknown table base.assets.test_row; did you mean base.assets.test_rows?')
  })
})

describe('Snowflake refuses', () => {
  async function stage(): Promise<unknown> {
    const source = sourceOn(server)
    const filter = { column: 'name', values: ['secret value'] }
    const request = await stageRequest(source, TEST_TABLE, { stagingId: 'refused', filter })
    return source.stage(request, undefined, async () => {}, never())
  }

  it.each<[SnowflakeServer['compute'], string]>([
    [
      'none',
      "000606 (57P03): No active warehouse selected in the current session. Select an active warehouse with the 'use warehouse' command; name a running warehouse in the connection, and grant USAGE on it to the role",
    ],
    ['suspended', "000609 (57014): Warehouse 'BACKFILL' is suspended; resume the warehouse"],
    [
      'quota',
      "090073 (22000): Warehouse 'BACKFILL' cannot be resumed because resource monitor 'MONTHLY' has exceeded its quota; raise the quota",
    ],
  ])('to work without a warehouse that can: %s', async (compute, message) => {
    server.compute = compute
    await expect(stage()).rejects.toThrow(`cannot stage ${TEST_TABLE}: Snowflake reports ${message}`)
    expect(await stagedNames(server)).toEqual([])
  })

  it('what the role has no right to', async () => {
    server.forbidden = /^COPY INTO/
    const staging = stage()
    await expect(staging).rejects.toMatchObject({ code: 'source_failed', retryable: false })
    await expect(staging).rejects.toThrow(
      '003001 (42501): Insufficient privileges to operate on the object; grant the role',
    )
    await expect(staging).rejects.not.toThrow('secret')
  })

  it('wrong credentials, of which nothing is told', async () => {
    const source = sourceOn(server, { connection: { ...loginTo(server), password: 'open barley' } })
    const described = source.describe(TEST_TABLE, never())
    await expect(described).rejects.toThrow('cannot log in: Snowflake reports 390100 (its message is withheld')
    await expect(described).rejects.not.toThrow('barley')
  })

  it('a list that is too long, an instant in Parquet, and two options together, when it is asked by others', async () => {
    const { createConnection } = (await import('snowflake-sdk')).default as typeof import('snowflake-sdk')
    const connection = createConnection(loginTo(server))
    await connection.connectAsync()
    const run = (sqlText: string) =>
      new Promise((resolve, reject) => {
        connection.execute({ sqlText, complete: (error, _, rows) => (error ? reject(error) : resolve(rows)) })
      })
    const table = '"BASE"."ASSETS"."TEST_ROWS" AS t'
    const list = Array.from({ length: 16_385 }, (_, index) => index).join(', ')
    await expect(run(`SELECT COUNT(*) AS N FROM ${table} WHERE t."ID" IN (${list})`)).rejects.toMatchObject({
      code: '001795',
    })
    await expect(run(`SELECT COUNT(*) AS N FROM ${table} WHERE t."id" IN (1)`)).rejects.toMatchObject({
      code: '000904',
    })
    const copy = (query: string, options: string) =>
      `COPY INTO @"BASE"."ASSETS"."EXPORTS"/x/ FROM (${query}) FILE_FORMAT = (TYPE = PARQUET) ${options}`
    await expect(
      run(copy(`SELECT TO_TIMESTAMP_TZ('2026-03-01 00:00:00 +0000', 'x') AS A FROM ${table}`, '')),
    ).rejects.toThrow('TIMESTAMP_TZ and LTZ types are not supported for unloading to Parquet')
    await expect(
      run(copy(`SELECT t."ID" FROM ${table}`, 'INCLUDE_QUERY_ID = TRUE OVERWRITE = TRUE')),
    ).rejects.toMatchObject({ code: '001017' })
    expect(await stagedNames(server)).toEqual([])
    connection.destroy(() => {})
  })
})

describe('a stage', () => {
  async function stageOn(options: Partial<SnowflakeSourceOptions>): Promise<unknown> {
    const source = sourceOn(server, options)
    return source.stage(await stageRequest(source, TEST_TABLE, {}), undefined, async () => {}, never())
  }

  it('whose files no URL opens is told before anything is staged, with what to do', async () => {
    await expect(stageOn({ stage: '@base.assets.encrypted/x' })).rejects.toMatchObject({
      code: 'invalid_config',
      message: `files of stage @"BASE"."ASSETS"."ENCRYPTED" are encrypted for clients of Snowflake and cannot be read by URL: make a stage by "CREATE STAGE "BASE"."ASSETS"."MILLRACE" ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')", or set reading: 'download'`,
    })
    const unloads = server.queries.all().filter(({ sql }) => sql.includes('ENCRYPTED') && sql.startsWith('COPY'))
    expect(unloads).toEqual([])
  })

  it('that is not there is named', async () => {
    await expect(stageOn({ stage: '@base.assets.nowhere' })).rejects.toThrow(
      'there is no stage @"BASE"."ASSETS"."NOWHERE", or the role does not see it: create it, or grant',
    )
  })
})

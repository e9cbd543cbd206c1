import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Check } from '../../../src/sources/source.ts'
import type { SnowflakeServer } from '../../servers/snowflake/server.ts'
import { loginTo, never, STAGE, sourceOn, stagedNames, startAccount, TEST_TABLE } from './account.ts'

let server: SnowflakeServer
beforeAll(async () => {
  server = await startAccount()
  server.stages.create('BASE.ASSETS.ENCRYPTED', 'INTERNAL')
})
afterAll(() => server.stop())
afterEach(() => {
  server.compute = 'running'
  server.forbidden = undefined
})

const tables = { [TEST_TABLE]: { partitionKeys: ['at'] } }
const STAGE_GRANTS = [
  'GRANT USAGE ON DATABASE "BASE" TO ROLE "MILLRACE";',
  'GRANT USAGE ON SCHEMA "BASE"."ASSETS" TO ROLE "MILLRACE";',
  'GRANT READ, WRITE ON STAGE "BASE"."ASSETS"."EXPORTS" TO ROLE "MILLRACE";',
]

async function checks(options: Parameters<typeof sourceOn>[1] = {}): Promise<readonly Check[]> {
  return sourceOn(server, { tables, ...options }).check!(never())
}

describe('checking an account', () => {
  it.each([STAGE, '@base.assets.encrypted/x'])('finds all well, and leaves nothing: %s', async stage => {
    const found = await checks({ stage, ...(stage === STAGE ? {} : { reading: 'download' as const }) })
    expect(found.map(({ what, ok }) => [what, ok])).toEqual([
      ['log-in', true],
      ['warehouse', true],
      ['table BASE.ASSETS.TEST_ROWS', true],
      [`stage @"BASE"."ASSETS"."${stage === STAGE ? 'EXPORTS' : 'ENCRYPTED'}"`, true],
      ['unloading a row, reading and removing it', true],
      ['temporary tables, for long filters', true],
    ])
    expect(found[0]!.said).toBe('user BACKFILLER, role MILLRACE')
    expect(await stagedNames(server)).toEqual([])
  })

  it('ends with a log-in that fails', async () => {
    const found = await checks({ connection: { ...loginTo(server), password: 'wrong' } })
    expect(found).toEqual([
      { what: 'log-in', ok: false, said: expect.stringContaining('Snowflake reports 390100'), mend: [] },
    ])
  })

  it.each<[SnowflakeServer['compute'], readonly string[]]>([
    [
      'none',
      [
        "name one in the configuration: connection: { ..., warehouse: '...' }",
        'GRANT USAGE, OPERATE ON WAREHOUSE <warehouse> TO ROLE "MILLRACE";',
        'ALTER WAREHOUSE <warehouse> SET AUTO_RESUME = TRUE;',
      ],
    ],
    [
      'suspended',
      [
        'GRANT USAGE, OPERATE ON WAREHOUSE "BACKFILL" TO ROLE "MILLRACE";',
        'ALTER WAREHOUSE "BACKFILL" SET AUTO_RESUME = TRUE;',
      ],
    ],
    ['quota', ['ALTER WAREHOUSE "BACKFILL" SET RESOURCE_MONITOR = <one with a higher quota>;']],
  ])('says how to get a warehouse that works: %s', async (compute, mend) => {
    server.compute = compute
    const found = await checks()
    expect(found.at(-1)).toMatchObject({ what: 'warehouse', ok: false, mend })
  })

  it.each<[string, RegExp, string, readonly string[]]>([
    [
      'read a table',
      /^SELECT 1 AS A FROM/,
      'table BASE.ASSETS.TEST_ROWS',
      [...STAGE_GRANTS.slice(0, 2), 'GRANT SELECT ON TABLE "BASE"."ASSETS"."TEST_ROWS" TO ROLE "MILLRACE";'],
    ],
    ['write to the stage', /^COPY INTO/, 'unloading a row, reading and removing it', STAGE_GRANTS],
    ['read from the stage', /GET_PRESIGNED_URL/, 'unloading a row, reading and removing it', STAGE_GRANTS],
    [
      'make temporary tables',
      /^CREATE OR REPLACE TEMPORARY/,
      'temporary tables, for long filters',
      ['GRANT USAGE, CREATE TABLE ON SCHEMA "BASE"."ASSETS" TO ROLE "MILLRACE";'],
    ],
  ])('says what to grant where the role may not %s, and leaves nothing', async (_, forbidden, what, mend) => {
    server.forbidden = forbidden
    const failed = (await checks()).filter(({ ok }) => !ok)
    expect(failed).toEqual([{ what, ok: false, said: expect.stringContaining('003001 (42501)'), mend }])
    expect(await stagedNames(server)).toEqual([])
  })

  it('says what stage to make', async () => {
    const missing = (await checks({ stage: '@base.assets.nowhere' })).at(-1)!
    expect(missing.mend![0]).toBe(`CREATE STAGE "BASE"."ASSETS"."NOWHERE" ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE');`)
    const encrypted = (await checks({ stage: '@base.assets.encrypted' })).at(-1)!
    expect(encrypted).toMatchObject({
      ok: false,
      said: expect.stringContaining('are encrypted for clients of Snowflake'),
    })
  })
})

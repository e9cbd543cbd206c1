/** A test server with a user, a stage and tables, and sources on it. */
import { onTestFinished } from 'vitest'
import { type SnowflakeSourceOptions, snowflakeSource } from '../../../src/sources/snowflake.ts'
import type { Source } from '../../../src/sources/source.ts'
import { sourceTestRows } from '../../../src/testing/source.ts'
import { type SnowflakeServer, startSnowflake } from '../../servers/snowflake/server.ts'

export const STAGE = '@base.assets.exports/backfills'
export const TEST_TABLE = 'base.assets.test_rows'

/** With the test table of the conformance suite, and what `types` and `query` make, if anything, as `BASE.ASSETS.T`. */
export async function startAccount(types?: Readonly<Record<string, string>>, query = ''): Promise<SnowflakeServer> {
  const server = await startSnowflake()
  server.accounts.users.set('BACKFILLER', { password: 'open sesame' })
  server.stages.create('BASE.ASSETS.EXPORTS', 'INTERNAL NO CSE')
  const rows = JSON.stringify(sourceTestRows()).replaceAll("'", "''")
  const shape = '[{"id": "BIGINT", "at": "TIMESTAMP", "name": "VARCHAR"}]'
  await server.warehouse.create(
    'BASE.ASSETS.TEST_ROWS',
    { ID: 'NUMBER(38,0) NOT NULL', AT: 'TIMESTAMP_NTZ(9)', NAME: 'VARCHAR(16777216)' },
    `SELECT unnest(from_json('${rows}', '${shape}'), recursive := true)`,
  )
  if (types) await server.warehouse.create('BASE.ASSETS.T', types, query)
  return server
}

/** Of the user that every test server has. */
export function loginTo({ connection }: Pick<SnowflakeServer, 'connection'>): Record<string, string> {
  return { ...connection, username: 'backfiller', password: 'open sesame' }
}

/** On the test table, unless the options say otherwise; closed behind the test. */
export function sourceOn(server: SnowflakeServer, options: Partial<SnowflakeSourceOptions> = {}): Source {
  const source = snowflakeSource({
    connection: loginTo(server),
    stage: STAGE,
    tables: { [TEST_TABLE]: { partitionKeys: ['at'] }, t: { relation: 'base.assets.t', partitionKeys: ['id'] } },
    ...options,
  })
  onTestFinished(() => source.close!())
  return source
}

export function never(): AbortSignal {
  return new AbortController().signal
}

/** Every file on the test's stage. */
export async function stagedNames({ stages }: SnowflakeServer): Promise<string[]> {
  const files = await stages.list(stages.read('@"BASE"."ASSETS"."EXPORTS"/'))
  return files.map(({ name }) => name)
}

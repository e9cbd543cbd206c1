import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SnowflakeServer, startSnowflake } from '../servers/snowflake/server.ts'
import { millrace } from './cli.ts'
import { createEvents } from './events.ts'

let cwd: string
let snowflake: SnowflakeServer
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-doctor-'))
  await createEvents(cwd, 10)
  snowflake = await startSnowflake()
  snowflake.accounts.users.set('ANN', { password: 'open sesame' })
  snowflake.stages.create('BASE.ASSETS.EXPORTS', 'INTERNAL NO CSE')
  await snowflake.warehouse.create('BASE.ASSETS.T', { ID: 'NUMBER(38,0)', NAME: 'VARCHAR(9)' }, "SELECT 1, 'x'")
  await writeFile(join(cwd, 'millrace.config.ts'), config('@base.assets.exports', 'NAME'))
})
afterAll(async () => {
  await snowflake.stop()
  await rm(cwd, { recursive: true })
})

const here = (path: string) => new URL(`../../src/${path}`, import.meta.url)

function config(stage: string, uniqueKey: string): string {
  const connection = { ...snowflake.connection, username: 'ann', password: 'open sesame' }
  return `
    import { fileSink } from '${here('sinks/file.ts')}'
    import { kafkaSink } from '${here('sinks/kafka.ts')}'
    import { snowflakeSource } from '${here('sources/snowflake.ts')}'
    import { memoryStore } from '${here('stores/memory.ts')}'
    export default {
      source: snowflakeSource({ connection: ${JSON.stringify(connection)}, stage: '${stage}', tables: { 'base.assets.t': { partitionKeys: ['id'] } } }),
      sinks: [fileSink({ name: 'out', dir: 'out' }), kafkaSink({ name: 'k', brokers: ['127.0.0.1:1'], topic: 't', key: '${uniqueKey}' })],
      store: memoryStore(),
    }`
}

describe('millrace doctor', () => {
  it('finds all well with a file and a directory', async () => {
    const from = ['--from', 'duckdb:events.db', '--table', 'events', '--partition-key', 'id', '--to', 'file:out']
    const { code, stdout, stderr } = await millrace(['doctor', ...from], { cwd })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(
      'ok      source duckdb, table events as the catalogue has it: 1 columns, cut by id\nok      destination file/out, can be opened\n',
    )
    expect(await readdir(cwd)).not.toContain('out')
  })

  it('goes through all of a configuration, and ends with the code of the first failure', async () => {
    const { code, stdout, stderr } = await millrace(['doctor'], { cwd })
    expect(stderr).toBe('')
    expect(stdout.split('\n')).toEqual([
      'ok      job store, can be read',
      'ok      source snowflake, log-in: user ANN, role MILLRACE',
      'ok      source snowflake, warehouse: BACKFILL',
      'ok      source snowflake, table BASE.ASSETS.T',
      'ok      source snowflake, stage @"BASE"."ASSETS"."EXPORTS"',
      'ok      source snowflake, unloading a row, reading and removing it',
      'ok      source snowflake, temporary tables, for long filters',
      'ok      source snowflake, table base.assets.t as the catalogue has it: 2 columns, cut by id',
      'ok      destination file/out, can be opened',
      expect.stringMatching(/^FAILED {2}destination kafka\/k, can be opened: .*no column "NAME" for the record key/),
      '',
    ])
    expect(code).toBe(6)
    expect(await snowflake.stages.list(snowflake.stages.read('@"BASE"."ASSETS"."EXPORTS"/'))).toEqual([])
  })

  it('says what to run, also as JSON', async () => {
    await writeFile(join(cwd, 'broken.config.ts'), config('@base.assets.nowhere', 'name'))
    const { code, stdout } = await millrace(['doctor', '--config', 'broken.config.ts'], { cwd })
    expect(code).toBe(5)
    expect(stdout).toContain(
      '\n          CREATE STAGE "BASE"."ASSETS"."NOWHERE" ENCRYPTION = (TYPE = \'SNOWFLAKE_SSE\');\n          GRANT USAGE ON DATABASE',
    )
    const json = await millrace(['doctor', '--config', 'broken.config.ts', '--json'], { cwd })
    const findings = json.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(findings.find(({ ok }) => !ok)).toMatchObject({
      part: 'source snowflake',
      what: 'stage @"BASE"."ASSETS"."NOWHERE"',
      mend: expect.arrayContaining([expect.stringMatching(/^CREATE STAGE/)]),
    })
    expect(json.stdout).not.toContain('sesame')
  })

  it('refuses flags that are not enough', async () => {
    const { code, stderr } = await millrace(['doctor', '--from', 'duckdb:events.db'], { cwd })
    expect([code, stderr]).toEqual([
      2,
      'millrace: cannot do that:\n  --table: is required with --from\n  --to: is required with --from\n  --partition-key: is required with --from\n',
    ])
  })
})

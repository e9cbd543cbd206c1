/** Everything that staging needs, tried one after the other, with the statements that mend what is not there. */
import { randomUUID } from 'node:crypto'
import type { Connection } from 'snowflake-sdk'
import { messageOf } from '../../core/errors.ts'
import type { Check, StagedFile } from '../source.ts'
import { codeOf } from './failures.ts'
import { type StageLocation, stagingPath } from './location.ts'
import { quoteIdentifier, quoteNames } from './names.ts'
import { copyStatement } from './query.ts'
import type { Sessions } from './sessions.ts'
import { createStage, requireReadable } from './stage-type.ts'
import { execute } from './statements.ts'
import { stagedFiles } from './unload.ts'

export interface Checked {
  readonly sessions: Sessions
  readonly location: StageLocation
  readonly reading: 'url' | 'download'
  readonly relations: readonly (readonly string[])[]
  /** Bytes [start, end) of a staged file, read as lanes would. */
  read(file: StagedFile, start: number, end: number): Promise<Uint8Array>
}

export async function check(checked: Checked, signal: AbortSignal): Promise<readonly Check[]> {
  const { sessions, location, relations } = checked
  const checks: Check[] = []

  /** Answers whether it is well. `mend` gets the code that Snowflake gave. */
  async function attempt(
    what: string,
    work: (connection: Connection) => Promise<string | undefined>,
    mend: (code: string) => readonly string[] = () => [],
  ): Promise<boolean> {
    signal.throwIfAborted()
    try {
      const said = await sessions.use(work)
      checks.push({ what, ok: true, ...(said === undefined ? {} : { said }) })
      return true
    } catch (error) {
      signal.throwIfAborted()
      const code = codeOf((error as { cause?: unknown }).cause)
      checks.push({ what, ok: false, said: messageOf(error), mend: mend(code) })
      return false
    }
  }

  let who = { user: '', role: '<role>', warehouse: undefined as string | undefined }
  const isIn = await attempt('log-in', async connection => {
    const sql = 'SELECT CURRENT_USER() AS U, CURRENT_ROLE() AS R, CURRENT_WAREHOUSE() AS W'
    const [row] = await execute(connection, 'cannot ask who is logged in', sql)
    who = {
      user: String(row!['U']),
      role: quoteIdentifier(String(row!['R'])),
      warehouse: typeof row!['W'] === 'string' ? row!['W'] : undefined,
    }
    return `user ${who.user}, role ${row!['R']}`
  })
  if (!isIn) return checks

  const warehouse = who.warehouse === undefined ? '<warehouse>' : quoteIdentifier(who.warehouse)
  const works = await attempt(
    'warehouse',
    async connection => {
      await execute(
        connection,
        'cannot run a statement',
        'SELECT COUNT(*) AS N FROM (SELECT UNIFORM(1, 2, RANDOM()) AS A)',
      )
      return who.warehouse
    },
    code =>
      code === '090073'
        ? [`ALTER WAREHOUSE ${warehouse} SET RESOURCE_MONITOR = <one with a higher quota>;`]
        : [
            ...(who.warehouse === undefined
              ? ["name one in the configuration: connection: { ..., warehouse: '...' }"]
              : []),
            `GRANT USAGE, OPERATE ON WAREHOUSE ${warehouse} TO ROLE ${who.role};`,
            `ALTER WAREHOUSE ${warehouse} SET AUTO_RESUME = TRUE;`,
          ],
  )
  if (!works) return checks

  for (const relation of relations)
    await attempt(
      `table ${relation.join('.')}`,
      async connection => {
        await execute(connection, 'cannot read it', `SELECT 1 AS A FROM ${quoteNames(relation)} AS t LIMIT 1`)
        return undefined
      },
      () => [...usageOf(relation, who.role), `GRANT SELECT ON TABLE ${quoteNames(relation)} TO ROLE ${who.role};`],
    )
  const isThere = await attempt(
    `stage ${location.stage}`,
    async connection => {
      await requireReadable(connection, location, checked.reading)
      return undefined
    },
    () => (location.names ? [`${createStage(location)};`, ...stageGrants(location.names, who.role)] : []),
  )
  if (!isThere) return checks
  await attempt(
    'unloading a row, reading and removing it',
    async connection => {
      await tryOut(connection, checked)
      return undefined
    },
    () => (location.names ? stageGrants(location.names, who.role) : []),
  )
  const schema = location.names?.slice(0, -1) ?? []
  await attempt(
    'temporary tables, for long filters',
    async connection => {
      const table = quoteNames([...schema, `MILLRACE_VALUES_${randomUUID()}`])
      await execute(connection, 'cannot make one', `CREATE OR REPLACE TEMPORARY TABLE ${table} (V VARCHAR)`)
      await execute(connection, 'cannot drop it', `DROP TABLE IF EXISTS ${table}`)
      return undefined
    },
    () =>
      schema.length > 0
        ? [`GRANT USAGE, CREATE TABLE ON SCHEMA ${quoteNames(schema)} TO ROLE ${who.role};`]
        : ["name them in the configuration: connection: { ..., database: '...', schema: '...' }"],
  )
  return checks
}

async function tryOut(connection: Connection, { location, read }: Checked): Promise<void> {
  const stagingId = `doctor-${randomUUID()}`
  const directory = stagingPath(location, stagingId)
  const copy = copyStatement(location.stage, `${directory}1/`, 'SELECT 1 AS A', { fileBytes: 1 << 20, sorted: false })
  const rows = await execute(connection, 'cannot unload to it', copy)
  try {
    const [file] = stagedFiles(rows, stagingId, 1)
    const start = Buffer.from(file ? await read(file, 0, 4) : []).toString('latin1')
    if (start !== 'PAR1') throw new Error('the file that was read back is not what was unloaded')
  } finally {
    await execute(connection, 'cannot remove from it', `REMOVE ${location.stage}/${directory}`)
  }
}

function usageOf(names: readonly string[], role: string): readonly string[] {
  const [database, schema] = names.slice(0, -1)
  if (database === undefined || schema === undefined) return []
  return [
    `GRANT USAGE ON DATABASE ${quoteIdentifier(database)} TO ROLE ${role};`,
    `GRANT USAGE ON SCHEMA ${quoteNames([database, schema])} TO ROLE ${role};`,
  ]
}

function stageGrants(names: readonly string[], role: string): readonly string[] {
  return [...usageOf(names, role), `GRANT READ, WRITE ON STAGE ${quoteNames(names)} TO ROLE ${role};`]
}

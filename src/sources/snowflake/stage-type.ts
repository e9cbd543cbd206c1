/** What kind of stage it is, which decides how its files can be read. */
import type { Connection } from 'snowflake-sdk'
import { ConfigError } from '../../core/errors.ts'
import { quoteLiteral } from './literals.ts'
import type { StageLocation } from './location.ts'
import { quoteNames } from './names.ts'
import { execute } from './statements.ts'

/** `sse`: internal, encrypted on the server only. `cse`: internal, encrypted by clients as well, and so unreadable by URL. */
export type StageType = 'sse' | 'cse' | 'external'

/**
 * By SHOW STAGES, since nothing else tells. Throws a `ConfigError` where the role does not see the stage.
 */
async function stageType(connection: Connection, { names, stage }: StageLocation): Promise<StageType> {
  if (!names) return 'cse'
  const name = names.at(-1)!
  const schema = names.length > 1 ? ` IN SCHEMA ${quoteNames(names.slice(0, -1))}` : ''
  const pattern = quoteLiteral(name.replaceAll('\\', '\\\\'))
  const rows = await execute(connection, `cannot look at stage ${stage}`, `SHOW STAGES LIKE ${pattern}${schema}`)
  const type = rows.find(row => row['name'] === name)?.['type']
  if (type === undefined)
    throw new ConfigError(
      `there is no stage ${stage}, or the role does not see it: create it, or grant USAGE on it (READ and WRITE if it is internal) and on its database and schema`,
    )
  if (String(type).includes('EXTERNAL')) return 'external'
  return String(type).includes('NO CSE') ? 'sse' : 'cse'
}

export function createStage({ names, stage }: StageLocation): string {
  return `CREATE STAGE ${names ? quoteNames(names) : stage} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')`
}

/** Throws a `ConfigError` where files of the stage cannot be read as the options say. */
export async function requireReadable(
  connection: Connection,
  location: StageLocation,
  reading: 'url' | 'download',
): Promise<void> {
  const type = await stageType(connection, location)
  if (reading === 'url' && type === 'cse')
    throw new ConfigError(
      `files of stage ${location.stage} are encrypted for clients of Snowflake and cannot be read by URL: make a stage by "${createStage({ ...location, names: location.names && [...location.names.slice(0, -1), 'MILLRACE'] })}", or set reading: 'download'`,
    )
  if (reading === 'download' && type === 'external')
    throw new ConfigError(
      `stage ${location.stage} is external, and Snowflake downloads from internal ones only: set reading: 'url'`,
    )
}

/** What Snowflake says of a catalogued table. */
import type { Connection } from 'snowflake-sdk'
import { closest } from '../../core/close-names.ts'
import { ConfigError, isMillraceError } from '../../core/errors.ts'
import type { Column } from '../source.ts'
import { codeOf } from './failures.ts'
import { deliveredNames, quoteIdentifier, quoteNames } from './names.ts'
import { execute } from './statements.ts'
import { typePlan } from './types.ts'

/** The alias of the table in every statement, so that no name in it can be taken for another's. */
export const ALIAS = 't'

export interface StagedColumn extends Column {
  /** The column itself, as SQL. */
  readonly reference: string
  /** What is staged of it, as SQL. */
  readonly staged: string
}

/** `keepNames`: columns are called as Snowflake stores them. Throws a `ConfigError` that names what comes near where there is no such table. */
export async function readColumns(
  connection: Connection,
  relation: readonly string[],
  keepNames: boolean,
): Promise<readonly StagedColumn[]> {
  const doing = `cannot describe ${relation.join('.')}`
  const rows = await execute(connection, doing, `DESCRIBE TABLE ${quoteNames(relation)}`).catch(async error => {
    throw isMissing(error) ? await missing(connection, relation, error) : error
  })
  const columns = rows.filter(row => String(row['kind'] ?? 'COLUMN') === 'COLUMN')
  const names = deliveredNames(
    columns.map(row => String(row['name'])),
    keepNames,
  )
  return columns.map(row => {
    const stored = String(row['name'])
    const native = String(row['type'])
    const { type, staged } = typePlan(native)
    const reference = `${ALIAS}.${quoteIdentifier(stored)}`
    return {
      name: names.get(stored)!,
      type,
      native,
      nullable: row['null?'] !== 'N',
      reference,
      staged: staged(reference),
    }
  })
}

function isMissing(error: unknown): boolean {
  return isMillraceError(error) && codeOf(error.cause) === '002003'
}

const MOST_LISTED = 1_000

/** Snowflake says the same of what is not there and of what the role must not see. */
async function missing(connection: Connection, relation: readonly string[], error: Error): Promise<Error> {
  const schema = relation.length > 1 ? ` IN SCHEMA ${quoteNames(relation.slice(0, -1))}` : ''
  // the role may not see the schema either, of which the first error tells
  const found = await execute(connection, error.message, `SHOW OBJECTS${schema} LIMIT ${MOST_LISTED}`).catch(() => [])
  const near = closest(
    relation.at(-1)!,
    found.map(row => String(row['name'])),
  )
  const hint = near.length === 0 ? '' : `; the schema has ${near.join(', ')}`
  return new ConfigError(`${error.message}${hint}`, { cause: error.cause })
}

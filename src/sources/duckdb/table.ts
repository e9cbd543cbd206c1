/** What the database says of a catalogued table. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '../../columnar/column-type.ts'
import { ConfigError, SourceError } from '../../core/errors.ts'
import { quoteIdentifier } from '../sql.ts'
import { columnType, stagedExpression } from './conversions.ts'
import { interruptible } from './database.ts'

export interface StagedColumn extends Column {
  /** The column itself, as SQL. */
  readonly reference: string
  /** What is staged of it, as SQL; differs from `reference` where Parquet would change values. */
  readonly staged: string
}

/** The alias of the table in every statement, so that no name in it can be taken for another's. */
export const ALIAS = 't'

/** `table`, `schema.table` or `database.schema.table`, as SQL. */
export function quoteRelation(relation: string): string {
  const parts = relation.split('.')
  if (parts.length > 3)
    throw new ConfigError(`${relation} has more parts than database.schema.table: name the table by \`relation\``)
  return parts.map(quoteIdentifier).join('.')
}

/** In the table's order. Throws a `ConfigError` that says which tables there are if this one is not among them. */
export async function readColumns(
  connection: DuckDBConnection,
  relation: string,
  signal: AbortSignal,
): Promise<readonly StagedColumn[]> {
  const from = quoteRelation(relation)
  try {
    return await interruptible(connection, `cannot describe ${relation}`, signal, async () => {
      const rows = await connection.runAndReadAll(`DESCRIBE ${from}`)
      const nullable = new Map(rows.getRowObjectsJson().map(row => [row['column_name'], row['null'] !== 'NO']))
      const statement = await connection.prepare(`SELECT * FROM ${from}`)
      return Array.from({ length: statement.columnCount }, (_, index) => {
        const name = statement.columnName(index)
        const type = statement.columnType(index)
        const reference = `${ALIAS}.${quoteIdentifier(name)}`
        return {
          name,
          type: columnType(type),
          native: type.alias ?? ('valueIndexes' in type ? 'ENUM' : String(type)),
          nullable: nullable.get(name) ?? true,
          reference,
          staged: stagedExpression(type, reference),
        }
      })
    })
  } catch (error) {
    const misnamed = error instanceof SourceError && /: (Catalog|Binder) Error: /.test(error.message)
    throw misnamed ? new ConfigError(`${error.message} The database has ${await listTables(connection)}.`) : error
  }
}

const MOST_LISTED = 20

async function listTables(connection: DuckDBConnection): Promise<string> {
  const rows = await connection.runAndReadAll(
    `SELECT database_name || '.' || schema_name || '.' || table_name AS name FROM duckdb_tables() WHERE NOT internal
     UNION ALL SELECT database_name || '.' || schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal
     ORDER BY name LIMIT ${MOST_LISTED + 1}`,
  )
  const names = rows.getRows().map(([name]) => String(name))
  if (names.length === 0) return 'no tables'
  return `${names.slice(0, MOST_LISTED).join(', ')}${names.length > MOST_LISTED ? ', …' : ''}`
}

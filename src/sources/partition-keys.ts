/** A partition key has to be a column that a window can be cut by. */
import { ConfigError } from '../core/errors.ts'
import type { Column, TableSchema } from './source.ts'

/** The schema itself. Throws a `ConfigError` that says which columns could be keys. */
export function checkedSchema(schema: TableSchema): TableSchema {
  for (const key of schema.partitionKeys) {
    const column = schema.columns.find(({ name }) => name === key)
    if (column && isPartitionKey(column)) continue
    const problem = column ? `is ${column.native}` : 'does not exist'
    const possible = listed(schema.columns.filter(isPartitionKey).map(({ name }) => name))
    throw new ConfigError(
      `partition key ${key} of ${schema.table} ${problem}; columns of type timestamp, date or integer are ${possible}`,
    )
  }
  return schema
}

function isPartitionKey({ type }: Column): boolean {
  return type.kind === 'timestamp' || type.kind === 'date' || type.kind === 'integer'
}

export function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}

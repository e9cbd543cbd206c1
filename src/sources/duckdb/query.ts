/** The rows of a request, as a query. */
import { SourceError } from '../../core/errors.ts'
import type { StageFilter, StageRequest } from '../source.ts'
import { quoteIdentifier, windowCondition } from '../sql.ts'
import { ALIAS, quoteRelation, type StagedColumn } from './table.ts'

interface Relation {
  readonly relation: string
  readonly columns: readonly StagedColumn[]
}

/** `condition`: makes SQL of the filter, on its column. Throws a `SourceError` where the table has changed since the job's schema was read. */
export async function rowsQuery(
  request: StageRequest,
  { relation, columns }: Relation,
  condition: (filter: StageFilter, column: StagedColumn) => Promise<string>,
): Promise<string> {
  const { filter, window, limit } = request
  const conditions = [
    windowCondition(columnOf(window.column, columns, request).reference, window.type, window.start, window.end),
  ]
  if (filter) conditions.push(await condition(filter, columnOf(filter.column, columns, request)))
  const rows = `SELECT ${selected(request, columns)} FROM ${quoteRelation(relation)} AS ${ALIAS} WHERE ${conditions.join(' AND ')}`
  if (limit !== undefined) return `${rows} LIMIT ${limit}`
  return request.sorted ? inOrder(rows, window.column) : rows
}

/** The columns of the job's schema, which is what its destinations were told to expect. */
function selected(request: StageRequest, columns: readonly StagedColumn[]): string {
  return request.schema.columns
    .map(({ name }) => `${columnOf(name, columns, request).staged} AS ${quoteIdentifier(name)}`)
    .join(', ')
}

export function columnOf(
  name: string,
  columns: readonly StagedColumn[],
  { schema }: Pick<StageRequest, 'schema'>,
): StagedColumn {
  const expected = schema.columns.find(column => column.name === name)
  const column = columns.find(each => each.name === name)
  if (column && expected && column.native === expected.native) return column
  const now = column ? `is now ${column.native}, not ${expected?.native}` : 'is gone'
  throw new SourceError(`column ${name} of ${schema.table} ${now}: create the backfill again`, { retryable: false })
}

/**
 * COPY writes with all threads, each whatever it gets, and several files leave no way to ask for order. A window function
 * over the sorted rows makes the writing (not the sorting) the work of one thread, in order; the condition is always true.
 */
function inOrder(rows: string, column: string): string {
  return `SELECT * FROM (${rows} ORDER BY ${ALIAS}.${quoteIdentifier(column)}) QUALIFY row_number() OVER () > 0`
}

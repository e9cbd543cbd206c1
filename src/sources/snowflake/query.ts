/** The rows of a request, as SQL of Snowflake. */
import { SourceError } from '../../core/errors.ts'
import type { StageFilter, StageRequest } from '../source.ts'
import { typedLiteral, windowCondition } from './literals.ts'
import { quoteIdentifier, quoteNames } from './names.ts'
import { ALIAS, type StagedColumn } from './table.ts'

interface Table {
  readonly relation: readonly string[]
  readonly columns: readonly StagedColumn[]
}

/** `list`: SQL of the filter's values, as it stands between the brackets of IN; empty for none. Throws a `SourceError` where the table has changed. */
export function rowsQuery(request: StageRequest, table: Table, list: string | undefined): string {
  const columns = request.schema.columns
    .map(({ name }) => `${columnOf(name, table, request).staged} AS ${quoteIdentifier(name)}`)
    .join(', ')
  const order = request.sorted ? ` ORDER BY ${columnOf(request.window.column, table, request).reference}` : ''
  const limit = request.limit === undefined ? '' : ` LIMIT ${request.limit}`
  return `SELECT ${columns} ${matching(request, table, list)}${order}${limit}`
}

/** FROM and WHERE. */
export function matching(request: StageRequest, table: Table, list: string | undefined): string {
  const { window, filter } = request
  const conditions = [
    windowCondition(columnOf(window.column, table, request).reference, window.type, window.start, window.end),
  ]
  if (filter) {
    const { reference } = columnOf(filter.column, table, request)
    conditions.push(list ? `${reference} IN (${list})` : 'FALSE')
  }
  return `FROM ${quoteNames(table.relation)} AS ${ALIAS} WHERE ${conditions.join(' AND ')}`
}

/** More values than this go through a temporary table: Snowflake takes no more than 16,384 in a list, and parses long ones slowly. */
export const MOST_INLINE_VALUES = 1_000

/** More values than this are counted where a statement is shown. */
const MOST_SHOWN_VALUES = 10

export async function literals({ values, type }: Pick<StageFilter, 'values' | 'type'>): Promise<string> {
  const list: string[] = []
  for await (const piece of values()) {
    for (const value of piece) {
      const literal = typedLiteral(value, type)
      if (literal !== undefined) list.push(literal)
    }
  }
  return list.join(', ')
}

/** For people, who need not see a thousand values. */
export async function shownList(filter: StageFilter | undefined): Promise<string | undefined> {
  if (!filter) return undefined
  return filter.list.count <= MOST_SHOWN_VALUES ? literals(filter) : `/* ${filter.list.count} values */ NULL`
}

/** One file may have no more, so that is what a sorted unload is bounded by. */
const MOST_FILE_BYTES = 5_368_709_120

/**
 * `directory`: on the stage, of this attempt alone, ending in `/`. Several threads write several files, which have no order: where one is
 * asked for, all rows go into one file. A file is at most as large as asked, and is one row group up to 128 MB.
 */
export function copyStatement(
  stage: string,
  directory: string,
  query: string,
  { fileBytes, sorted }: Pick<StageRequest, 'fileBytes' | 'sorted'>,
): string {
  const target = sorted ? `${stage}/${directory}part.parquet` : `${stage}/${directory}`
  const options = [
    'FILE_FORMAT = (TYPE = PARQUET COMPRESSION = SNAPPY)',
    'HEADER = TRUE',
    'DETAILED_OUTPUT = TRUE',
    sorted ? `SINGLE = TRUE MAX_FILE_SIZE = ${MOST_FILE_BYTES}` : `MAX_FILE_SIZE = ${Math.ceil(fileBytes)}`,
  ]
  return `COPY INTO ${target} FROM (${query}) ${options.join(' ')}`
}

export function columnOf(
  name: string,
  { columns }: Pick<Table, 'columns'>,
  { schema }: Pick<StageRequest, 'schema'>,
): StagedColumn {
  const expected = schema.columns.find(column => column.name === name)
  const column = columns.find(each => each.name === name)
  if (column && expected && column.native === expected.native) return column
  const now = column ? `is now ${column.native}, not ${expected?.native}` : 'is gone'
  throw new SourceError(`column ${name} of ${schema.table} ${now}: create the backfill again`, { retryable: false })
}

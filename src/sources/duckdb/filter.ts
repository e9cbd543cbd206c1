/** `column IN (values)`, whatever the number of values. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ColumnType } from '../../columnar/column-type.ts'
import type { StageFilter } from '../source.ts'
import { typedLiteral, valueExpression, valueText } from '../sql.ts'
import { interruptible } from './database.ts'
import type { StagedColumn } from './table.ts'

/** More values than this go through a temporary table. */
const MOST_INLINE_VALUES = 1_000

/** More values than this are counted where a statement is shown. */
const MOST_SHOWN_VALUES = 10

/**
 * SQL that is true for the rows that the filter lets pass. A text that is not a VARCHAR in the table (an ENUM, a UUID) is
 * compared as the text that is delivered, so that a value which is none of the ENUM matches nothing and is no error. That of a
 * UUID has small letters, however a request writes it.
 */
export async function filterCondition(
  connection: DuckDBConnection,
  filter: StageFilter,
  column: StagedColumn,
  signal: AbortSignal,
): Promise<string> {
  const compared = comparedTo(column)
  const values = (): AsyncIterable<readonly string[]> =>
    column.native === 'UUID' ? inSmallLetters(filter.values()) : filter.values()
  const list =
    filter.list.count <= MOST_INLINE_VALUES
      ? await literals({ values, type: filter.type })
      : await temporaryTable(connection, values(), filter.type, signal)
  return list === '' ? 'false' : `${compared} IN (${list})`
}

/** The same for people, who need not see a thousand values. */
export async function shownCondition(filter: StageFilter, column: StagedColumn): Promise<string> {
  const { count } = filter.list
  const list = count <= MOST_SHOWN_VALUES ? await literals(filter) : `/* ${count} values */`
  return list === '' ? 'false' : `${comparedTo(column)} IN (${list})`
}

function comparedTo(column: StagedColumn): string {
  return column.type.kind !== 'string' ? column.reference : `CAST(${column.staged} AS VARCHAR)`
}

async function* inSmallLetters(values: AsyncIterable<readonly string[]>): AsyncGenerator<readonly string[]> {
  for await (const piece of values) yield piece.map(value => value.toLowerCase())
}

async function literals({ values, type }: Pick<StageFilter, 'values' | 'type'>): Promise<string> {
  const list: string[] = []
  for await (const piece of values()) {
    for (const value of piece) {
      const literal = typedLiteral(value, type)
      if (literal !== undefined) list.push(literal)
    }
  }
  return list.join(', ')
}

const TABLE = 'temp.main.millrace_filter_values'

/** Values of one INSERT. */
const INSERTED_VALUES = 4_096

/**
 * A query for the values. IN makes it a semi-join, for which repeats do not matter. Each piece is one JSON text that DuckDB
 * takes apart in a thread of its own: an appender would cost the host's thread ten times as much.
 */
async function temporaryTable(
  connection: DuckDBConnection,
  values: AsyncIterable<readonly string[]>,
  type: ColumnType,
  signal: AbortSignal,
): Promise<string> {
  const doing = 'cannot load the filter values'
  await interruptible(connection, doing, signal, () => connection.run(`CREATE TEMP TABLE ${TABLE} (v VARCHAR)`))
  const insert = await connection.prepare(`INSERT INTO ${TABLE} SELECT unnest(from_json($1, '["VARCHAR"]'))`)
  for await (const piece of values) {
    for (let start = 0; start < piece.length; start += INSERTED_VALUES) {
      const texts = piece.slice(start, start + INSERTED_VALUES).map(value => valueText(value, type)?.toWellFormed())
      insert.bindVarchar(1, JSON.stringify(texts.filter(text => text !== undefined)))
      await interruptible(connection, doing, signal, () => insert.run())
    }
  }
  return `SELECT ${valueExpression('v', type)} FROM ${TABLE}`
}

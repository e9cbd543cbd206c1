/** What staging would come to: the rows are counted, their size is judged by that of the table. */
import type { Estimate, StageRequest } from '../source.ts'
import { quoteLiteral } from './literals.ts'
import { type StageLocation, stagingPath } from './location.ts'
import { quoteNames } from './names.ts'
import { columnOf, copyStatement, literals, MOST_INLINE_VALUES, matching, rowsQuery, shownList } from './query.ts'
import type { Sessions } from './sessions.ts'
import { execute, type Row } from './statements.ts'
import { ALIAS, readColumns } from './table.ts'
import { dropTable, loadValues } from './values.ts'

interface Estimated {
  readonly sessions: Sessions
  readonly location: StageLocation
  readonly relation: readonly string[]
  readonly keepNames: boolean
  readonly request: StageRequest
}

export async function estimate(
  { sessions, location, relation, keepNames, request }: Estimated,
  signal: AbortSignal,
): Promise<Estimate> {
  const { filter, schema, fileBytes } = request
  const doing = `cannot estimate ${schema.table}`
  return sessions.use(async connection => {
    const columns = await readColumns(connection, relation, keepNames)
    const table = { relation, columns }
    const place = { schema: location.names?.slice(0, -1) ?? [], id: request.stagingId }
    const list = !filter
      ? undefined
      : filter.list.count <= MOST_INLINE_VALUES
        ? await literals(filter)
        : await loadValues(connection, filter, place, signal)
    signal.throwIfAborted()
    const counted = await execute(connection, doing, `SELECT COUNT(*) AS N ${matching(request, table, list)}`)
    signal.throwIfAborted()
    if (filter && filter.list.count > MOST_INLINE_VALUES) await dropTable(connection, place)
    const rows = Number(counted[0]!['N'])
    const known = sizeOf(await execute(connection, doing, showTable(relation)), relation)
    const bytes = rows === 0 ? 0 : known && Math.ceil((known.bytes * rows) / known.rows)
    const query = rowsQuery(request, table, await shownList(filter))
    return {
      rows,
      bytes,
      files: bytes === null ? null : request.sorted ? Math.min(1, rows) : Math.ceil(bytes / fileBytes),
      sql: [copyStatement(location.stage, `${stagingPath(location, '<staging>')}1/`, query, request)],
      columns: schema.columns.map(({ name, native }) => {
        const { reference, staged } = columnOf(name, table, request)
        return { name, native, staged: staged === reference ? name : staged.replaceAll(`${ALIAS}.`, '') }
      }),
    }
  })
}

/** Of a view there are no sizes. */
function showTable(relation: readonly string[]): string {
  const schema = relation.length > 1 ? ` IN SCHEMA ${quoteNames(relation.slice(0, -1))}` : ''
  return `SHOW TABLES LIKE ${quoteLiteral(relation.at(-1)!)}${schema}`
}

/** Micro-partitions are compressed columns too: a table's bytes are about those of its Parquet files. */
function sizeOf(tables: readonly Row[], relation: readonly string[]): { rows: number; bytes: number } | null {
  const found = tables.find(({ name }) => name === relation.at(-1))
  const [rows, bytes] = [Number(found?.['rows']), Number(found?.['bytes'])]
  return rows > 0 && bytes > 0 ? { rows, bytes } : null
}

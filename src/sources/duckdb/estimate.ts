/** What staging would come to: the rows are counted, their size is judged by some of them. */
import { mkdir, rm } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Estimate } from '../source.ts'
import { interruptible } from './database.ts'
import { filterCondition, shownCondition } from './filter.ts'
import { columnOf, rowsQuery } from './query.ts'
import { ALIAS, readColumns } from './table.ts'
import { copyStatement, type Unload } from './unload.ts'

/** Rows that are written, and removed, to see how large they become. */
const SAMPLED_ROWS = 50_000

/** `directory`: for the sampled rows; of this call alone. */
export async function estimate(
  connection: DuckDBConnection,
  { request, relation, directory, rowGroupRows }: Unload,
  signal: AbortSignal,
): Promise<Estimate> {
  const columns = await readColumns(connection, relation, signal)
  const table = { relation, columns }
  const shown = await rowsQuery(request, table, shownCondition)
  let condition: string | undefined
  const sampled = await rowsQuery({ ...request, limit: SAMPLED_ROWS }, table, async (filter, column) => {
    condition ??= await filterCondition(connection, filter, column, signal)
    return condition
  })
  const all = await rowsQuery({ ...request, sorted: false }, table, async () => condition!)
  const doing = `cannot estimate ${request.schema.table}`
  const counted = await interruptible(connection, doing, signal, () =>
    connection.runAndReadAll(`SELECT count(*) FROM (${all})`),
  )
  const rows = Number(counted.getRows()[0]![0])
  const bytes = rows === 0 ? 0 : Math.round((await sampleBytes()) * Math.max(1, rows / SAMPLED_ROWS))
  return {
    rows,
    files: Math.ceil(bytes / request.fileBytes),
    bytes,
    sql: [copyStatement(shown, '<stagingDir>/<staging>', request, rowGroupRows)],
    columns: request.schema.columns.map(({ name, native }) => {
      const { reference, staged } = columnOf(name, columns, request)
      return { name, native, staged: staged === reference ? name : staged.replaceAll(`${ALIAS}.`, '') }
    }),
  }

  async function sampleBytes(): Promise<number> {
    try {
      await mkdir(directory, { recursive: true })
      const copy = copyStatement(sampled, `${directory}/sample`, { ...request, sorted: false }, rowGroupRows)
      const written = await interruptible(connection, doing, signal, () => connection.runAndReadAll(copy))
      const sizes = written.columnNames().indexOf('file_size_bytes')
      return Array.from({ length: written.currentRowCount }, (_, row) => Number(written.value(sizes, row))).reduce(
        (sum, size) => sum + size,
        0,
      )
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }
}

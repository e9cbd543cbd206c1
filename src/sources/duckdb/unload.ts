/** Writing a window of a table as Parquet files, with DuckDB's COPY. */
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DuckDBConnection, DuckDBResultReader } from '@duckdb/node-api'
import { SourceError } from '../../core/errors.ts'
import type { StagedFile, StageRequest } from '../source.ts'
import { quoteIdentifier, quoteLiteral, windowCondition } from '../sql.ts'
import { interruptible } from './database.ts'
import { filterCondition } from './filter.ts'
import { ALIAS, quoteRelation, readColumns, type StagedColumn } from './table.ts'

interface Unload {
  readonly request: StageRequest
  readonly relation: string
  /** Emptied first: files of an attempt that died are not of this one. */
  readonly directory: string
  readonly rowGroupRows: number
}

/** A row group ends here too, in DuckDB's count of the values in memory: for wide rows, of which `rowGroupRows` would be too much. */
const ROW_GROUP_BYTES = 32 << 20

export async function unload(
  connection: DuckDBConnection,
  { request, relation, directory, rowGroupRows }: Unload,
  signal: AbortSignal,
): Promise<readonly StagedFile[]> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(dirname(directory), { recursive: true })
  const columns = await readColumns(connection, relation, signal)
  const conditions = [windowOf(request, columns)]
  if (request.filter) {
    const column = columnOf(request.filter.column, columns, request)
    conditions.push(await filterCondition(connection, request.filter, column, signal))
  }
  const rows = `SELECT ${selected(request, columns)} FROM ${quoteRelation(relation)} AS ${ALIAS} WHERE ${conditions.join(' AND ')}`
  const options = copyOptions({
    FORMAT: 'parquet',
    // read back 15 % faster than snappy at the same size; zstd 60 % of the size, but twice as slow to write and 70 % to read
    COMPRESSION: 'lz4_raw',
    FILE_SIZE_BYTES: Math.ceil(request.fileBytes),
    ROW_GROUP_SIZE: rowGroupRows,
    ROW_GROUP_SIZE_BYTES: ROW_GROUP_BYTES,
    // a file ends with the row group that reaches its size, but threads that share files each add one behind that
    PER_THREAD_OUTPUT: !request.sorted,
    RETURN_STATS: true,
  })
  const query = request.sorted ? inOrder(rows, request.window.column) : rows
  const copy = `COPY (${query}) TO ${quoteLiteral(directory)} (${options})`
  const written = await interruptible(connection, `cannot stage ${request.schema.table}`, signal, () =>
    connection.runAndReadAll(copy),
  )
  return nameFiles(directory, request.stagingId, written)
}

function copyOptions(options: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(options)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

/** The columns of the job's schema, which is what its destinations were told to expect. */
function selected(request: StageRequest, columns: readonly StagedColumn[]): string {
  return request.schema.columns
    .map(({ name }) => `${columnOf(name, columns, request).staged} AS ${quoteIdentifier(name)}`)
    .join(', ')
}

function windowOf({ window, ...request }: StageRequest, columns: readonly StagedColumn[]): string {
  const { reference } = columnOf(window.column, columns, request)
  return windowCondition(reference, window.type, window.start, window.end)
}

function columnOf(
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

/** Drops files without rows, and gives the others names that sort as they were written: DuckDB's `data_10` sorts before `data_2`. */
async function nameFiles(
  directory: string,
  stagingId: string,
  written: DuckDBResultReader,
): Promise<readonly StagedFile[]> {
  const columns = written.columnNames()
  // single cells, since a row also holds the statistics of every column
  const cell = (column: string, row: number) => written.value(columns.indexOf(column), row)
  const files = Array.from({ length: written.currentRowCount }, (_, row) => ({
    path: String(cell('filename', row)),
    rows: Number(cell('count', row)),
    bytes: Number(cell('file_size_bytes', row)),
  })).sort((left, right) => fileNumber(left.path) - fileNumber(right.path))
  const staged: StagedFile[] = []
  for (const { path, rows, bytes } of files) {
    if (rows === 0) {
      await rm(path)
      continue
    }
    const name = `part-${String(staged.length).padStart(6, '0')}.parquet`
    await rename(path, join(directory, name))
    staged.push({ name: `${stagingId}/${name}`, bytes, rows })
  }
  return staged
}

function fileNumber(path: string): number {
  return Number(/_(\d+)\.parquet$/.exec(path)?.[1])
}

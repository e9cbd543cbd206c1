/** Writing a window of a table as Parquet files, with DuckDB's COPY. */
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DuckDBConnection, DuckDBResultReader } from '@duckdb/node-api'
import type { StagedFile, StageRequest } from '../source.ts'
import { quoteLiteral } from '../sql.ts'
import { interruptible } from './database.ts'
import { filterCondition } from './filter.ts'
import { rowsQuery } from './query.ts'
import { readColumns } from './table.ts'

export interface Unload {
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
  const query = await rowsQuery(request, { relation, columns }, (filter, column) =>
    filterCondition(connection, filter, column, signal),
  )
  const copy = copyStatement(query, directory, request, rowGroupRows)
  const written = await interruptible(connection, `cannot stage ${request.schema.table}`, signal, () =>
    connection.runAndReadAll(copy),
  )
  return nameFiles(directory, request.stagingId, written)
}

export function copyStatement(
  query: string,
  directory: string,
  { fileBytes, sorted }: Pick<StageRequest, 'fileBytes' | 'sorted'>,
  rowGroupRows: number,
): string {
  const options = copyOptions({
    FORMAT: 'parquet',
    // read back 15 % faster than snappy at the same size; zstd 60 % of the size, but twice as slow to write and 70 % to read
    COMPRESSION: 'lz4_raw',
    FILE_SIZE_BYTES: Math.ceil(fileBytes),
    ROW_GROUP_SIZE: rowGroupRows,
    ROW_GROUP_SIZE_BYTES: ROW_GROUP_BYTES,
    // a file ends with the row group that reaches its size, but threads that share files each add one behind that
    PER_THREAD_OUTPUT: !sorted,
    RETURN_STATS: true,
  })
  return `COPY (${query}) TO ${quoteLiteral(directory)} (${options})`
}

function copyOptions(options: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(options)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
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

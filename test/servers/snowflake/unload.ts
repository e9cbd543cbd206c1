/** COPY INTO a stage: what of it Snowflake refuses, and the Parquet files that it writes. */
import { stat } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../../../src/sources/sql.ts'
import { Refusal, syntaxError } from './errors.ts'
import type { Stages } from './stages.ts'

export interface UnloadOptions {
  readonly header: boolean
  readonly single: boolean
  readonly maxFileSize: number
  readonly detailed: boolean
}

export function readUnloadOptions(text: string): UnloadOptions {
  const options = new Map([...text.matchAll(/([A-Z_]+) = (\([^)]*\)|\w+)/g)].map(([, name, value]) => [name!, value!]))
  const is = (name: string) => options.get(name)?.toUpperCase() === 'TRUE'
  if (!/TYPE = PARQUET/.test(options.get('FILE_FORMAT') ?? '')) throw syntaxError('FILE_FORMAT')
  if (is('INCLUDE_QUERY_ID') && (is('OVERWRITE') || is('SINGLE')))
    throw new Refusal(
      '001017',
      '22023',
      'SQL compilation error:\nINCLUDE_QUERY_ID = TRUE is not supported with OVERWRITE or SINGLE',
    )
  return {
    header: is('HEADER'),
    single: is('SINGLE'),
    detailed: is('DETAILED_OUTPUT'),
    maxFileSize: Number(options.get('MAX_FILE_SIZE') ?? 16_777_216),
  }
}

export interface UnloadedFile {
  readonly name: string
  readonly size: number
  readonly rows: number
}

/** Writing threads, each of which writes files of its own. */
const THREADS = 4
const ROW_GROUP_ROWS = 2_048

export interface UnloadTarget {
  readonly reference: string
  readonly stages: Stages
  readonly options: UnloadOptions
  /** ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION of the session. */
  readonly narrowing: boolean
  /** Called after each file. */
  onFile(files: number): Promise<void>
}

export async function unload(
  connection: DuckDBConnection,
  query: string,
  { reference, stages, options, narrowing, onFile }: UnloadTarget,
): Promise<readonly UnloadedFile[]> {
  const place = stages.read(reference)
  await requireUnloadable(connection, query)
  const table = `unload_${place.path.replaceAll(/\W/g, '_')}`
  await connection.run(`CREATE OR REPLACE TEMP TABLE ${quoteIdentifier(table)} AS ${query}`)
  const columns = await physicalColumns(connection, table, options, narrowing)
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${quoteIdentifier(table)}`)
  const rows = Number(counted.getRows()[0]![0])
  const files: UnloadedFile[] = []

  async function write(path: string, from: number, to: number): Promise<number> {
    const file = stages.fileOf({ ...place, path })
    await stages.makeRoomFor(file)
    const select = `SELECT ${columns} FROM ${quoteIdentifier(table)} WHERE rowid >= ${from} AND rowid < ${to} ORDER BY rowid`
    await connection.run(
      `COPY (${select}) TO ${quoteLiteral(file)} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    )
    return (await stat(file)).size
  }

  async function keep(path: string, from: number, to: number, size: number): Promise<void> {
    files.push({ name: path.slice(place.path.length), size, rows: to - from })
    await onFile(files.length)
  }

  if (rows === 0) return []
  if (options.single) {
    await keep(place.path, 0, rows, await write(place.path, 0, rows))
    return [{ ...files[0]!, name: place.path.split('/').at(-1)! }]
  }
  const share = Math.ceil(rows / THREADS)
  for (let thread = 0; thread * share < rows; thread++) {
    let number = 0
    const pending = [[thread * share, Math.min(rows, (thread + 1) * share)] as const]
    for (let range = pending.shift(); range; range = pending.shift()) {
      const [from, to] = range
      const path = `${place.path}data_${thread}_${number}_0.snappy.parquet`
      const size = await write(path, from, to)
      const middle = Math.floor((from + to) / 2)
      if (size > options.maxFileSize && to - from > ROW_GROUP_ROWS) {
        pending.unshift([from, middle], [middle, to])
        continue
      }
      number++
      await keep(path, from, to, size)
    }
  }
  return files
}

async function requireUnloadable(connection: DuckDBConnection, query: string): Promise<void> {
  const described = await connection.runAndReadAll(`DESCRIBE ${query}`)
  for (const { column_type } of described.getRowObjectsJson())
    if (column_type === 'TIMESTAMP WITH TIME ZONE')
      throw new Refusal(
        '002022',
        '0A000',
        'SQL Compilation Error: Error encountered when unloading to PARQUET: TIMESTAMP_TZ and LTZ types are not supported for unloading to Parquet. value get: TIMESTAMP_LTZ',
      )
}

async function physicalColumns(
  connection: DuckDBConnection,
  table: string,
  { header }: UnloadOptions,
  narrowing: boolean,
): Promise<string> {
  const described = await connection.runAndReadAll(`DESCRIBE ${quoteIdentifier(table)}`)
  const cells = described.getRowObjectsJson().map(({ column_name, column_type }, index) => {
    const column = quoteIdentifier(String(column_name))
    const type = String(column_type)
    const isWhole = /^DECIMAL\(\d+,0\)$/.test(type) || /^(BIGINT|INTEGER|HUGEINT)$/.test(type)
    const cast =
      type === 'JSON' ? `CAST(${column} AS VARCHAR)` : isWhole && narrowing ? `TRY_CAST(${column} AS INTEGER)` : column
    return `${cast} AS ${header ? column : quoteIdentifier(`_COL_${index}`)}`
  })
  return cells.join(', ')
}

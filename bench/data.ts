/**
 * The data: made once with DuckDB, staged as the engine's own DuckDB source stages it, and kept in `.cache/bench`. The same rows on
 * every machine, since what looks random is a hash of the row's number.
 */
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { demoWarehouse, FLIGHTS, TRANSFERS, TRANSFERS_RELATION, transfersSql } from '../src/cli/demo/warehouse.ts'
import { duckdbSource } from '../src/sources/duckdb.ts'
import type { Source, StagedFile, TableSchema } from '../src/sources/source.ts'

export const CACHE: string = fileURLToPath(new URL('../.cache/bench/', import.meta.url))

/** A table as Parquet files, in the order of their names. Plain data: programs get it as their settings. */
export interface StagedTable {
  readonly schema: TableSchema
  readonly directory: string
  readonly files: readonly StagedFile[]
  readonly rows: number
}

/** What the engine asks for by default. */
const FILE_BYTES = 32 << 20

/** Everything there is. */
const WINDOW = { start: '2000-01-01T00:00:00Z', end: '2100-01-01T00:00:00Z' } as const

/** The transfers many times over: a view, so that a table of 20 million rows needs neither minutes nor gigabytes before it is staged. */
export const MANY_TRANSFERS = 'many transfers'
const MANY_TRANSFERS_RELATION = 'many_transfers'

const TABLES = {
  [TRANSFERS]: { relation: TRANSFERS_RELATION, partitionKeys: ['block_timestamp'] },
  [MANY_TRANSFERS]: { relation: MANY_TRANSFERS_RELATION, partitionKeys: ['block_timestamp'] },
  [FLIGHTS]: { relation: FLIGHTS, partitionKeys: ['date'] },
} as const

/** A DuckDB file with `rows` transfers, and the flights where the package with them is installed. */
async function warehouse(rows: number): Promise<string> {
  const path = join(CACHE, `warehouse-${rows}-${fingerprint(transfersSql(rows))}.duckdb`)
  await demoWarehouse(path, rows)
  return path
}

/** A copy of that file, in which `MANY_TRANSFERS` has `times` as many rows. */
export async function warehouseOfMany(rows: number, times: number): Promise<string> {
  const path = join(CACHE, `warehouse-${rows}-times-${times}.duckdb`)
  await copyFile(await warehouse(rows), path)
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  // not a cross join, one side of which would be held in memory
  const all = Array.from({ length: times }, () => `SELECT * FROM ${TRANSFERS_RELATION}`).join(' UNION ALL ')
  await connection.run(`CREATE VIEW ${MANY_TRANSFERS_RELATION} AS ${all}`)
  connection.closeSync()
  instance.closeSync()
  return path
}

/** The tables of a warehouse as the engine reads them. */
export function warehouseSource(database: string, stagingDir: string): Source {
  return duckdbSource({ database, stagingDir, tables: TABLES })
}

/** 22 columns, about 1 KB of JSON a row. */
export function stagedTransfers(rows: number): Promise<StagedTable> {
  return staged(TRANSFERS, rows)
}

/** 3,000,000 rows of 5 columns, real ones; undefined where the package with them is not installed. */
export async function stagedFlights(rows: number): Promise<StagedTable | undefined> {
  const { flights } = await demoWarehouse(await warehouse(rows), rows)
  return flights ? staged(FLIGHTS, rows) : undefined
}

async function staged(table: keyof typeof TABLES, transfers: number): Promise<StagedTable> {
  // staged anew when the way of staging has changed
  const unload = await readFile(new URL('../src/sources/duckdb/unload.ts', import.meta.url), 'utf8')
  const name = `${TABLES[table].relation}-${transfers}-${fingerprint(transfersSql(transfers) + unload)}`
  const manifest = join(CACHE, `${name}.json`)
  const known = await readFile(manifest, 'utf8').catch(() => undefined)
  // the folder may have been moved since
  if (known !== undefined) return { ...JSON.parse(known), directory: CACHE }

  await mkdir(CACHE, { recursive: true })
  const stagingId = `${name}-${process.pid}`
  const source = warehouseSource(await warehouse(transfers), CACHE)
  const { signal } = new AbortController()
  const schema = await source.describe(table, signal)
  const column = schema.columns.find(({ name }) => name === schema.partitionKeys[0])!
  const window = { column: column.name, type: column.type, ...WINDOW }
  const request = { jobId: name, stagingId, schema, window, sorted: false, fileBytes: FILE_BYTES }
  const { files } = await source.stage(request, undefined, async () => {}, signal)
  const rows = files.reduce((sum, file) => sum + file.rows!, 0)
  const result = { schema, directory: CACHE, files, rows } satisfies StagedTable
  // the manifest comes last, and whole: without it the files are not taken for staged
  const partial = `${manifest}.${process.pid}.partial`
  await writeFile(partial, JSON.stringify(result))
  await rename(partial, manifest)
  return result
}

/** The beginning of a table, at least `rows` of it in whole files: what a contestant warms up with. */
export function beginningOf(table: StagedTable, rows: number): StagedTable {
  const files: StagedFile[] = []
  let taken = 0
  for (const file of table.files) {
    if (taken >= rows) break
    files.push(file)
    taken += file.rows!
  }
  return { ...table, files, rows: taken }
}

export function pathsOf({ directory, files }: StagedTable): string[] {
  return files.map(({ name }) => join(directory, name))
}

function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

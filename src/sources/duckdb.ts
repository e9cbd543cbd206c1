/** The embedded default warehouse: tables and views of a DuckDB database. */
import { randomUUID } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { DuckDBInstance } from '@duckdb/node-api'
import { CancelledError, ConfigError, FormatError, SourceError } from '../core/errors.ts'
import { type Database, fileDatabase, hostDatabase } from './duckdb/database.ts'
import { estimate } from './duckdb/estimate.ts'
import { quoteRelation, readColumns } from './duckdb/table.ts'
import { turns } from './duckdb/turns.ts'
import { unload } from './duckdb/unload.ts'
import { checkedSchema, listed } from './partition-keys.ts'
import type { Source } from './source.ts'

export interface DuckdbSourceOptions {
  /** Default `duckdb`. */
  readonly name?: string
  /**
   * The path of a database file, or an instance of the host's. A file is opened read-only, and only while a table is
   * described or staged, so that other processes can read it at any time and write it in between. If this process itself
   * writes to the file, or the database is in memory, hand in the instance.
   */
  readonly database: string | DuckDBInstance
  /** Where the Parquet files go: a directory on a local disk, made if it is missing. Default `.millrace/staging`. */
  readonly stagingDir?: string
  /** The catalogue: what may be backfilled, by the names that requests use. */
  readonly tables: Readonly<Record<string, DuckdbTable>>
  /**
   * DuckDB's memory, for all stagings together, as DuckDB writes sizes; what does not fit is spilled into `stagingDir`. Default
   * `256MB`; the process grows by up to a third more, and all of it is given back when nothing is staged. Not with a host's instance, whose own `memory_limit` holds.
   */
  readonly memoryLimit?: string
  /** DuckDB's threads. Default: 2, or 1 where there is one processor, since each needs its share of the memory. Not with a host's instance. */
  readonly threads?: number
  /**
   * Most rows of a row group, which is what a lane decodes at once. A multiple of 2,048, DuckDB's vector; default 16,384. One
   * ends earlier at 32 MiB.
   */
  readonly rowGroupRows?: number
}

export interface DuckdbTable {
  /** Columns of type timestamp, date or integer that a window may be cut by; the first is the default. */
  readonly partitionKeys: readonly string[]
  /**
   * The table or view in DuckDB: `table`, `schema.table` or `database.schema.table`, where the database of a file is named
   * after the file. Default: the name in the catalogue, taken apart at its dots.
   */
  readonly relation?: string
}

/**
 * Stages with COPY into Parquet files, in `<stagingDir>/<stagingId>/`. A file ends with the row group with which it reaches
 * the asked size; up to one file per thread is smaller. Two stagings run at once, others wait. DuckDB's work dies with the
 * process: staging again starts afresh in the emptied directory, and nothing is saved.
 *
 * Values arrive as they are, except for those that Parquet cannot hold:
 *
 * | type                                | staged as |
 * | ----------------------------------- | --- |
 * | HUGEINT, UHUGEINT                   | DECIMAL(38,0), since DuckDB's own choice (DOUBLE) loses digits; a value of 39 digits fails the staging |
 * | UUID, BIT, BIGNUM, ENUM, TIMETZ     | their text; TIMETZ in Parquet would lose the offset |
 * | INTERVAL                            | ISO 8601 text; Parquet's intervals have no microseconds and no sign |
 * | VARIANT                             | JSON text |
 * | UNION                               | a struct: `tag`, then every member, NULL but for one |
 * | DATE, TIMESTAMP and its kin         | the same, with NULL for ±infinity, which would read as a year |
 * | TIMESTAMP_S                         | microseconds |
 * | GEOMETRY                            | its WKB, binary |
 *
 * The same holds inside of lists, structs and maps.
 *
 * Errors: `ConfigError` for options that cannot be, and when a table is described for what the database does not have;
 * `SourceError` with what DuckDB said, without values.
 */
export function duckdbSource(options: DuckdbSourceOptions): Source {
  const { name = 'duckdb', tables, rowGroupRows = 16_384 } = options
  checkOptions(options, rowGroupRows)
  const stagingDir = resolve(options.stagingDir ?? '.millrace/staging')
  const database = openDatabase(options, stagingDir)
  const stagings = new Map<string, Staging>()
  // a running statement holds one of the four threads that all file and DNS calls of the process share
  const inTurn = turns(2)

  function entry(table: string): DuckdbTable & { readonly relation: string } {
    const found = Object.hasOwn(tables, table) ? tables[table] : undefined
    if (!found) throw new ConfigError(`unknown table ${table}; the catalogue has ${listed(Object.keys(tables))}`)
    return { relation: table, ...found }
  }

  return {
    name,

    tables: async () => Object.keys(tables),

    async describe(table, signal) {
      const { relation, partitionKeys } = entry(table)
      const columns = await database.connected(connection => readColumns(connection, relation, signal))
      return checkedSchema({
        table,
        partitionKeys,
        columns: columns.map(({ name, type, native, nullable }) => ({ name, type, native, nullable })),
      })
    },

    async stage(request, _saved, _save, signal) {
      const { relation } = entry(request.schema.table)
      const directory = stagingPath(stagingDir, request.stagingId)
      const discarded = new AbortController()
      const either = AbortSignal.any([signal, discarded.signal])
      const work = inTurn(either, () =>
        database.connected(connection => unload(connection, { request, relation, directory, rowGroupRows }, either)),
      )
      const staging = {
        ended: work.then(
          () => {},
          () => {},
        ),
        stop: () => discarded.abort(new CancelledError('the staging was discarded')),
      }
      stagings.set(request.stagingId, staging)
      try {
        const files = await work
        either.throwIfAborted()
        return { files }
      } finally {
        if (stagings.get(request.stagingId) === staging) stagings.delete(request.stagingId)
      }
    },

    async estimate(request, signal) {
      const { relation } = entry(request.schema.table)
      const directory = stagingPath(stagingDir, `estimate-${randomUUID()}`)
      return inTurn(signal, () =>
        database.connected(connection => estimate(connection, { request, relation, directory, rowGroupRows }, signal)),
      )
    },

    async access({ name }) {
      const [, stagingId, file] = /^([^/]+)\/(part-\d{6,}\.parquet)$/.exec(name) ?? []
      if (stagingId === undefined || file === undefined) throw foreign('file', name)
      const path = join(stagingPath(stagingDir, stagingId), file)
      const found = await stat(path).catch(() => undefined)
      if (found?.isFile()) return { path }
      throw new FormatError('file_missing', `staged file ${name} is not in ${stagingDir}: create the backfill again`)
    },

    async discard(stagingId) {
      const directory = stagingPath(stagingDir, stagingId)
      const staging = stagings.get(stagingId)
      staging?.stop()
      await staging?.ended
      await rm(directory, { recursive: true, force: true })
    },
  }
}

interface Staging {
  /** Resolves either way. */
  readonly ended: Promise<void>
  stop(): void
}

function openDatabase(
  { database, memoryLimit = '256MB', threads = Math.min(2, availableParallelism()) }: DuckdbSourceOptions,
  spillInto: string,
): Database {
  if (typeof database !== 'string') return hostDatabase(database)
  return fileDatabase({ path: resolve(database), memoryLimit, threads, spillInto })
}

function checkOptions(options: DuckdbSourceOptions, rowGroupRows: number): void {
  const { database, tables, memoryLimit, threads } = options
  if (database === ':memory:')
    throw new ConfigError('a database of its own in memory has no tables: create a DuckDBInstance and hand that in')
  if (typeof database !== 'string' && (memoryLimit !== undefined || threads !== undefined))
    throw new ConfigError('memoryLimit and threads are settings of the host where the host hands in the instance')
  if (!(Number.isInteger(rowGroupRows) && rowGroupRows > 0 && rowGroupRows % 2048 === 0))
    throw new ConfigError(`rowGroupRows must be a multiple of 2048, not ${rowGroupRows}`)
  for (const [table, { partitionKeys, relation }] of Object.entries(tables)) {
    if (partitionKeys.length === 0) throw new ConfigError(`table ${table} needs at least one partition key`)
    quoteRelation(relation ?? table)
  }
}

function stagingPath(stagingDir: string, stagingId: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(stagingId)) throw foreign('staging', stagingId)
  return join(stagingDir, stagingId)
}

function foreign(what: 'file' | 'staging', name: string): SourceError {
  return new SourceError(`${JSON.stringify(name.slice(0, 100))} is not the name of a ${what} of this source`, {
    retryable: false,
  })
}

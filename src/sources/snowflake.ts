/** Snowflake, through `snowflake-sdk`. */
import { join, resolve } from 'node:path'
import { openFileBytes, untilAborted } from '../columnar/file-bytes.ts'
import { closest } from '../core/close-names.ts'
import { CancelledError, ConfigError, SourceError } from '../core/errors.ts'
import { check } from './snowflake/check.ts'
import { estimate } from './snowflake/estimate.ts'
import { readLocation, stagingPath } from './snowflake/location.ts'
import { readRelation } from './snowflake/names.ts'
import { openSessions, type SnowflakeConnection } from './snowflake/sessions.ts'
import { openSpool } from './snowflake/spool.ts'
import { requireReadable } from './snowflake/stage-type.ts'
import { readColumns } from './snowflake/table.ts'
import { discard, unload } from './snowflake/unload.ts'
import { presignedUrl } from './snowflake/urls.ts'
import type { Column, FileAccess, Source, StagedFile, TableSchema } from './source.ts'

export interface SnowflakeSourceOptions {
  /** Default `snowflake`. */
  readonly name?: string
  /**
   * What `createConnection` of `snowflake-sdk` takes (key pair, OAuth, programmatic access token, workload identity and its other ways), or a
   * connection or pool of the host's, which is left open. Of a host's own, two settings of the session are changed:
   * `ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION = FALSE` and `TIMEZONE = 'UTC'`; a `queryTag` of it takes the place of the one that
   * names the job, by which a statement is found again after a crash, so give it none.
   */
  readonly connection: SnowflakeConnection
  /**
   * Where files are staged: `@database.schema.stage/path`, or `@~/path` for the user's own stage. Files go to
   * `<path>/<staging>/<attempt>/`, and all below `<path>/<staging>/` is removed when the job has ended.
   */
  readonly stage: string
  /** The catalogue: what may be backfilled, by the names that requests use. */
  readonly tables: Readonly<Record<string, SnowflakeTable>>
  /**
   * What columns are called in requests and rows. `small` (default): names that Snowflake stores in capitals, as it does where they were made
   * without quotes, in small letters, all others as they are. `stored`: as Snowflake stores them.
   */
  readonly columnNames?: 'small' | 'stored'
  /**
   * How staged files are read. `url` (default): lanes read ranges behind presigned URLs; the stage has to be external, or internal with
   * `ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')`. `download`: the client fetches whole files into the spool, for internal stages of either kind; the default
   * for `@~`, which has no other way.
   */
  readonly reading?: 'url' | 'download'
  /** Life of a presigned URL in seconds; a new one is asked for when it is over. 60 to 604,800, default 3,600. */
  readonly urlLifetimeSeconds?: number
  /** For `download`: a directory of this process alone, default `.millrace/spool`, and most bytes in it, default 1 GiB. */
  readonly spool?: { readonly dir?: string; readonly maxBytes?: number }
}

export interface SnowflakeTable {
  /** Columns of type timestamp, date or NUMBER of scale 0 that a window may be cut by; the first is the default. */
  readonly partitionKeys: readonly string[]
  /**
   * The table or view in Snowflake, as SQL names it: `table`, `schema.table` or `database.schema.table`; parts without double quotes are
   * capitals. Default: the name in the catalogue.
   */
  readonly relation?: string
}

/**
 * Stages with one COPY into Parquet files. It runs in Snowflake whatever becomes of this process, which finds it again by its query id, or by
 * its tag. Window and filter are Snowflake's work; more than 1,000 filter values go through a temporary table. Where the rows are to be
 * in order, all go into one file, of at most 5 GB.
 *
 * | type | staged as |
 * | --- | --- |
 * | NUMBER(p,s), FLOAT, VARCHAR, BOOLEAN, DATE, TIME, BINARY, TIMESTAMP_NTZ | the same; a NUMBER with every digit |
 * | TIMESTAMP_TZ, TIMESTAMP_LTZ | TIMESTAMP_NTZ in UTC, since unloading an instant is an error |
 * | VARIANT, OBJECT, ARRAY, MAP, VECTOR | JSON text |
 * | GEOGRAPHY, GEOMETRY | GeoJSON text |
 * | others | their text |
 *
 * Errors: `ConfigError` for options that cannot be and for what Snowflake does not have; `SourceError` with Snowflake's code and what to do,
 * without values.
 */
export function snowflakeSource(options: SnowflakeSourceOptions): Source {
  const { name = 'snowflake', tables, columnNames = 'small', urlLifetimeSeconds: lifetimeSeconds = 3_600 } = options
  const location = readLocation(options.stage)
  const reading = options.reading ?? (location.names ? 'url' : 'download')
  checkOptions(options, lifetimeSeconds)
  const sessions = openSessions(options.connection)
  const spool = openSpool(sessions, location, {
    dir: resolve(options.spool?.dir ?? join('.millrace', 'spool')),
    maxBytes: options.spool?.maxBytes ?? 1 << 30,
  })
  const keepNames = columnNames === 'stored'
  const stagings = new Map<string, { readonly ended: Promise<void>; stop(): void }>()
  let readable: Promise<void> | undefined

  function relationOf(table: string): readonly string[] {
    const found = Object.hasOwn(tables, table) ? tables[table] : undefined
    if (!found) throw new ConfigError(`unknown table ${table}${meant(table, Object.keys(tables))}`)
    return readRelation(found.relation ?? table)
  }

  /** Once, since a stage does not change its kind. */
  async function stageIsReadable(): Promise<void> {
    readable ??= sessions.use(connection => requireReadable(connection, location, reading))
    await readable.catch(error => {
      readable = undefined
      throw error
    })
  }

  async function access(file: StagedFile, signal: AbortSignal): Promise<FileAccess> {
    if (!/^[A-Za-z0-9_-]{1,64}\/\d+\/[^/]+$/.test(file.name)) throw foreign('file', file.name)
    const path = location.prefix + file.name
    if (reading === 'download') return spool.access(path, file)
    return untilAborted(presignedUrl(sessions, location, path, lifetimeSeconds), signal)
  }

  async function read(file: StagedFile, start: number, end: number): Promise<Uint8Array> {
    const signal = new AbortController().signal
    const chunk = { chunk: 0, name: file.name, format: 'parquet', bytes: file.bytes, fromRow: 0 } as const
    const bytes = await openFileBytes(chunk, () => access(file, signal), signal)
    return bytes.read(start, end).finally(() => bytes.close())
  }

  return {
    name,

    tables: async () => Object.keys(tables),

    async describe(table, signal) {
      const relation = relationOf(table)
      const described = sessions.use(connection => readColumns(connection, relation, keepNames))
      const columns = await untilAborted(described, signal)
      return checkedSchema({
        table,
        partitionKeys: tables[table]!.partitionKeys,
        columns: columns.map(({ name, type, native, nullable }) => ({ name, type, native, nullable })),
      })
    },

    async stage(request, saved, save, signal) {
      const relation = relationOf(request.schema.table)
      requireStagingId(request.stagingId)
      await untilAborted(stageIsReadable(), signal)
      const discarded = new AbortController()
      const either = AbortSignal.any([signal, discarded.signal])
      const work = unload({ sessions, location, relation, keepNames, request }, saved, save, either)
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
      const relation = relationOf(request.schema.table)
      return untilAborted(estimate({ sessions, location, relation, keepNames, request }, signal), signal)
    },

    access,

    check: signal =>
      check({ sessions, location, reading, relations: Object.keys(tables).map(relationOf), read }, signal),

    async discard(stagingId, saved, signal) {
      requireStagingId(stagingId)
      const staging = stagings.get(stagingId)
      staging?.stop()
      await staging?.ended
      await spool.forget(stagingPath(location, stagingId))
      await discard({ sessions, location }, stagingId, saved, signal)
    },

    close: () => sessions.close(),
  }
}

function checkOptions({ connection, tables, reading, spool, stage }: SnowflakeSourceOptions, lifetime: number): void {
  if (typeof connection !== 'object' || connection === null)
    throw new ConfigError("connection must be options of snowflake-sdk's createConnection, a connection or a pool")
  if (!(Number.isInteger(lifetime) && lifetime >= 60 && lifetime <= 604_800))
    throw new ConfigError(`urlLifetimeSeconds must be a whole number from 60 to 604800, not ${lifetime}`)
  if (spool?.maxBytes !== undefined && !(Number.isSafeInteger(spool.maxBytes) && spool.maxBytes > 0))
    throw new ConfigError(`spool.maxBytes must be a whole number above 0, not ${spool.maxBytes}`)
  if (reading === 'url' && stage.startsWith('@~'))
    throw new ConfigError(
      "files of the user's own stage @~ cannot be read by URL: name another stage, or set reading: 'download'",
    )
  for (const [table, { partitionKeys, relation }] of Object.entries(tables)) {
    if (partitionKeys.length === 0) throw new ConfigError(`table ${table} needs at least one partition key`)
    readRelation(relation ?? table)
  }
}

/** A partition key has to be a column that a window can be cut by. */
function checkedSchema(schema: TableSchema): TableSchema {
  for (const key of schema.partitionKeys) {
    const column = schema.columns.find(({ name }) => name === key)
    if (column && isPartitionKey(column)) continue
    const possible = schema.columns.filter(isPartitionKey).map(({ name }) => name)
    const problem = column ? `is ${column.native}` : `does not exist${meant(key, possible)}`
    throw new ConfigError(
      `partition key ${key} of ${schema.table} ${problem}; columns of type timestamp, date or NUMBER of scale 0 are ${possible.join(', ') || 'none'}`,
    )
  }
  return schema
}

function isPartitionKey({ type }: Column): boolean {
  return type.kind === 'timestamp' || type.kind === 'date' || type.kind === 'integer'
}

function meant(name: string, names: readonly string[]): string {
  const near = closest(name, names)
  return near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`
}

function requireStagingId(stagingId: string): void {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(stagingId)) throw foreign('staging', stagingId)
}

function foreign(what: 'file' | 'staging', name: string): SourceError {
  return new SourceError(`${JSON.stringify(name.slice(0, 100))} is not the name of a ${what} of this source`, {
    retryable: false,
  })
}

export type { SnowflakeConnection } from './snowflake/sessions.ts'

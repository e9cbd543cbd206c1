/**
 * The contract of a source: a warehouse that can put a window of a table into files.
 *
 * The engine calls `describe` when a job is created, `stage` once its job has been claimed, `access` from then on for
 * every file that is read, and `discard` when the files are no longer wanted. Different jobs call in parallel; for one
 * staging the calls are in this order, and `access` runs in parallel.
 *
 * Errors: throw a `SourceError` with what the warehouse said and what to do about it; say `retryable: true` only where
 * the same call may succeed later. Anything else that is thrown fails the job just the same, with its message.
 */

import type { Column, ColumnType, TableSchema } from '../columnar/column-type.ts'
import type { Predicate, ValueList } from '../columnar/predicate.ts'
import type { FileAccess } from '../columnar/read-plan.ts'
import type { Json, SaveState } from '../core/json.ts'

export interface Source {
  readonly name: string

  /** The tables that may be backfilled, as requests name them. */
  tables(): Promise<readonly string[]>

  /** Columns and types of one of `tables()`. Throws a `ConfigError` where the catalogue names what the warehouse does not have. */
  describe(table: string, signal: AbortSignal): Promise<TableSchema>

  /**
   * Writes the rows of the request as files. Called once per staging, and again with what was saved if the process died
   * in between: then it goes on where the earlier call was (a query that still runs), or throws a `SourceError` if that
   * cannot be.
   *
   * `save(state)` is durable before it resolves. Save whatever finds the work again before starting the work.
   * Everything must land under `request.stagingId`, which is new for every staging and safe as a file name.
   * An empty window is `{ files: [] }`; files without rows are left out.
   * `signal` aborts with a `CancelledError` as its reason when the job is cancelled: stop the work in the warehouse. With any
   * other reason the process is leaving: let the work go on if it can be found again.
   */
  stage(request: StageRequest, saved: Json | undefined, save: SaveState, signal: AbortSignal): Promise<Staged>

  /** What staging the request would come to; stages nothing and leaves nothing behind. Left out where that cannot be told. */
  estimate?(request: StageRequest, signal: AbortSignal): Promise<Estimate>

  /** Where to read a staged file, asked again when a URL has expired. Fails with `file_missing` if the file is gone. */
  access(file: StagedFile, signal: AbortSignal): Promise<FileAccess>

  /**
   * Removes everything under exactly this staging, and stops what still writes there. Idempotent: no files is a success. Files that were
   * there before it, of a source that copies nothing, stay.
   */
  discard(stagingId: string, saved: Json | undefined, signal: AbortSignal): Promise<void>

  /**
   * Looks, for `millrace doctor`, at everything that staging would need, and changes nothing that lasts: can it log in, may it read the
   * tables, may it write where files go. Later checks may be left out where an earlier one failed. Rejects only where it cannot look
   * at all. Left out: every table is described.
   */
  check?(signal: AbortSignal): Promise<readonly Check[]>

  /** Frees connections that the source opened itself. */
  close?(): Promise<void>
}

export interface StageRequest {
  readonly jobId: string
  /** Names the place for the files: 1 to 64 characters of `[A-Za-z0-9_-]`. */
  readonly stagingId: string
  readonly schema: TableSchema
  /** `start <= column < end`; canonical text of the column's type. */
  readonly window: { readonly column: string; readonly type: ColumnType; readonly start: string; readonly end: string }
  readonly filter?: StageFilter
  /** The rows must be in the order of the window's column, within a file and from file to file. */
  readonly sorted: boolean
  /** About this large; one row group more is allowed. Default of the engine: 32 MiB. */
  readonly fileBytes: number
  /** No more rows than this are wanted, whichever they are: for a sample. A source whose files are there already need not heed it. */
  readonly limit?: number
}

/** What was looked at, and how it is. */
export interface Check {
  /** Completes "it is well: ...": `table base.assets.transfers`. */
  readonly what: string
  readonly ok: boolean
  /** What was found: of what failed always, of the rest where there is something to say. No secret, no row content. */
  readonly said?: string
  /** Commands, or words where there are none, that mend it. */
  readonly mend?: readonly string[]
}

/** Of a window and a filter, before anything is staged. */
export interface Estimate {
  /** Exact. Null where counting would take as long as staging. */
  readonly rows: number | null
  /** About as many, of about as many bytes in all, as they will be staged. Null where not known. */
  readonly files: number | null
  readonly bytes: number | null
  /** What staging will run, in order, without the values of a long filter; empty for a source that runs no SQL. */
  readonly sql: readonly string[]
  /** Every column that is staged, in the table's order. */
  readonly columns: readonly ColumnPlan[]
}

export interface ColumnPlan {
  readonly name: string
  /** The type as the warehouse names it. */
  readonly native: string
  /** What is staged of a value, as an expression of the warehouse or in words; the column's own name where nothing changes. */
  readonly staged: string
}

/** `column IN (values)`: SQL's meaning, so repeats change nothing. */
export interface StageFilter {
  readonly column: string
  readonly type: ColumnType
  /** The list as a residual predicate names it, for a source that leaves the filter to the engine. */
  readonly list: ValueList
  /** The values in canonical text, in pieces; may be read more than once. */
  values(): AsyncIterable<readonly string[]>
}

/** Plain data, stored with the job: never a URL or a secret. */
export interface StagedFile {
  /** Unique within the staging; what `access` finds the file by. */
  readonly name: string
  readonly bytes: number
  readonly rows?: number
  /** Of the content, if the warehouse gives one. */
  readonly fingerprint?: string
  /** Default: by the name's ending (`.parquet`, `.arrow`, `.arrows`), Parquet otherwise. */
  readonly format?: 'parquet' | 'arrow-file' | 'arrow-stream'
  /** Columns that are not in the file and the same for all of its rows, as canonical text; only with `Staged.tableColumns`. */
  readonly values?: Readonly<Record<string, string | null>>
}

export interface Staged {
  /** In the order in which they are delivered. */
  readonly files: readonly StagedFile[]
  /** What `stage` did not apply itself; the lanes do. */
  readonly residual?: Predicate
  /**
   * Where files differ: what every row is to have. The lanes bring a file to it by name, with NULL for what it lacks; another type, or
   * a column that is not among these, fails the job. `residual` may name any of them. Undefined: each file has the table's columns.
   */
  readonly tableColumns?: readonly Column[]
}

export type { Column, ColumnType, TableSchema, TimeUnit } from '../columnar/column-type.ts'
export type { Predicate, ValueList } from '../columnar/predicate.ts'
export type { FileAccess, RandomAccess } from '../columnar/read-plan.ts'

import { z } from 'zod'
import { checkOptions } from '../../sinks/options.ts'
import type { FolderType } from './folders.ts'
import { urlProblems } from './http.ts'

export interface FilesSourceOptions {
  /** Default `files`. */
  readonly name?: string
  /** The catalogue: what may be backfilled, by the names that requests use. */
  readonly tables: Readonly<Record<string, FilesTable>>
  /**
   * How many files a table is described by, evenly spread where it has more: their footers are read when a job is created and when it
   * is staged, and files that the window excludes are left out by them. Default 1,000. Of a file that was not looked into, a lane
   * finds out when it reads it.
   */
  readonly inspectFiles?: number
}

export interface FilesTable {
  /**
   * Paths and globs of this machine, or URLs of single files (`https://...`). Names that begin with `.`, and with `_` unless they have a
   * `=`, are passed over where a glob finds them.
   */
  readonly files: string | readonly string[]
  /** Columns of type timestamp, date or integer that a window may be cut by; the first is the default. */
  readonly partitionKeys: readonly string[]
  /** Default, by the ending of each name: `.arrow`, `.feather` and `.ipc` are Arrow IPC files, `.arrows` streams, all others Parquet. */
  readonly format?: 'parquet' | 'arrow-file' | 'arrow-stream'
  /**
   * Folders such as `day=2001-01-01/` are columns, unless the files have a column of that name. Their types, where they are not to be
   * told by their values; or false: they are just folders.
   */
  readonly folders?: false | Readonly<Record<string, FolderType>>
  /**
   * A partition key in whose order the rows of each file are known to lie. A destination with `order: 'total'` needs it; files
   * whose values overlap are then an error.
   */
  readonly sortedBy?: string
  /** Of the requests for files behind http and https URLs, such as `authorization`. Never stored or shown. */
  readonly headers?: Readonly<Record<string, string>>
}

const text = z.string().min(1)

const table = z
  .strictObject({
    files: z
      .union([text, z.array(text).min(1)], { error: 'must be a path or a list of paths' })
      .transform(files => (typeof files === 'string' ? [files] : files)),
    partitionKeys: z.array(text).min(1, 'needs at least one column'),
    format: z.enum(['parquet', 'arrow-file', 'arrow-stream']).optional(),
    folders: z
      .union([z.literal(false), z.record(z.string(), z.enum(['string', 'integer', 'date']))], {
        error: 'must be false, or string, integer or date for each column',
      })
      .default({}),
    sortedBy: text.optional(),
    headers: z.record(z.string(), z.string()).default({}),
  })
  .superRefine(({ files, sortedBy, partitionKeys }, { addIssue }) => {
    urlProblems(files).forEach((message, index) => {
      if (message !== undefined) addIssue({ code: 'custom', path: ['files', index], message })
    })
    if (sortedBy !== undefined && !partitionKeys.includes(sortedBy))
      addIssue({ code: 'custom', path: ['sortedBy'], message: 'must be one of the partition keys' })
  })

const schema = z.strictObject({
  name: text.default('files'),
  tables: z.record(z.string(), table),
  inspectFiles: z.int().min(1).max(1_000_000).default(1_000),
})

export type FilesSettings = z.output<typeof schema>
export type TableSettings = FilesSettings['tables'][string]

/** Throws a `ConfigError` that lists every problem with its path; none of its text repeats a value. */
export function readOptions(options: FilesSourceOptions): FilesSettings {
  return checkOptions('filesSource', schema, options)
}

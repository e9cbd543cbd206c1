import type { S3Client } from '@aws-sdk/client-s3'
import type { Storage as GcsClient } from '@google-cloud/storage'
import { z } from 'zod'
import { checkOptions } from '../../sinks/options.ts'
import type { FolderType } from './folders.ts'
import { gcsProblem, isGcs } from './gcs.ts'
import { urlProblems } from './http.ts'
import { isS3, s3Problem } from './s3.ts'

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
  /** Of tables at `s3://`. */
  readonly s3?: S3Options
  /** Of tables at `gs://`. */
  readonly gcs?: GcsOptions
}

export interface S3Options {
  /** Default: the usual chain of the AWS SDK (AWS_REGION, profile); `us-east-1` where there is an endpoint. */
  readonly region?: string
  /** URL of another server that speaks S3's protocol. Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS. */
  readonly endpoint?: string
  /** Whether the bucket stands in the path of URLs and not in the host's name. Default: true where there is an endpoint. */
  readonly forcePathStyle?: boolean
  /** Default: the usual chain of the AWS SDK (environment, profile, container, instance). */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>)
  /** The host's own client, in place of all of these. */
  readonly client?: S3Client
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface GcsOptions {
  /** URL of an emulator, which is asked without credentials. Default: STORAGE_EMULATOR_HOST, or Google. */
  readonly endpoint?: string
  readonly projectId?: string
  /** The key file of a service account. Default: Google's usual chain (GOOGLE_APPLICATION_CREDENTIALS, gcloud, metadata server). */
  readonly keyFilename?: string
  readonly credentials?: { readonly client_email: string; readonly private_key: string }
  /** The host's own client, in place of all of these. */
  readonly client?: GcsClient
}

export interface FilesTable {
  /**
   * Paths and globs of this machine, URLs of single files (`https://...`), objects and globs of `s3://BUCKET/` and `gs://BUCKET/`. Names that begin with `.`, and with `_` unless they have a
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
    const problems = urlProblems(files)
    files.forEach((file, index) => {
      const message = isS3(file) ? s3Problem(file) : isGcs(file) ? gcsProblem(file) : problems[index]
      if (message !== undefined) addIssue({ code: 'custom', path: ['files', index], message })
    })
    if (sortedBy !== undefined && !partitionKeys.includes(sortedBy))
      addIssue({ code: 'custom', path: ['sortedBy'], message: 'must be one of the partition keys' })
  })

const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })

const s3 = z
  .strictObject({
    region: text.optional(),
    endpoint: url.optional(),
    forcePathStyle: z.boolean().optional(),
    credentials: z
      .custom<S3Credentials | (() => Promise<S3Credentials>)>(
        value => typeof value === 'function' || (typeof value === 'object' && value !== null),
        'must be credentials or a function that provides them',
      )
      .optional(),
    client: z
      .custom<S3Client>(
        value => typeof (value as { send?: unknown } | null)?.send === 'function',
        'must be an S3Client of @aws-sdk/client-s3',
      )
      .optional(),
  })
  .refine(({ client, ...own }) => !client || Object.keys(own).length === 0, 'all else must be given to the client')

const gcs = z
  .strictObject({
    endpoint: url.optional(),
    projectId: text.optional(),
    keyFilename: text.optional(),
    credentials: z.strictObject({ client_email: text, private_key: text }).optional(),
    client: z
      .custom<GcsClient>(
        value => typeof (value as { bucket?: unknown } | null)?.bucket === 'function',
        'must be a Storage of @google-cloud/storage',
      )
      .optional(),
  })
  .refine(({ client, ...own }) => !client || Object.keys(own).length === 0, 'all else must be given to the client')

const schema = z.strictObject({
  name: text.default('files'),
  tables: z.record(z.string(), table),
  inspectFiles: z.int().min(1).max(1_000_000).default(1_000),
  s3: s3.default({}),
  gcs: gcs.default({}),
})

export type FilesSettings = z.output<typeof schema>
export type TableSettings = FilesSettings['tables'][string]

/** Throws a `ConfigError` that lists every problem with its path; none of its text repeats a value. */
export function readOptions(options: FilesSourceOptions): FilesSettings {
  return checkOptions('filesSource', schema, options)
}

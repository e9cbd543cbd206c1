import { resolve } from 'node:path'
import { z } from 'zod'
import { checkOptions } from '../options.ts'
import type { FileCompression } from './compressor.ts'

export interface FileSinkOptions {
  /** What requests call it: `{ "type": "file", "name": name }`. */
  readonly name: string
  /** Made if it is missing. Relative to the working directory at the time of the call. */
  readonly dir: string
  /**
   * A file that has as many bytes, as they are on disk, is followed by another one, with a number of its own; larger by less than a
   * batch (1 MiB before compression). At least 1 MiB. Default: one file for each unit of work, which is a staged file or several small ones.
   */
  readonly maxFileBytes?: number
  /** Default `none`. Files then end in `.jsonl.gz` or `.jsonl.zst`. */
  readonly compression?: 'none' | FileCompression
}

const schema = z.strictObject({
  name: z.string().min(1),
  dir: z
    .string()
    .min(1)
    .transform(dir => resolve(dir)),
  maxFileBytes: z
    .int()
    .min(1 << 20)
    .optional(),
  compression: z.enum(['none', 'gzip', 'zstd']).default('none'),
})

export type FileSettings = Pick<z.output<typeof schema>, 'name' | 'dir' | 'maxFileBytes' | 'compression'>

/** Throws a `ConfigError`. */
export function readOptions(options: FileSinkOptions): FileSettings {
  return checkOptions('fileSink', schema, options)
}

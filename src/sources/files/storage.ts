/** Where files lie: what a kind of storage has to do for the source. */
import { FormatError } from '../../core/errors.ts'
import type { FileAccess, StagedFile } from '../source.ts'

export interface FoundFile {
  /** Says where it lies without a secret: an absolute path, or a URL without its query. */
  readonly name: string
  readonly bytes: number
  /** Another one when the file was written again, as far as the storage tells. */
  readonly fingerprint?: string
}

/** What the configuration says of where some files of a table lie. */
export interface Place {
  readonly pattern: string
  /** Of HTTP requests. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Storage {
  /** Whether a file of that name is one of the place's. */
  owns(place: Place, name: string): boolean
  /** The files of a place, in any order. None is no error. */
  list(place: Place, signal: AbortSignal): Promise<readonly FoundFile[]>
  /** Throws `file_missing` where the file is gone, `file_corrupt` where it is known to have been written again since it was listed. */
  access(place: Place, file: StagedFile, signal: AbortSignal): Promise<FileAccess>
  /** Frees connections that it opened itself. */
  close?(): Promise<void>
}

export function gone(name: string, cause?: unknown): FormatError {
  const problem = `the file ${JSON.stringify(name)} is gone since it was listed`
  return new FormatError('file_missing', `${problem}: create the backfill again`, { cause })
}

export function changed(name: string): FormatError {
  const problem = `the file ${JSON.stringify(name)} was written again since it was listed`
  return new FormatError('file_corrupt', `${problem}: create the backfill again`)
}

/** What is put aside by writers that have not finished, or is no data: `_SUCCESS`, `_temporary/`, `.part-0.crc`; but `_day=1/` is a folder of data. */
export function isHidden(path: string): boolean {
  return path.split('/').some(part => part.startsWith('.') || (part.startsWith('_') && !part.includes('=')))
}

/** Where what is not literal in a glob may begin. */
const WILD = /[*?[\]{}()!+@]/

export function hasGlob(pattern: string): boolean {
  return /[*?[{]/.test(pattern)
}

/** What the names of all that a glob matches begin with. */
export function literalPrefix(pattern: string): string {
  const wild = WILD.exec(pattern)
  return wild ? pattern.slice(0, wild.index) : pattern
}

/** The folder of a pattern that holds all that it can match, with its `/`; '' where there is none. */
export function literalFolder(pattern: string): string {
  const prefix = literalPrefix(pattern)
  return prefix.slice(0, prefix.lastIndexOf('/') + 1)
}

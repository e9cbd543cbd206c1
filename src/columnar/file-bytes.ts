/** A staged file as ranges of bytes, wherever it lies: on a disk, behind a URL, or in the hands of the host. */
import { type FileHandle, open } from 'node:fs/promises'
import { corrupt, missing, sizeProblem } from './file-errors.ts'
import type { Ahead } from './read-ahead.ts'
import type { FileAccess, OpenFile, PlannedChunk, RandomAccess } from './read-plan.ts'
import { URL_RETRIES, type UrlRetries, urlBytes } from './url-bytes.ts'

export interface FileBytes {
  readonly size: number
  /**
   * Bytes [start, end), all of them. `spare`: memory that may be used for them, instead of new memory. It must not be touched
   * until the bytes are there, and never again where the read fails.
   */
  read(start: number, end: number, spare?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
  /**
   * What will be read next, in that order, in place of what was said before. A distant file is then read before it is asked; one on a
   * disk has no such method, since its system reads ahead.
   */
  ahead?(ranges: readonly Range[]): void
  close(): Promise<void>
}

/** Bytes [start, end). */
export interface Range {
  readonly start: number
  readonly end: number
}

/**
 * Opens the chunk's file. Throws `file_missing` where there is none, `file_corrupt` where it has another size than when it
 * was staged or does not hold the bytes that are read. `signal` ends what is under way, also where the host never answers.
 */
export async function openFileBytes(
  chunk: PlannedChunk,
  openFile: OpenFile,
  signal: AbortSignal,
  { ahead, turn, retries = URL_RETRIES }: FileOptions = {},
): Promise<FileBytes> {
  const renew = (): Promise<FileAccess> => untilAborted(openFile(chunk.chunk), signal)
  const access = await renew()
  if (turn && 'path' in access) await untilAborted(turn, signal)
  const bytes = await bytesOf(chunk, access, renew, signal, retries)
  const file: FileBytes = {
    size: chunk.bytes,
    async read(start, end, spare) {
      signal.throwIfAborted()
      const exists = start >= 0 && start <= end && end <= chunk.bytes
      if (!exists) throw corrupt(chunk.name, `refers to bytes ${start} to ${end} of ${chunk.bytes}`)
      return bytes.read(start, end, spare)
    },
    close: () => bytes.close(),
  }
  return ahead && !('path' in access) ? ahead.open(file) : file
}

export interface FileOptions {
  /** Of the unit whose file it is. Undefined: nothing is read that was not asked for. */
  readonly ahead?: Ahead
  /** A file on a disk is not opened before: it is there at once. */
  readonly turn?: Promise<void>
  readonly retries?: UrlRetries
}

type Bytes = Pick<FileBytes, 'read' | 'close'>

async function bytesOf(
  chunk: PlannedChunk,
  access: FileAccess,
  renew: () => Promise<FileAccess>,
  signal: AbortSignal,
  retries: UrlRetries,
): Promise<Bytes> {
  if ('path' in access) return pathBytes(chunk, access.path)
  return 'url' in access ? urlBytes(chunk, access, renew, signal, retries) : hostBytes(chunk, access, signal)
}

async function pathBytes(chunk: PlannedChunk, path: string): Promise<Bytes> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw missing(chunk.name, `cannot be opened (${error.code})`, error)
  })
  try {
    const problem = sizeProblem(chunk, (await handle.stat()).size)
    if (problem) throw problem
  } catch (error) {
    await handle.close()
    throw error
  }
  return {
    read: (start, end, spare) => readHandle(chunk, handle, start, end, spare),
    close: () => handle.close(),
  }
}

async function readHandle(
  chunk: PlannedChunk,
  handle: FileHandle,
  start: number,
  end: number,
  spare: Uint8Array<ArrayBuffer> | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const length = end - start
  const bytes = spare && spare.length >= length ? spare.subarray(0, length) : Buffer.allocUnsafeSlow(length)
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
    if (bytesRead === 0) throw corrupt(chunk.name, `ends at byte ${start + at} of ${chunk.bytes}`)
    at += bytesRead
  }
  return bytes
}

function hostBytes(chunk: PlannedChunk, access: RandomAccess, signal: AbortSignal): Bytes {
  const problem = sizeProblem(chunk, access.byteLength)
  if (problem) throw problem
  return {
    async read(start, end) {
      const bytes = await untilAborted(access.read(start, end), signal)
      const expected = end - start
      if (bytes.length !== expected)
        throw corrupt(chunk.name, `gave ${bytes.length} bytes where ${expected} were asked for`)
      return isOwn(bytes) ? bytes : Uint8Array.from(bytes)
    },
    async close() {},
  }
}

function isOwn(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
}

/** Waits for the host, which may never answer, for no longer than until `signal` aborts. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (signal.aborted) abort()
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

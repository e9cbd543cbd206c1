/** Files that the client downloads, for stages whose files no URL opens: a directory of bounded size, out of which they are read. */
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError, FormatError, SourceError } from '../../core/errors.ts'
import type { RandomAccess, StagedFile } from '../source.ts'
import { quoteLiteral } from './literals.ts'
import type { StageLocation } from './location.ts'
import type { Sessions } from './sessions.ts'
import { execute } from './statements.ts'

export interface SpoolOptions {
  readonly dir: string
  /** Of all downloaded files together. */
  readonly maxBytes: number
}

interface Spooled {
  readonly bytes: number
  readonly path: string
  readonly ready: Promise<void>
  readers: number
}

/** The client gives no sign of life while it downloads, and where its token has expired it never ends. */
const DOWNLOAD_MS = 600_000

/**
 * A file is downloaded when something is read of it, and removed when others need the room and nobody reads it; then it is
 * downloaded again.
 */
export function openSpool(
  sessions: Sessions,
  { stage }: StageLocation,
  { dir, maxBytes }: SpoolOptions,
): {
  access(path: string, file: StagedFile): RandomAccess
  forget(directory: string): Promise<void>
} {
  /** The one that was read last is the last. */
  const spooled = new Map<string, Spooled>()
  const waiting: (() => void)[] = []

  function used(): number {
    return [...spooled.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async function makeRoom(bytes: number): Promise<void> {
    for (;;) {
      for (const [path, file] of spooled) {
        if (used() + bytes <= maxBytes) return
        if (file.readers === 0) await remove(path, file)
      }
      if (used() + bytes <= maxBytes) return
      await new Promise<void>(resolve => waiting.push(resolve))
    }
  }

  async function remove(path: string, file: Spooled): Promise<void> {
    spooled.delete(path)
    await file.ready.catch(() => {})
    await rm(file.path, { recursive: true, force: true })
  }

  /** Of one file after the other, so that two that wait for room do not wait for each other. */
  let turn: Promise<unknown> = Promise.resolve()

  function take(path: string, { name, bytes }: StagedFile): Promise<Spooled> {
    const taken = turn.then(async () => {
      const known = spooled.get(path)
      if (!known) await makeRoom(bytes)
      const directory = join(dir, createHash('sha256').update(path).digest('hex').slice(0, 32))
      const file = known ?? { bytes, path: directory, ready: download(path, name, directory, bytes), readers: 0 }
      file.readers++
      spooled.delete(path)
      spooled.set(path, file)
      return file
    })
    turn = taken.catch(() => {})
    return taken
  }

  function giveBack(path: string, file: Spooled, failed: boolean): void {
    file.readers--
    if (failed && spooled.get(path) === file) spooled.delete(path)
    for (const wake of waiting.splice(0)) wake()
  }

  async function download(path: string, name: string, directory: string, bytes: number): Promise<void> {
    await rm(directory, { recursive: true, force: true })
    // the client makes no directories above the last
    await mkdir(directory, { recursive: true })
    const target = quoteLiteral(`${pathToFileURL(directory).href}/`)
    const sql = `GET '${stage}/${path.replaceAll('\\', '\\\\').replaceAll("'", "''")}' ${target}`
    const doing = `cannot download the staged file ${JSON.stringify(name)}`
    const late = new SourceError(`${doing}: it did not come within ${DOWNLOAD_MS / 60_000} minutes`, {
      retryable: true,
    })
    const rows = await withDeadline(
      sessions.use(connection => execute(connection, doing, sql)),
      late,
    )
    if (rows.length === 0)
      throw new FormatError('file_missing', `the staged file ${JSON.stringify(name)} is not on the stage any more`)
    const { status } = rows[0]!
    if (status !== 'DOWNLOADED')
      throw new SourceError(`${doing}: the client says ${String(status)}`, { retryable: true })
    const { size } = await stat(join(directory, baseName(path)))
    // the client compares neither size nor hash
    if (size !== bytes)
      throw new SourceError(`${doing}: ${size} bytes came where ${bytes} were staged`, { retryable: true })
  }

  return {
    access(path, file) {
      if (file.bytes > maxBytes)
        throw new ConfigError(
          `the staged file ${file.name} has ${file.bytes} bytes, more than the spool may hold (${maxBytes}): raise spool.maxBytes`,
        )
      return {
        byteLength: file.bytes,
        async read(start, end) {
          const taken = await take(path, file)
          let failed = true
          try {
            await taken.ready
            const bytes = await readRange(join(taken.path, baseName(path)), start, end)
            failed = false
            return bytes
          } finally {
            giveBack(path, taken, failed)
          }
        },
      }
    },
    async forget(directory) {
      for (const [path, file] of spooled) if (path.startsWith(directory)) await remove(path, file)
    },
  }
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start)
  let handle: FileHandle | undefined
  try {
    handle = await open(path)
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return bytes
  } finally {
    await handle?.close()
  }
}

function baseName(path: string): string {
  return path.split('/').at(-1)!
}

async function withDeadline<T>(work: Promise<T>, late: Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), DOWNLOAD_MS)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}

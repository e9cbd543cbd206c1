/**
 * Files of JSON lines in a local directory: one per unit of work, complete or not there at all.
 *
 * A unit is written to a hidden temporary in the same directory; `commit` brings it to disk and renames it:
 *
 *     <job id>-<first 8 characters of the destination's uid>-<unit, 6 digits>.jsonl
 *
 * The uid keeps two destinations of one job apart that share a directory. A redelivery adds `-d<number>` before the
 * unit. A unit that went on after a pause continues in a file of its own, `..._<first row, 10 digits>.jsonl`: named by
 * where it starts, so that a part written again after a crash replaces itself and no row appears twice. Names in order
 * are rows in order.
 */
import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { filePrefix } from './file/names.ts'
import { readFilesBack } from './file/read-back.ts'
import { type Checkpoint, DeliveryError, type Sink, type SinkSession, type Unit } from './sink.ts'

export interface FileSinkOptions {
  /** What requests call it: `{ "type": "file", "name": name }`. */
  readonly name: string
  /** Made if it is missing. Relative to the working directory at the time of the call. */
  readonly dir: string
}

/**
 * Exactly once per row, also after a crash. A unit without rows leaves no file, so that every file that matches
 * `*.jsonl` holds data. A full disk is retried like any destination that is away for a while.
 */
export function fileSink(options: FileSinkOptions): Sink {
  const dir = resolve(options.dir)
  return {
    type: 'file',
    name: options.name,
    async open({ probe }) {
      await requireWritable(dir)
      if (!probe) await attempt(`make the directory ${dir}`, () => makeDirectory(dir))
      return fileSession(dir)
    },
    readBack: (job, signal) => readFilesBack(dir, job, signal),
  }
}

/** What is written between two commits of a unit. */
interface Part {
  readonly temporary: string
  readonly final: string
  handle: FileHandle | undefined
  bytes: number
  readonly watermarks: ReadonlyMap<number, number>
}

function fileSession(dir: string): SinkSession {
  const parts = new Map<string, Part>()

  return {
    encoding: { kind: 'ndjson' },
    asks: { sharedMemory: true },
    limits: { inFlight: 1 },

    async begin(unit) {
      await removeStale(dir, unit)
      const part = newPart(dir, unit, watermarksOf(unit.from))
      await attempt(`write to ${dir}`, () => openPart(part))
      parts.set(unit.id, part)
      return undefined
    },

    async write(batch, signal) {
      signal.throwIfAborted()
      const part = begun(parts, batch.unit)
      // always retryable: the other kind would refuse these rows, and no row is at fault
      await attempt(
        `write to ${part.temporary}`,
        async () => writeAt(await openPart(part), batch.bytes, part.bytes),
        true,
      )
      part.bytes += batch.bytes.length
    },

    async commit(unit, upTo) {
      const part = begun(parts, unit.id)
      // before anything can fail: after a failed fsync a second one may succeed without the data
      parts.delete(unit.id)
      if (part.bytes > 0) await publish(dir, part)
      else await discard(part)
      parts.set(unit.id, newPart(dir, unit, watermarksOf(upTo, part.watermarks)))
    },

    async abort(unit) {
      const part = parts.get(unit.id)
      parts.delete(unit.id)
      if (part !== undefined) await discard(part)
    },

    async close() {
      const left = [...parts.values()]
      parts.clear()
      for (const part of left) await discard(part)
    },
  }
}

function begun(parts: ReadonlyMap<string, Part>, unit: string): Part {
  const part = parts.get(unit)
  if (part === undefined) throw new DeliveryError(`unit ${unit} has not begun, or its commit failed`)
  return part
}

function newPart(dir: string, unit: Unit, watermarks: ReadonlyMap<number, number>): Part {
  const base = baseName(unit)
  const row = [...watermarks.values()].reduce((sum, watermark) => sum + watermark, 0)
  const suffix = row === 0 ? '' : `_${String(row).padStart(10, '0')}`
  return {
    temporary: join(dir, `.${base}.${unit.leaseEpoch}-${unit.attempt}.tmp`),
    final: join(dir, `${base}${suffix}.jsonl`),
    handle: undefined,
    bytes: 0,
    watermarks,
  }
}

function baseName(unit: Unit): string {
  const number = unit.id.slice(unit.id.lastIndexOf('/') + 1).padStart(6, '0')
  return filePrefix(unit) + number.replaceAll(/\W/g, '_')
}

function watermarksOf(checkpoints: readonly Checkpoint[], earlier?: ReadonlyMap<number, number>): Map<number, number> {
  const watermarks = new Map(earlier)
  for (const { chunk, row } of checkpoints) watermarks.set(chunk, row)
  return watermarks
}

/**
 * Removes what earlier attempts at the unit left behind, also to fence off an owner that was taken for dead: without its
 * temporary it cannot rename anything over ours. Newer attempts keep theirs.
 */
async function removeStale(dir: string, unit: Unit): Promise<void> {
  const prefix = `.${baseName(unit)}.`
  await attempt(`clean up in ${dir}`, async () => {
    for (const name of await readdir(dir)) {
      if (!name.startsWith(prefix)) continue
      const [, epoch, number] = /^(\d+)-(\d+)\.tmp$/.exec(name.slice(prefix.length)) ?? []
      if (epoch === undefined) continue
      const age = Number(epoch) - unit.leaseEpoch || Number(number) - unit.attempt
      if (age <= 0) await rm(join(dir, name), { force: true })
    }
  })
}

/** `begin` opens the first part, so that what is wrong with the directory shows there; `write` opens those behind a commit. */
async function openPart(part: Part): Promise<FileHandle> {
  part.handle ??= await open(part.temporary, 'w')
  return part.handle
}

/** By position, not appended: a retry must overwrite what a failed write left behind. */
async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

async function publish(dir: string, part: Part): Promise<void> {
  try {
    await attempt(`complete ${part.final}`, async () => {
      const handle = await openPart(part)
      await handle.truncate(part.bytes)
      await handle.sync()
      await handle.close()
      await rename(part.temporary, part.final)
      await syncDirectory(dir)
    })
  } catch (error) {
    await discard(part).catch(() => {}) // the first error is the one to tell
    throw error
  }
}

/** A rename is durable once its directory is. */
async function syncDirectory(dir: string): Promise<void> {
  if (process.platform === 'win32') return // directories cannot be opened there
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function discard(part: Part): Promise<void> {
  if (part.handle === undefined) return
  await attempt(`remove ${part.temporary}`, async () => {
    await part.handle?.close()
    await rm(part.temporary, { force: true })
  })
}

/** The directory, or the nearest one above it that exists, takes new files. */
async function requireWritable(dir: string): Promise<void> {
  let existing = dir
  while (!(await exists(existing)) && dirname(existing) !== existing) existing = dirname(existing)
  await attempt(`use the directory ${dir}`, async () => {
    if (!(await stat(existing)).isDirectory())
      throw Object.assign(new Error(`${existing} is a file`), { code: 'ENOTDIR' })
    await access(existing, constants.W_OK | constants.X_OK)
  })
}

/** Not with `recursive`: that loops for ever where a file system answers ENOENT to every `mkdir`, as /proc does. */
async function makeDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || (await exists(dirname(dir)))) throw error
    await makeDirectory(dirname(dir))
    await makeDirectory(dir)
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  )
}

/** What no waiting mends. All else, a full disk above all, may pass. */
const MISCONFIGURED = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG'])

async function attempt<T>(what: string, run: () => Promise<T>, retryable?: boolean): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new DeliveryError(`cannot ${what}: ${message}`, {
      cause,
      code: code !== undefined && MISCONFIGURED.has(code) ? 'destination_misconfigured' : 'destination_unavailable',
      ...(retryable === undefined ? {} : { retryable }),
    })
  }
}

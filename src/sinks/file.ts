/**
 * Files of JSON lines in a local directory: one per unit of work, complete or not there at all; or several, cut by size.
 *
 * A unit is written to a hidden temporary in the same directory; `commit` brings it to disk and renames it:
 *
 *     <job id>-<first 8 characters of the destination's uid>-<unit, 6 digits>.jsonl
 *
 * The uid keeps two destinations of one job apart that share a directory. A redelivery adds `-d<number>` before the
 * unit. A unit that went on after a pause continues in a file of its own, `..._<first row, 10 digits>.jsonl`: named by
 * where it starts, so that a part written again after a crash replaces itself and no row appears twice. Files that are cut by size
 * have their number, `.<5 digits>`, before `.jsonl`. Names in order are rows in order.
 */
import { constants } from 'node:fs'
import { access, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { attempt } from './file/errors.ts'
import { baseName } from './file/names.ts'
import { Part, watermarksOf } from './file/part.ts'
import { readFilesBack } from './file/read-back.ts'
import { type FileSettings, type FileSinkOptions, readOptions } from './file/settings.ts'
import { DeliveryError, type Sink, type SinkSession, type Unit } from './sink.ts'

/**
 * Exactly once per row, also after a crash. A unit without rows leaves no file, so that every file that matches
 * `*.jsonl*` holds data. A full disk is retried like any destination that is away for a while. Throws a `ConfigError` that
 * lists every problem of the options.
 */
export function fileSink(options: FileSinkOptions): Sink {
  const settings = readOptions(options)
  const { dir } = settings
  return {
    type: 'file',
    name: settings.name,
    async open({ probe }) {
      await requireWritable(dir)
      if (!probe) await attempt(`make the directory ${dir}`, () => makeDirectory(dir))
      return fileSession(settings)
    },
    readBack: (job, signal) => readFilesBack(dir, job, signal),
  }
}

function fileSession(settings: FileSettings): SinkSession {
  const parts = new Map<string, Part>()

  return {
    encoding: { kind: 'ndjson' },
    asks: { sharedMemory: true },
    limits: { inFlight: 1 },

    async begin(unit) {
      await removeStale(settings.dir, unit)
      const part = new Part(settings, unit, watermarksOf(unit.from))
      await part.open()
      parts.set(unit.id, part)
      return undefined
    },

    async write(batch, signal) {
      signal.throwIfAborted()
      await begun(parts, batch.unit).write(batch)
    },

    async commit(unit, upTo) {
      const part = begun(parts, unit.id)
      // before anything can fail: after a failed fsync a second one may succeed without the data
      parts.delete(unit.id)
      await part.publish()
      parts.set(unit.id, new Part(settings, unit, watermarksOf(upTo, part.watermarks)))
    },

    async abort(unit) {
      const part = parts.get(unit.id)
      parts.delete(unit.id)
      await part?.discard()
    },

    async close() {
      const left = [...parts.values()]
      parts.clear()
      for (const part of left) await part.discard()
    },
  }
}

function begun(parts: ReadonlyMap<string, Part>, unit: string): Part {
  const part = parts.get(unit)
  if (part === undefined) throw new DeliveryError(`unit ${unit} has not begun, or its commit failed`)
  return part
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
      const [, epoch, number] = /^(\d+)-(\d+)(?:\.\d+)?\.tmp$/.exec(name.slice(prefix.length)) ?? []
      if (epoch === undefined) continue
      const age = Number(epoch) - unit.leaseEpoch || Number(number) - unit.attempt
      if (age <= 0) await rm(join(dir, name), { force: true })
    }
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

export type { FileSinkOptions } from './file/settings.ts'

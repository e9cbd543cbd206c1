/** Files of this machine's file system. */
import type { BigIntStats } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { matchesGlob, resolve } from 'node:path'
import pLimit from 'p-limit'
import { SourceError } from '../../core/errors.ts'
import { changed, type FoundFile, gone, isHidden, literalFolder, type Storage } from './storage.ts'

/** A path, or a glob as Node has them (`**` for folders of any depth, `{a,b}`, `[0-9]`), from the working directory. */
export const localStorage: Storage = {
  owns({ pattern }, name) {
    const path = resolve(pattern)
    return name === path || (matchesGlob(name, path) && !isHidden(name.slice(literalFolder(path).length)))
  },

  async list({ pattern }, signal) {
    const path = resolve(pattern)
    // a file may have a name that would be a glob
    const single = await statFile(path)
    if (single) return [foundFile(path, single)]
    const paths: string[] = []
    const folder = literalFolder(path)
    try {
      for await (const found of glob(path)) {
        signal.throwIfAborted()
        if (!isHidden(found.slice(folder.length))) paths.push(found)
      }
    } catch (error) {
      signal.throwIfAborted()
      throw unlisted(pattern, error)
    }
    const limit = pLimit(STATS_AT_ONCE)
    const stats = await limit.map(paths, statFile)
    signal.throwIfAborted()
    return stats.flatMap((found, index) => (found ? [foundFile(paths[index]!, found)] : []))
  },

  async access(_place, { name, bytes, fingerprint }) {
    const found = await statFile(name)
    if (!found) throw gone(name)
    const now = foundFile(name, found)
    if (now.bytes !== bytes || now.fingerprint !== fingerprint) throw changed(name)
    return { path: name }
  },
}

/** The process has four threads for all of its file calls. */
const STATS_AT_ONCE = 64

/** Undefined where there is no file. */
async function statFile(path: string): Promise<BigIntStats | undefined> {
  try {
    const found = await stat(path, { bigint: true })
    return found.isFile() ? found : undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined
    throw unlisted(path, error)
  }
}

function foundFile(name: string, { size, mtimeNs }: BigIntStats): FoundFile {
  return { name, bytes: Number(size), fingerprint: String(mtimeNs) }
}

function unlisted(path: string, cause: unknown): SourceError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause)
  return new SourceError(`${JSON.stringify(path)} cannot be looked up (${code})`, { retryable: false, cause })
}

/**
 * Where DuckDB puts what does not fit into memory. It numbers its files there and takes them for its own, so that two
 * processes must not share a directory; it removes the directory when it closes, but not when it is killed.
 */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

const PREFIX = `.spill-${hostname()}-`

let count = 0
const inUse = new Set<string>()

export interface SpillDirectory {
  readonly path: string
  /** Call when the database is closed. */
  free(): void
}

/** Makes room in `parent` for one database, and removes what killed processes of this machine left there. */
export async function spillDirectory(parent: string): Promise<SpillDirectory> {
  await mkdir(parent, { recursive: true })
  for (const name of await readdir(parent)) {
    if (isLeft(name)) await rm(join(parent, name), { recursive: true, force: true })
  }
  const name = `${PREFIX}${process.pid}-${count++}`
  inUse.add(name)
  return { path: join(parent, name), free: () => void inUse.delete(name) }
}

function isLeft(name: string): boolean {
  if (!name.startsWith(PREFIX) || inUse.has(name)) return false
  const pid = Number.parseInt(name.slice(PREFIX.length), 10)
  // a process of the same number came before this one: usual in containers
  return pid === process.pid || !isAlive(pid)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

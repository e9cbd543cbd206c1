import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasCommand, run } from './process.ts'

const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))

/**
 * The path of a program, installed into `.cache/<folder>` if this is the first time; undefined where there is no Go, or no way to its
 * module proxy. `module`: with its version.
 */
export async function goProgram(folder: string, name: string, module: string): Promise<string | undefined> {
  const program = join(CACHE, folder, name)
  const there = await access(program).then(
    () => true,
    () => false,
  )
  if (there) return program
  if (!(await hasCommand('go', 'version'))) return undefined
  return run('go', ['install', module], { env: { ...process.env, GOBIN: join(CACHE, folder) } }).then(
    () => program,
    () => undefined,
  )
}

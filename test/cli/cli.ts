import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The command line in a process of its own. */
export interface Running extends Promise<Result> {
  readonly process: ChildProcess
}

interface Surroundings {
  readonly cwd: string
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
}

export function millrace(args: readonly string[], { cwd, stdin = '', env = {} }: Surroundings): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
  child.stdin.end(stdin)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const result = Promise.all([ended, text(child.stdout), text(child.stderr)]).then(([code, stdout, stderr]) => ({
    code,
    stdout,
    stderr,
  }))
  return Object.assign(result, { process: child })
}

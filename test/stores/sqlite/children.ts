import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Child {
  readonly process: ChildProcess
  /** What it said, line by line, ending with the process. */
  readonly lines: AsyncIterable<unknown>
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

export function startChild(command: string, path: string, options: SpawnOptions = {}): Child {
  const script = fileURLToPath(new URL('./child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, command, path], { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = new Promise<Awaited<Child['exit']>>(resolve =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  )
  return { process: child, exit, lines: parsed(createInterface({ input: child.stdout! })) }
}

/** To its end: the exit code and all that it said. */
export async function runChild(command: string, path: string, options?: SpawnOptions) {
  const child = startChild(command, path, options)
  const said: unknown[] = []
  for await (const line of child.lines) said.push(line)
  return { ...(await child.exit), said }
}

async function* parsed(lines: AsyncIterable<string>): AsyncGenerator<unknown> {
  // a killed process may leave half a line
  for await (const line of lines) if (/[}"]$/.test(line)) yield JSON.parse(line)
}

import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const KEEPER = fileURLToPath(new URL('keeper.ts', import.meta.url))
const LOG_TAIL = 4_000

export const run = promisify(execFile)

export interface ServerProcess {
  /** Kills the server by its own process id and removes its directory. */
  stop(): Promise<void>
}

export interface ServerCommand {
  /** Its working directory, made by {@link workDirectory}. */
  readonly dir: string
  readonly command: string
  readonly args: readonly string[]
  /** Asks the server whether it is ready; rejects while it is not. */
  ready(): Promise<unknown>
  readonly timeoutMs: number
}

/** Starts a server under a keeper and resolves when it is ready; else rejects with the end of its log. */
export async function startServer(server: ServerCommand): Promise<ServerProcess> {
  const { dir, command, args, timeoutMs } = server
  const keeper = spawn(process.execPath, [KEEPER, dir, command, ...args], { stdio: ['pipe', 'ignore', 'inherit'] })
  const exited = new Promise<void>(resolve => keeper.once('exit', () => resolve()))
  keeper.stdin.on('error', () => {}) // it is gone; `exited` tells
  const stop = async (): Promise<void> => {
    keeper.stdin.end()
    await exited
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await untilReady(server, () => keeper.exitCode !== null)
    return { stop }
  } catch (cause) {
    const log = await readFile(join(dir, 'server.log'), 'utf8').catch(() => '')
    await stop()
    throw new Error(`${command} was not ready within ${timeoutMs / 1000} s: ${cause}\n${log.slice(-LOG_TAIL)}`, {
      cause,
    })
  }
}

async function untilReady(server: ServerCommand, gone: () => boolean): Promise<void> {
  const deadline = performance.now() + server.timeoutMs
  for (;;) {
    try {
      await server.ready()
      return
    } catch (error) {
      if (gone()) throw new Error('it ended')
      if (performance.now() > deadline) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

export function workDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `millrace-${name}-`))
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const holders = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    holders.map(
      holder =>
        new Promise<number>((resolve, reject) => {
          holder.once('error', reject)
          holder.listen(0, '127.0.0.1', () => resolve((holder.address() as AddressInfo).port))
        }),
    ),
  )
  await Promise.all(holders.map(holder => new Promise(resolve => holder.close(resolve))))
  return ports
}

export async function hasCommand(command: string, ...args: string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  )
}

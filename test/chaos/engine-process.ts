/** The driver's end of an engine process. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Command, EngineSettings, Said } from './engine-settings.ts'

const PROGRAM = fileURLToPath(new URL('./engine-program.ts', import.meta.url))

export type Final = Extract<Said, { readonly event: 'final' }>

export interface EngineProcess {
  readonly pid: number
  readonly alive: boolean
  /** It ended with an error of its own. */
  readonly fellOver: boolean
  /** Its exit code, or the signal that ended it. */
  readonly ending: string
  /** Whether it may do so: where what it needs is broken. */
  mayFail: boolean
  readonly said: readonly Said[]
  /** The epoch under which it took the job, as far as it knows; undefined where it has given the job up. */
  readonly epoch: number | undefined
  /** Resolves when it knows that it has lost what it owned under the epoch, or is gone. */
  lost(epoch: number): Promise<unknown>
  /** What it wrote to standard error. */
  readonly stderr: string
  /** Resolves when the process is gone. */
  readonly exit: Promise<void>
  /** The first that fits of what it says, also of what it said before; undefined if it is gone without. */
  hear<E extends Said['event']>(event: E): Promise<Extract<Said, { readonly event: E }> | undefined>
  /** Resolves when the job has ended and it was not told to make it go on, or the process is gone. */
  halted(): Promise<void>
  /** How the job ended, if it did and was not told to go on since. */
  readonly outcome: Final | undefined
  send(command: Command): void
  /** SIGKILL. Whether it was that which ended the process. */
  kill(): Promise<boolean>
  /** SIGSTOP. */
  stop(): void
  /** SIGCONT. */
  wake(): void
}

/** `env`: beside the environment of this process. */
export function startEngine(settings: EngineSettings, env: Readonly<Record<string, string>> = {}): EngineProcess {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], { env: { ...process.env, ...env } })
  const said: Said[] = []
  let stderr = ''
  let alive = true
  let resumed = 0
  let told = Promise.withResolvers<void>()
  const change = (): void => {
    told.resolve()
    told = Promise.withResolvers()
  }
  child.stderr.on('data', data => {
    stderr += data
  })
  child.stdin.on('error', () => {}) // it is gone; `exit` tells
  createInterface({ input: child.stdout }).on('line', line => {
    // a killed process may leave half a line
    if (!line.endsWith('}')) return
    said.push(JSON.parse(line) as Said)
    change()
  })
  const exit = new Promise<void>(resolve =>
    child.on('close', () => {
      alive = false
      change()
      resolve()
    }),
  )

  const saidFinal = (): readonly Final[] => said.filter(line => line.event === 'final')

  async function heard(find: () => Said | undefined): Promise<Said | undefined> {
    for (;;) {
      const found = find()
      if (found || !alive) return found
      await told.promise
    }
  }

  return {
    pid: child.pid!,
    get alive() {
      return alive
    },
    get stderr() {
      return stderr
    },
    get fellOver() {
      return !alive && !this.mayFail && child.exitCode !== 0 && child.signalCode !== 'SIGKILL'
    },
    get ending() {
      return alive ? 'alive' : `ended with ${child.exitCode ?? child.signalCode}`
    },
    mayFail: false,
    said,
    exit,
    hear: event => heard(() => said.find(line => line.event === event)) as Promise<never>,
    get epoch() {
      const last = said.findLast(({ event }) => event === 'claimed' || event === 'lost' || event === 'released')
      return last?.event === 'claimed' ? last.epoch : undefined
    },
    lost: epoch => heard(() => said.find(line => line.event === 'lost' && line.epoch === epoch)),
    async halted() {
      await heard(() => saidFinal()[resumed])
    },
    get outcome() {
      return saidFinal()[resumed]
    },
    send(command) {
      if (command === 'retry' || command === 'redeliver') resumed = saidFinal().length
      child.stdin.write(`${command}\n`)
    },
    async kill() {
      if (alive) child.kill('SIGKILL')
      await exit
      return child.signalCode === 'SIGKILL'
    },
    stop: () => void child.kill('SIGSTOP'),
    wake: () => void child.kill('SIGCONT'),
  }
}

/** The life of one job under attack, from its creation to its end. */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Read } from './checker.ts'
import { type EngineProcess, type Final, startEngine } from './engine-process.ts'
import type { EngineSettings } from './engine-settings.ts'
import { patiently } from './patience.ts'
import type { Random } from './random.ts'
import { FIRST_SECOND, TABLE_ROWS } from './table.ts'
import type { World } from './world.ts'

/** Far more than anything here takes: what takes longer hangs. */
const LIMIT_MS = 180_000
const MOST_RETRIES = 20
/** About what a job takes that nobody disturbs, once it is claimed. */
const LIFE_MS = 500

export class Round {
  readonly world: World
  readonly random: Random
  readonly settings: EngineSettings
  readonly dir: string
  readonly faults: string[] = []
  kills = 0
  /** The first delivery is through, and the second is wanted. */
  redelivering = false
  /** Another delivery of the same files follows the first. */
  readonly redelivers: boolean
  readonly #engines: EngineProcess[] = []
  readonly #mending: (() => Promise<unknown>)[] = []
  #current: EngineProcess | undefined
  #retries = 0

  constructor(world: World, random: Random, dir: string, topic: string) {
    this.world = world
    this.random = random
    this.dir = dir
    this.redelivers = random.chance(0.2)
    this.settings = drawSettings(world, random, { dir, topic, keepsFiles: this.redelivers })
  }

  static async begin(world: World, random: Random, number: number): Promise<Round> {
    const dir = join(world.dir, `round-${number}`)
    await mkdir(join(dir, 'store'), { recursive: true })
    const partitions = random.between(1, 5)
    return new Round(world, random, dir, await patiently(() => world.topics.create({ partitions })))
  }

  /** The engine at work: the last one, if it lives, else a new one. */
  running(): EngineProcess {
    if (this.#current?.alive) return this.#current
    this.checkDead()
    return this.start()
  }

  /** Whether the job has ended and stays so, as far as the engine at work has told. A failed one is retried: what made it fail has passed. */
  hasEnded(): boolean {
    const outcome = this.#current?.alive ? this.#current.outcome : undefined
    return outcome !== undefined && !this.#goesOn(outcome)
  }

  #goesOn({ status, delivered, error }: Final): boolean {
    if (status === 'failed') {
      if (this.#retries++ === MOST_RETRIES) throw new Error(`the job failed ${MOST_RETRIES} times, with ${error}`)
      this.#current?.send('retry')
      return true
    }
    if (status === 'cancelled' || !this.redelivering || 'again' in delivered) return false
    if (this.#retries++ === MOST_RETRIES) throw new Error(`the job was not delivered once more: ${this.story()}`)
    this.#current?.send('redeliver')
    return true
  }

  /** One more, whoever else is there. */
  start(env?: Readonly<Record<string, string>>): EngineProcess {
    // compiled code is kept, so that engines begin to work sooner
    const engine = startEngine(this.settings, { NODE_COMPILE_CACHE: join(this.world.dir, 'compiled'), ...env })
    this.#engines.push(engine)
    this.#current = engine
    return engine
  }

  /** Makes one of several the engine at work. */
  prefer(engine: EngineProcess): void {
    this.#current = engine
  }

  /** Counts where there was something left to do. */
  async kill(engine: EngineProcess): Promise<void> {
    const idle = engine.outcome !== undefined
    if (engine.alive && (await engine.kill()) && !idle) this.kills++
  }

  async killAll(): Promise<void> {
    for (const engine of this.#engines) await this.kill(engine)
  }

  /** Some time in what the engine does: while it starts, waits for the lease of the one before, stages, delivers, stores a checkpoint, ends. */
  async instant(engine: EngineProcess): Promise<void> {
    const from = this.random.pick(['ready', 'claimed', 'delivering', 'sending', 'sending'] as const)
    do await this.within(Promise.race([engine.hear(from), engine.halted()]), `the engine to be ${from}`)
    while (engine.alive && engine.outcome && !this.hasEnded())
    await this.pause(engine, LIFE_MS)
  }

  /** At random, up to `mostMs`; no longer than until the engine is gone or the job has ended. */
  async pause(engine: EngineProcess, mostMs: number): Promise<void> {
    const over = Promise.withResolvers<void>()
    const timer = setTimeout(over.resolve, this.random.between(0, mostMs))
    await Promise.race([over.promise, engine.halted()])
    clearTimeout(timer)
  }

  /** Has the engine, or one after it, bring the job to its end. */
  async finish(): Promise<Final> {
    for (;;) {
      const engine = this.running()
      await this.within(engine.halted(), 'the job to end')
      if (engine.outcome && this.hasEnded()) return engine.outcome
    }
  }

  /** Nothing that was staged is left behind, unless it is to be kept. Then the engine is asked to leave. */
  async close({ status }: Final): Promise<void> {
    const engine = this.running()
    if (this.settings.keepCompletedMs === 0 || status === 'cancelled')
      await this.within(this.#filesGone(), 'the staged files to be removed')
    engine.send('close')
    await this.within(engine.exit, 'the engine to leave')
    this.checkDead()
  }

  async #filesGone(): Promise<void> {
    while ((await readdir(this.settings.stagingDir).catch(() => [])).length > 0)
      await new Promise(resolve => setTimeout(resolve, 50))
  }

  /** To be undone when the round has ended, whatever happens. */
  onEnd(mend: () => Promise<unknown>): void {
    this.#mending.push(mend)
  }

  async end(): Promise<void> {
    for (const engine of this.#engines) await engine.kill()
    for (const mend of this.#mending.reverse()) await mend()
  }

  /** Rejects after far more time than it can take. */
  async within<T>(work: Promise<T>, what: string): Promise<T> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new Error(`waited ${LIMIT_MS / 1_000} s for ${what}: ${this.story()}`)),
      LIMIT_MS,
    )
    try {
      return await Promise.race([work, late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** An engine that ended by itself may have done so only where the fault at hand makes it. */
  checkDead(): void {
    const crashed = this.#engines.find(engine => !engine.alive && engine.fellOver)
    if (crashed) throw new Error(`an engine ended by itself: ${this.story()}`)
  }

  /** How often owners of the job came after one another, and could each send again what the one before had not settled. */
  get handovers(): number {
    const claims = this.#engines.flatMap(({ said }) => said.filter(({ event }) => event === 'claimed'))
    return Math.max(0, claims.length - 1)
  }

  /** Where to look for the rows, and how many may be there twice. */
  get destinations(): readonly (Read & { readonly name: string; readonly window: number })[] {
    const { kafka, files, again, maxUnsettledRows } = this.settings
    const read = { brokers: this.world.broker.brokers, topic: kafka.topic, keyed: kafka.keyed }
    return [
      { type: 'kafka', name: 'topic', ...read, window: maxUnsettledRows * this.handovers },
      // a part that is written again takes the place of the first
      { type: 'file', name: 'files', dir: files, window: 0 },
      ...(this.redelivers ? [{ type: 'file', name: 'again', dir: again, window: 0 } as const] : []),
    ]
  }

  /** What the engines said last, for whoever looks into a failure. */
  story(): string {
    const lines = this.#engines
      .slice(-4)
      .flatMap(({ said, stderr, ending }) => [
        ...said.slice(-10).map(line => JSON.stringify(line)),
        stderr.slice(-2_000),
        ending,
      ])
    return `\n${[...this.faults, ...lines].filter(line => line !== '').join('\n')}`
  }
}

interface Places {
  readonly dir: string
  readonly topic: string
  readonly keepsFiles: boolean
}

function drawSettings(world: World, random: Random, { dir, topic, keepsFiles }: Places): EngineSettings {
  const rows = random.between(30_000, 90_000)
  const first = FIRST_SECOND + random.between(0, TABLE_ROWS - rows)
  const unitsInFlight = random.between(1, 4)
  return {
    database: world.database,
    stagingDir: join(dir, 'staging'),
    store: join(dir, 'store', `${randomUUID()}.sqlite`),
    window: { start: isoOf(first), end: isoOf(first + rows) },
    kafka: {
      brokers: world.way,
      topic,
      keyed: random.chance(0.5),
      compression: random.pick(['none', 'none', 'gzip', 'zstd']),
      // slowly, so that there is time to be killed in
      ...random.pick([{}, { rowsPerSecond: 20_000 }, { rowsPerSecond: 40_000 }]),
    },
    files: join(dir, 'files'),
    again: join(dir, 'again'),
    // longer than any step of the clock, by which it is judged
    keepCompletedMs: keepsFiles ? 1_000_000_000 : 0,
    // spans end with their row group, so that there are many
    rowGroupRows: 2_048,
    stagedFileBytes: random.pick([200_000, 1_000_000, 4_000_000]),
    maxUnsettledRows: 8_192 * unitsInFlight * random.pick([1, 1, 2]),
    unitsInFlight,
    checkpointMs: random.pick([10, 50, 200]),
    leaseMs: 200,
  }
}

function isoOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString()
}

/**
 * One unit's whole life in a simulated world: a table, a destination and a store that outlive crashes, and attempts that
 * do not. Everything random comes from the seed. What must hold at every instant is checked as it happens, and noted in `faults`.
 */
import { rowChecksum } from '../../src/columnar/checksum.ts'
import { openRows } from '../../src/columnar/reframe.ts'
import { MemoryBudget, type Share } from '../../src/core/budget.ts'
import { Circuit } from '../../src/core/circuit.ts'
import { deliverUnit } from '../../src/core/deliver.ts'
import { Pacer } from '../../src/core/pace.ts'
import type { Checkpoint, DeadLetter, Order, Proof, ReportAnswer, Unit, UnitReport } from '../../src/core/unit.ts'
import type { Pace } from '../../src/stores/store.ts'
import { fakeUnit } from './fake-batch.ts'
import { type DestinationOptions, SimulatedDestination } from './simulated-destination.ts'
import { type ReaderBehaviour, SimulatedTable, type TableOptions, type TableRow } from './simulated-table.ts'
import { type Random, SimulatedTime, seeded } from './simulated-time.ts'

export interface World extends TableOptions {
  readonly destination?: DestinationOptions
  readonly limits?: Partial<Unit['limits']>
  readonly order?: Order
  /** For batches. Default: no end of it. */
  readonly memoryBytes?: number
  /** Most time until a report is durable, and again until it is answered. Default 5 ms. */
  readonly reportMs?: number
  readonly pace?: Pace
}

/** Far more than any of the tests needs: an attempt that takes more goes round in circles. */
const MOST_STEPS = 20_000

export class SimulatedDelivery {
  readonly time: SimulatedTime
  readonly random: Random
  readonly table: SimulatedTable
  readonly destination: SimulatedDestination
  readonly checkpoints = new Map<number, Checkpoint>()
  readonly deadLetters = new Map<string, DeadLetter>()
  readonly proof: Proof[number][] = []
  readonly reports: UnitReport[] = []
  readonly circuit: string[] = []
  /** Most rows ever read but not covered by a stored checkpoint (with commits: not written). */
  mostUnsettled = 0
  attempts = 0
  /** Of the attempts that are started from now on. */
  reader: ReaderBehaviour = {}
  /** What the report with this number (from 0) fails with, or it and all after it are answered with. */
  answers: { readonly report: number; readonly stop?: 'drain' | 'cancel'; readonly error?: Error } | undefined
  /** Reports with news that were made while the destination was writing. */
  reportsBeside = 0
  stoppedAt = Number.POSITIVE_INFINITY
  unit: Unit = fakeUnit()
  memory = new MemoryBudget(0)
  signal = new AbortController()

  readonly #world: World
  readonly #faults: string[] = []
  readonly #proven = new Set<string>()
  #provenBy = 0
  #reporting = false
  #reportedAt = 0
  #storedAtStart = 0
  #reader: ReturnType<SimulatedTable['read']> | undefined

  /** `time`: that of another delivery, to go on beside it. */
  constructor(seed: number, world: World, time?: SimulatedTime) {
    this.random = seeded(seed)
    this.time = time ?? new SimulatedTime(this.random)
    this.table = new SimulatedTable(world, this.random)
    const ordered = (world.order ?? 'none') !== 'none'
    this.destination = new SimulatedDestination(world.destination ?? {}, this.table, this.time, this.random, ordered)
    this.#world = world
  }

  get faults(): readonly string[] {
    return [...this.#faults, ...this.destination.faults]
  }

  get rowsRead(): number {
    return this.#reader?.read ?? 0
  }

  /** Batches whose memory the last attempt gave back to its reader. */
  get released(): number {
    return this.#reader?.released ?? 0
  }

  get readerClosed(): boolean {
    return this.#reader?.closed ?? false
  }

  /** A new attempt, from what is stored; `aborted` before it begins, if that is said. `memory`: which others share as well. */
  start(aborted?: Error, memory?: Share): Promise<'done' | 'stopped'> {
    const { spanRows, order = 'none', limits = {} } = this.#world
    const from = [...this.checkpoints.values()]
    this.signal = new AbortController()
    if (aborted) this.signal.abort(aborted)
    this.#reportedAt = this.time.now
    this.#reporting = false
    this.#storedAtStart = this.#stored()
    this.unit = fakeUnit({
      attempt: ++this.attempts,
      chunks: this.table.chunks.map((_, chunk) => ({ chunk, file: { name: `${chunk}.parquet`, bytes: 1 } })),
      from,
      spanRows,
      order,
      limits: { maxUnsettledRows: 4 * spanRows, checkpointMs: 100, ...limits },
    })
    const session = this.destination.open(from)
    const read = (plan: Parameters<SimulatedTable['read']>[0]) => {
      this.#reader = this.table.read(plan, this.time, this.reader)
      return this.#watched(this.#reader)
    }
    const { attempt } = this.unit
    const report = (news: UnitReport) => this.#report(news, attempt)
    this.memory = new MemoryBudget(this.#world.memoryBytes ?? Number.POSITIVE_INFINITY)
    const { credit } = memory ?? this.memory.share()
    const pacer = new Pacer(this.#world.pace)
    const gate = pacer.gate.bind(pacer)
    const circuit = session.retries === 'own' ? {} : { circuit: new Circuit(({ event }) => this.circuit.push(event)) }
    const tools = { session, read, openRows, report, credit, gate, ...circuit }
    return deliverUnit(this.unit, tools, this.signal.signal)
  }

  /** Starts again and again, with that many crashes at random instants, until the unit is done. Checks each attempt and the end. */
  async live(crashes: number): Promise<void> {
    for (let left = crashes; ; left--) {
      const before = this.destination.repeats
      const steps = left > 0 ? this.time.steps + Math.floor(this.random() * 50) : Number.POSITIVE_INFINITY
      const result = await this.time.run(this.start(), MOST_STEPS, () => this.time.steps >= steps)
      this.#checkRepeats(this.destination.repeats - before)
      if (result !== undefined) break
      this.time.forget()
    }
    this.checkEnd()
  }

  /** At most the window is sent twice per crash; of a transaction, only what was committed but not reported. */
  #checkRepeats(repeats: number): void {
    const { commits } = this.#world.destination ?? {}
    const committed = commits === 'plain' ? this.destination.largestCommit : 0
    const most = this.attempts === 1 ? 0 : commits ? committed : this.#window
    if (repeats > most) this.#fault(`${repeats} rows were sent twice by attempt ${this.attempts}`)
  }

  checkEnd(): void {
    this.destination.checkGivenUp()
    this.table.chunks.forEach((rows, chunk) => {
      const stored = this.checkpoints.get(chunk)
      const right = this.table.checkpointAt(chunk, rows.length)
      if (JSON.stringify(stored) !== JSON.stringify(right))
        this.#fault(`the last checkpoint of chunk ${chunk} is wrong`)
    })
    for (const row of this.table.selected.values()) {
      const there = row.poison ? this.deadLetters.has(keyOf(row)) : this.destination.received.has(row)
      if (!there) this.#fault(`row ${row.row} of chunk ${row.chunk} was lost`)
      if (row.poison && this.destination.received.has(row)) this.#fault('a refused row was delivered')
    }
    if (!this.readerClosed) this.#fault('the reading was not closed')
    if (this.memory.held !== 0) this.#fault(`${this.memory.held} bytes of memory were not given back`)
    if (this.time.timers > 0) this.#fault(`${this.time.timers} timers were left behind`)
  }

  get #window(): number {
    return Math.max(this.unit.limits.maxUnsettledRows, this.unit.spanRows)
  }

  /** Rows that the stored checkpoints cover. */
  #stored(): number {
    return [...this.checkpoints.values()].reduce((sum, mark) => sum + mark.delivered + mark.deadLettered, 0)
  }

  #watched(reader: ReturnType<SimulatedTable['read']>): typeof reader {
    const next = reader.next.bind(reader)
    reader.next = async () => {
      const span = await next()
      const settled = this.#world.destination?.commits ? this.destination.written : this.#stored() - this.#storedAtStart
      this.mostUnsettled = Math.max(this.mostUnsettled, reader.read - settled)
      if (reader.read - settled > this.#window) this.#fault(`${reader.read - settled} rows are unsettled`)
      return span
    }
    return reader
  }

  async #report(report: UnitReport, attempt: number): Promise<ReportAnswer> {
    const { reportMs = 5 } = this.#world
    const { answers } = this
    if (this.#reporting) this.#fault('reports overlap')
    if (this.time.now - this.#reportedAt > this.unit.limits.checkpointMs + 2 * reportMs + 1)
      this.#fault(`no report for ${this.time.now - this.#reportedAt} ms`)
    if (JSON.stringify(JSON.parse(JSON.stringify(report))) !== JSON.stringify(report))
      this.#fault('a report is not plain data')
    if (report.checkpoints.length > 0 && this.destination.writing > 0) this.reportsBeside++
    this.#reporting = true
    this.#reportedAt = this.time.now
    const number = this.reports.push(report) - 1
    try {
      await this.time.dawdle(reportMs)
      if (answers?.report === number && answers.error) throw answers.error
      if (attempt !== this.attempts) this.#fault('a report of an earlier attempt')
      const deadLettersRefused = this.#storeDeadLetters(report.deadLetters)
      this.proof.push(...report.proof)
      for (const mark of report.checkpoints) this.#storeCheckpoint(mark)
      await this.time.dawdle(reportMs)
      const stop = answers && number >= answers.report ? answers.stop : undefined
      if (stop) this.stoppedAt = Math.min(this.stoppedAt, this.time.now)
      return { deadLettersRefused, ...(stop ? { stop } : {}) }
    } finally {
      this.#reporting = false
    }
  }

  #storeDeadLetters(deadLetters: readonly DeadLetter[]): number {
    for (const [index, letter] of deadLetters.entries()) {
      const key = keyOf(letter)
      const full = this.deadLetters.size >= this.unit.limits.maxDeadLetters
      if (full && !this.deadLetters.has(key)) return deadLetters.length - index
      this.deadLetters.set(key, letter)
      const row = this.table.chunks[letter.chunk]![letter.row]!
      if (rowChecksum(Buffer.from(letter.payload)) !== row.checksum) this.#fault('a dead letter has another payload')
      if (!row.poison) this.#fault('a good row became a dead letter')
    }
    return 0
  }

  #storeCheckpoint(mark: Checkpoint): void {
    const before = this.checkpoints.get(mark.chunk)
    if (before && mark.row < before.row) this.#fault('a watermark moved back')
    const rows = this.table.chunks[mark.chunk]!.slice(before?.row ?? 0, mark.row)
    for (const row of rows.filter(row => row.selected)) {
      const there = row.poison ? this.deadLetters.has(keyOf(row)) : this.destination.received.has(row)
      if (!there) this.#fault(`the checkpoint ran ahead of row ${row.row} of chunk ${row.chunk}`)
    }
    const right = this.table.checkpointAt(mark.chunk, mark.row)
    this.#checkProof(rows)
    if (JSON.stringify(mark) !== JSON.stringify(right))
      this.#fault(`wrong tallies in chunk ${mark.chunk}, row ${mark.row}`)
    if (!mark.done && mark.row % this.unit.spanRows !== 0) this.#fault(`a watermark inside a span: ${mark.row}`)
    this.checkpoints.set(mark.chunk, mark)
  }

  /** What a checkpoint covers is proven by then, unless its write failed in part, and so has no proof. */
  #checkProof(rows: readonly TableRow[]): void {
    const { commits, partialTrouble } = this.#world.destination ?? {}
    if (commits || partialTrouble || this.#world.poison) return
    for (const { first } of this.proof.slice(this.#provenBy)) {
      for (const row of this.destination.names.get(first)?.split(',') ?? []) this.#proven.add(row)
    }
    this.#provenBy = this.proof.length
    for (const row of rows)
      if (row.selected && !this.#proven.has(keyOf(row))) this.#fault(`row ${row.row} is not proven`)
  }

  #fault(message: string): void {
    this.#faults.push(message)
  }
}

function keyOf({ chunk, row }: { readonly chunk: number; readonly row: number }): string {
  return `${chunk}.${row}`
}

/** A destination that is slow, moody and exact: it notes every row it took, and every breach of the sink's contract by its caller. */
import { DeliveryError } from '../../src/core/errors.ts'
import type { Checkpoint, Encoding, MessageBatch, SinkLimits, SinkSession } from '../../src/sinks/sink.ts'
import { payloadsOf } from './fake-batch.ts'
import type { SimulatedTable, TableRow } from './simulated-table.ts'
import type { Random, SimulatedTime } from './simulated-time.ts'

export interface DestinationOptions {
  readonly limits?: SinkLimits
  readonly retries?: 'own'
  readonly encoding?: Encoding
  readonly stable?: boolean
  /** Rows count only once committed; `keeps`: with the checkpoints, in the same transaction. */
  readonly commits?: 'plain' | 'keeps'
  /** Most time until a write takes effect, and again until it is acknowledged. Default 20 ms. */
  readonly writeMs?: number
  /** Writes of this partition (or of all) do not end before the instant. */
  readonly hangs?: { readonly partition?: number; readonly untilMs: number; readonly heedsSignal?: boolean }
  /** Every write fails before the instant. */
  readonly downUntilMs?: number
  readonly neverEnds?: 'begin' | 'commit'
  readonly failsToAbort?: boolean
  /** Share of the writes that fail as a whole. Default 0. */
  readonly trouble?: number
  /** Share of the writes that fail in part. Default 0. */
  readonly partialTrouble?: number
}

export class SimulatedDestination {
  /** What is durable: how often each row came. */
  readonly received = new Map<TableRow, number>()
  /** The rows that each batch name stood for. */
  readonly names = new Map<string, string>()
  /** What writes and commits were answered with. */
  readonly proofs: string[] = []
  readonly faults: string[] = []
  committed: readonly Checkpoint[] | undefined
  /** Rows of the largest commit. */
  largestCommit = 0
  commits = 0
  committedAt = 0
  /** When the last write began. */
  wroteAt = 0
  /** When each write began, and with how many rows. */
  readonly sent: { readonly atMs: number; readonly rows: number }[] = []
  /** Longest time between the reading of a row and a write of it. */
  longestWaitMs = 0
  aborts = 0
  /** Durable rows that came again. */
  repeats = 0
  /** Calls of write. */
  writes = 0
  /** Of the attempt: rows that were taken or refused. */
  written = 0
  writing = 0
  pending: TableRow[] = []

  readonly #options: DestinationOptions
  readonly #table: SimulatedTable
  readonly #time: SimulatedTime
  readonly #random: Random
  readonly #ordered: boolean
  readonly #writingIn = new Map<number | undefined, number>()
  readonly #last = new Map<string, number>()
  readonly #nameOf = new Map<TableRow, string>()
  readonly #givenUp: { readonly name: string; readonly bytes: Uint8Array; readonly copy: Buffer }[] = []
  #marks = new Map<number, number>()
  #committing = false

  constructor(
    options: DestinationOptions,
    table: SimulatedTable,
    time: SimulatedTime,
    random: Random,
    ordered: boolean,
  ) {
    this.#options = options
    this.#table = table
    this.#time = time
    this.#random = random
    this.#ordered = ordered
  }

  /** For a new attempt, which begins with what is durable. */
  open(from: readonly Checkpoint[]): SinkSession {
    const { limits, retries, encoding, stable, commits, neverEnds } = this.#options
    this.written = 0
    this.writing = 0
    this.pending = []
    this.#writingIn.clear()
    this.#last.clear()
    this.#marks = new Map(from.map(mark => [mark.chunk, mark.row]))
    this.#committing = false
    const { committed } = this
    if (commits === 'keeps' && committed) for (const mark of committed) this.#marks.set(mark.chunk, mark.row)
    return {
      ...(limits ? { limits } : {}),
      ...(retries ? { retries } : {}),
      ...(encoding ? { encoding } : {}),
      ...(stable ? { stableBatches: true } : {}),
      write: (batch, signal) => this.#write(batch, signal),
      ...(commits ? { commit: (_, upTo) => this.#commit(upTo) } : {}),
      ...(commits === 'keeps' ? { begin: async () => committed } : {}),
      ...(neverEnds === 'begin' ? { begin: async () => void (await this.#time.pause(1e9)) } : {}),
      abort: async () => {
        this.aborts++
        this.pending = []
        if (this.#options.failsToAbort) throw new Error('not aborted')
      },
      close: async () => {},
    }
  }

  async #write(batch: MessageBatch, asked: AbortSignal): Promise<{ partition: number; first: string; last: string }[]> {
    const { partition } = batch
    const signal = this.#options.hangs?.heedsSignal === false ? undefined : asked
    this.wroteAt = this.#time.now
    this.writes++
    this.sent.push({ atMs: this.#time.now, rows: batch.rows })
    this.#count(partition, 1)
    const given = { name: batch.name, bytes: batch.bytes, copy: Buffer.from(batch.bytes) }
    try {
      const rows = this.#rowsOf(batch)
      // a client that retries on its own keeps the order in which it was called
      if (this.#ordered && this.#options.retries === 'own') for (const row of rows) this.#checkOrder(row)
      await this.#time.dawdle(this.#options.writeMs ?? 20, signal)
      await this.#hang(partition, signal)
      const { good, error } = this.#judge(rows)
      for (const row of good) this.#take(row)
      await this.#time.dawdle(this.#options.writeMs ?? 20, signal)
      if (error) throw error
      this.proofs.push(batch.name)
      return [{ partition: partition ?? 0, first: batch.name, last: batch.name }]
    } catch (error) {
      this.#givenUp.push(given)
      throw error
    } finally {
      this.#count(partition, -1)
    }
  }

  /** A socket that was given up may go on sending what it was given. */
  checkGivenUp(): void {
    for (const { name, bytes, copy } of this.#givenUp)
      if (!copy.equals(bytes)) this.#fault(`the bytes of ${name} were used again, after a write of them had failed`)
  }

  #count(partition: number | undefined, change: 1 | -1): void {
    const { limits: { inFlight = 4, inFlightPerPartition = inFlight } = {} } = this.#options
    this.writing += change
    const inPartition = (this.#writingIn.get(partition) ?? 0) + change
    this.#writingIn.set(partition, inPartition)
    if (this.#committing) this.#fault('a write was in flight during a commit')
    if (this.writing > inFlight) this.#fault(`${this.writing} writes in flight`)
    const most = this.#ordered && this.#options.retries !== 'own' ? 1 : inFlightPerPartition
    if (inPartition > most) this.#fault(`${inPartition} writes in flight for partition ${partition}`)
  }

  #rowsOf(batch: MessageBatch): TableRow[] {
    const rows = payloadsOf(batch, this.#options.encoding).map(payload => this.#table.selected.get(payload)!)
    if (rows.includes(undefined!)) this.#fault('a row was sent that the filter leaves out')
    if (rows.some(row => row.partition !== batch.partition)) this.#fault('a row was sent to another partition')
    let at = 0
    for (const span of batch.spans) {
      const own = rows.slice(at, at + span.rows)
      at += span.rows
      if (own.some(row => row.chunk !== span.chunk || row.span !== span.row)) this.#fault('a batch names other spans')
    }
    if (at !== rows.length) this.#fault(`the spans of a batch have ${at} rows, it has ${rows.length}`)
    const content = rows.map(({ chunk, row }) => `${chunk}.${row}`).join()
    for (const row of rows) this.longestWaitMs = Math.max(this.longestWaitMs, this.#time.now - row.readAt)
    if (this.#options.stable && !batch.name.includes('~')) this.#checkStable(batch.name, rows)
    const named = this.names.get(batch.name)
    if (named !== undefined && named !== content) this.#fault(`the name ${batch.name} stands for other rows`)
    this.names.set(batch.name, content)
    return rows
  }

  /** Whatever batch a row is in, it is always the same one. */
  #checkStable(name: string, rows: readonly TableRow[]): void {
    for (const row of rows) {
      const before = this.#nameOf.get(row)
      if (before !== undefined && before !== name) this.#fault(`${name} has a row that was in ${before}`)
      this.#nameOf.set(row, name)
    }
  }

  async #hang(partition: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const { hangs } = this.#options
    if (!hangs || (hangs.partition !== undefined && hangs.partition !== partition)) return
    const ms = hangs.untilMs - this.#time.now
    if (ms > 0) await this.#time.pause(ms, signal)
  }

  /** Which rows take effect, and with what error the write then ends. */
  #judge(rows: readonly TableRow[]): { readonly good: readonly TableRow[]; readonly error?: Error } {
    const { trouble = 0, partialTrouble = 0, downUntilMs = 0 } = this.#options
    if (this.#time.now < downUntilMs) return { good: [], error: new Error('connection refused') }
    if (this.#random() < trouble) {
      const unknown = this.#random() < 0.5
      return {
        good: [],
        error: unknown ? new Error('socket hang up') : new DeliveryError('busy', { retryable: true, retryAfterMs: 50 }),
      }
    }
    const partial = this.#random() < partialTrouble
    const failed = new Map<number, Error>()
    for (const [index, row] of rows.entries()) {
      if (row.poison) failed.set(index, new Error('refused'))
      else if (partial && this.#random() < 0.3) failed.set(index, new DeliveryError('busy', { retryable: true }))
    }
    if (failed.size === 0 && !partial) return { good: rows }
    this.written += rows.filter(row => row.poison).length
    const all = this.#options.retries === 'own' || (this.#random() < 0.5 && !this.#ordered)
    const rest = all ? 'delivered' : 'not delivered'
    const good = rest === 'delivered' ? rows.filter((_, index) => !failed.has(index)) : []
    return { good, error: new DeliveryError('some rows failed', { failed, rest }) }
  }

  #take(row: TableRow): void {
    this.written++
    if (this.#ordered && this.#options.retries !== 'own') this.#checkOrder(row)
    if (this.#options.commits) this.pending.push(row)
    else this.#receive(row)
  }

  #checkOrder(row: TableRow): void {
    const place = `${row.partition}/${row.chunk}`
    if ((this.#last.get(place) ?? -1) >= row.row) this.#fault(`row ${row.row} of chunk ${row.chunk} came out of order`)
    this.#last.set(place, row.row)
  }

  #receive(row: TableRow): void {
    const times = this.received.get(row) ?? 0
    if (times > 0) this.repeats++
    this.received.set(row, times + 1)
  }

  async #commit(upTo: readonly Checkpoint[]): Promise<{ first: string; last: string }[]> {
    if (this.writing > 0) this.#fault('a commit while a write is in flight')
    this.#committing = true
    this.committedAt = this.#time.now
    const covered = upTo.flatMap(({ chunk, row }) => this.#table.chunks[chunk]!.slice(this.#marks.get(chunk) ?? 0, row))
    const expected = new Set(covered.filter(row => row.selected && !row.poison))
    const exact = expected.size === this.pending.length && this.pending.every(row => expected.has(row))
    if (!exact) this.#fault(`a commit up to ${expected.size} rows, when ${this.pending.length} were written`)
    if (this.#options.neverEnds === 'commit') await this.#time.pause(1e9)
    await this.#time.dawdle(this.#options.writeMs ?? 20)
    for (const row of this.pending) this.#receive(row)
    for (const mark of upTo) this.#marks.set(mark.chunk, mark.row)
    const before = (this.committed ?? []).filter(mark => upTo.every(({ chunk }) => chunk !== mark.chunk))
    this.committed = [...before, ...upTo]
    this.commits++
    this.largestCommit = Math.max(this.largestCommit, this.pending.length)
    this.pending = []
    await this.#time.dawdle(this.#options.writeMs ?? 20)
    this.#committing = false
    const proof = `commit ${this.commits}`
    this.proofs.push(proof)
    return [{ first: proof, last: proof }]
  }

  #fault(message: string): void {
    this.faults.push(message)
  }
}

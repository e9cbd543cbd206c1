/**
 * Delivering one unit: read ▸ write ▸ settle ▸ checkpoint. Knows neither jobs nor the store: its input and its reports are
 * plain data, so that a runner may call it on any machine.
 */
import type { Encoding, FilledBatch, ReadPlan, UnitReader } from '../columnar/read-plan.ts'
import type { MessageBatch, SinkSession } from '../sinks/sink.ts'
import { writeBatch } from './attempts.ts'
import { publish } from './diagnostics.ts'
import { DeliveryError } from './errors.ts'
import { deadLettersOf, outcomesOf, toMessage } from './outgoing.ts'
import { planReading } from './plan.ts'
import { Settlement } from './settlement.ts'
import type { Checkpoint, DeadLetter, Proof, ReportAnswer, Unit, UnitReport } from './unit.ts'
import { WriteQueue } from './write-queue.ts'

export interface UnitTools {
  /** Of the unit's job and destination; shared by all units of it in this process. */
  readonly session: SinkSession
  /** Starts reading; the plan's files are opened by whoever provides this. */
  read(plan: ReadPlan): UnitReader
  /** Resolves when the report is durable. Called one at a time, at least every `checkpointMs`, also when nothing moved. */
  report(report: UnitReport): Promise<ReportAnswer>
}

/**
 * Delivers the unit from where its checkpoints stand to its end. Resolves `done`, or `stopped` when a report was answered
 * so. Rejects when a file cannot be read, the destination failed, or `signal` aborted; what had settled by then is reported,
 * and nothing of the unit runs any more, save a write that ignores its signal.
 */
export async function deliverUnit(unit: Unit, tools: UnitTools, signal: AbortSignal): Promise<'done' | 'stopped'> {
  publish('unit', { unit: unit.id, attempt: unit.attempt, event: 'started' })
  const from = (await tools.session.begin?.(unit)) ?? unit.from
  const delivery = new UnitDelivery(unit, tools, from, signal)
  try {
    const result = await delivery.run()
    publish('unit', { unit: unit.id, attempt: unit.attempt, event: result })
    return result
  } catch (error) {
    publish('unit', { unit: unit.id, attempt: unit.attempt, event: 'failed', error })
    throw error
  } finally {
    await delivery.close()
  }
}

/** After an abort, how long a write may take to notice. */
const ABORT_GRACE_MS = 5_000

interface Outgoing {
  readonly filled: FilledBatch
  readonly message: MessageBatch
  readonly partition?: number
}

class UnitDelivery {
  readonly #unit: Unit
  readonly #tools: UnitTools
  readonly #session: SinkSession
  readonly #encoding: Encoding
  readonly #settlement: Settlement
  readonly #queue: WriteQueue<Outgoing>
  readonly #reader: UnitReader
  readonly #abort = new AbortController()
  readonly #lingerMs: number
  readonly #onAbort: () => void
  readonly #parent: AbortSignal

  #wake: () => void = () => {}
  #failure: { readonly error: unknown } | undefined
  #stop: ReportAnswer['stop']
  #reporting: Promise<void> | undefined
  #told: Promise<void> = Promise.resolve()
  #reportedAt = performance.now()
  #proof: Proof[number][] = []
  #fillingRows = 0
  #fillingSince = 0
  #uncommittedRows = 0
  #committedAt = performance.now()
  #finished = false

  constructor(unit: Unit, tools: UnitTools, from: readonly Checkpoint[], signal: AbortSignal) {
    const { session } = tools
    const { limits = {} } = session
    const inFlight = limits.inFlight ?? 4
    const ordered = unit.order !== 'none' && (session.retries ?? 'engine') === 'engine'
    this.#unit = unit
    this.#tools = tools
    this.#session = session
    this.#encoding = session.encoding ?? { kind: 'rows' }
    this.#lingerMs = limits.lingerMs ?? 100
    this.#settlement = new Settlement(from, {
      ...unit.limits,
      spanRows: unit.spanRows,
      frees: session.commit ? 'written' : 'stored',
    })
    this.#queue = new WriteQueue<Outgoing>(
      { inFlight, inFlightPerPartition: limits.inFlightPerPartition ?? (ordered ? 1 : inFlight) },
      outgoing => this.#write(outgoing),
      () => this.#changed(),
    )
    this.#reader = tools.read(planReading(unit, session, from))
    this.#parent = signal
    this.#onAbort = () => this.#fail(signal.reason)
    if (signal.aborted) this.#onAbort()
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  async run(): Promise<'done' | 'stopped'> {
    const beat = setInterval(() => this.#mayReport(), this.#unit.limits.checkpointMs)
    try {
      await this.#read()
      await this.#flush()
      await this.#until(() => this.#queue.idle)
      if (this.#stop !== 'cancel') await this.#commit()
      await this.#reporting
      if (this.#settlement.moved) await this.#checkpoint()
      this.#throwFailure()
      this.#finished = this.#stop !== 'cancel'
      return this.#stop === undefined ? 'done' : 'stopped'
    } catch (error) {
      const first = this.#failure ? this.#failure.error : error
      await this.#giveUp(first)
      throw first
    } finally {
      clearInterval(beat)
    }
  }

  async close(): Promise<void> {
    this.#parent.removeEventListener('abort', this.#onAbort)
    await this.#reader.close()
    if (!this.#finished) await this.#session.abort?.(this.#unit)
  }

  /** Reads spans for as long as there are any, stopping where the window or the sink says so. */
  async #read(): Promise<void> {
    for (;;) {
      this.#throwFailure()
      this.#mayReport()
      if (this.#stop !== undefined) {
        // what a commit covers has to be written to its end; anything else may be left for later
        if (this.#stop === 'cancel' || !this.#session.commit) this.#queue.stop()
        return
      }
      if (this.#commitDue()) await this.#commitInside()
      else if (this.#settlement.fits && this.#queue.hungry) {
        const span = await this.#reader.next()
        if (span === undefined) return
        if (this.#fillingRows === 0) this.#fillingSince = performance.now()
        this.#fillingRows += span.rows - span.filtered
        this.#settlement.add(span)
        this.#send(span.batches)
        if (this.#lingered()) await this.#flush()
      } else if (this.#settlement.fits || !this.#queue.idle) await this.#nextChange()
      // the window is full with nothing in flight: only a checkpoint, or else a cut, makes room
      else if (this.#settlement.moved || this.#reporting) await this.#checkpoint()
      else await this.#flush()
    }
  }

  /** Cuts what is filling and sends it. */
  async #flush(): Promise<void> {
    if (this.#fillingRows > 0) this.#send(await this.#reader.cut())
  }

  #send(batches: readonly FilledBatch[]): void {
    for (const filled of batches) {
      this.#fillingRows -= filled.rows
      this.#fillingSince = performance.now()
      const { partition } = filled
      this.#queue.push({
        filled,
        message: toMessage(this.#unit, filled),
        ...(partition === undefined ? {} : { partition }),
      })
    }
  }

  #lingered(): boolean {
    return (
      this.#fillingRows > 0 && !this.#session.stableBatches && performance.now() - this.#fillingSince >= this.#lingerMs
    )
  }

  async #write(outgoing: Outgoing): Promise<void> {
    const { filled, message } = outgoing
    try {
      const { proof, refused } = await writeBatch(this.#session, message, {
        encoding: this.#encoding,
        deadlineMs: this.#unit.limits.deliveryDeadlineMs,
        signal: this.#abort.signal,
      })
      if (refused.size > 0) await this.#bury(deadLettersOf(message, filled, this.#encoding, refused), refused)
      this.#proof.push(...proof)
      this.#uncommittedRows += filled.rows
      for (const [piece, outcome] of outcomesOf(filled, message, this.#encoding, refused))
        this.#settlement.settle(piece, outcome)
      publish('write', { unit: this.#unit.id, rows: filled.rows, bytes: filled.bytes.length, refused: refused.size })
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Dead letters are durable before their rows count as settled. The limit is the store's to judge, over all units. */
  async #bury(deadLetters: readonly DeadLetter[], refused: ReadonlyMap<number, unknown>): Promise<void> {
    const { maxDeadLetters } = this.#unit.limits
    const answer = maxDeadLetters > 0 ? await this.#tell({ deadLetters }) : undefined
    if (answer?.deadLettersRefused === 0) return
    const cause = [...refused.values()][0]
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DeliveryError(`more than ${maxDeadLetters} rows were refused for good (maxDeadLetters): ${reason}`, {
      retryable: false,
      cause,
    })
  }

  /** Starts a report when one is due; it runs beside everything else. */
  #mayReport(): void {
    if (this.#reporting) return
    const due = performance.now() - this.#reportedAt >= this.#unit.limits.checkpointMs
    if (due || (this.#settlement.moved && this.#settlement.crowded && !this.#session.commit))
      this.#checkpoint().catch(error => this.#fail(error))
  }

  /** One at a time. Where the sink commits, checkpoints go out with the commits alone, and this is a sign of life. */
  #checkpoint(): Promise<void> {
    this.#reporting ??= this.#sendCheckpoint().finally(() => {
      this.#reporting = undefined
      this.#changed()
    })
    return this.#reporting
  }

  async #sendCheckpoint(): Promise<void> {
    if (this.#session.commit) return void (await this.#tell({}))
    await this.#tell({ checkpoints: this.#settlement.take(), proof: this.#proof.splice(0) })
    this.#settlement.stored()
  }

  /** Reports of one unit never overlap. */
  #tell(news: Partial<Pick<UnitReport, 'checkpoints' | 'deadLetters' | 'proof'>>): Promise<ReportAnswer> {
    const { id, attempt, jobId, destination, delivery } = this.#unit
    const report = {
      unit: id,
      attempt,
      jobId,
      destination: destination.uid,
      delivery,
      checkpoints: [],
      deadLetters: [],
      proof: [],
      ...news,
    }
    const answer = this.#told.then(() => this.#tools.report(report))
    this.#told = answer.then(
      ({ stop }) => {
        this.#stop ??= stop
        this.#reportedAt = performance.now()
      },
      () => {},
    )
    return answer
  }

  #commitDue(): boolean {
    if (!this.#session.commit || this.#uncommittedRows === 0) return false
    const { commitRows = Number.POSITIVE_INFINITY, commitMs = Number.POSITIVE_INFINITY } = this.#session.limits ?? {}
    return this.#uncommittedRows >= commitRows || performance.now() - this.#committedAt >= commitMs
  }

  /** The barrier inside a unit: what is filling is cut, everything settles, and nothing is written until the commit is through. */
  async #commitInside(): Promise<void> {
    await this.#flush()
    await this.#until(() => this.#queue.idle)
    await this.#commit()
  }

  async #commit(): Promise<void> {
    if (!this.#session.commit) return
    const upTo = this.#settlement.take()
    const proof = await this.#session.commit(this.#unit, upTo)
    await this.#tell({ checkpoints: upTo, proof: [...this.#proof.splice(0), ...(proof ?? [])] })
    this.#settlement.stored()
    this.#uncommittedRows = 0
    this.#committedAt = performance.now()
  }

  /** Aborts what is in flight, waits for it within bounds, and reports what had settled. */
  async #giveUp(error: unknown): Promise<void> {
    this.#queue.stop()
    this.#abort.abort(error)
    await Promise.race([this.#idle(), new Promise(resolve => setTimeout(resolve, ABORT_GRACE_MS).unref())])
    await this.#reporting?.catch(() => {})
    // the first error is the one to tell; what could not be reported is delivered again
    if (this.#settlement.moved && !this.#session.commit) await this.#checkpoint().catch(() => {})
  }

  async #idle(): Promise<void> {
    while (this.#queue.inFlight > 0) await this.#nextChange()
  }

  /** Waits for a condition, going on with reports meanwhile; throws when the delivery has failed. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.#throwFailure()
      this.#mayReport()
      await this.#nextChange()
    }
    this.#throwFailure()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    // a read that is under way would hold up the end
    this.#reader.close().catch(() => {})
    this.#changed()
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  #changed(): void {
    this.#wake()
  }

  /** A write or a report ended, the beat came, or a batch has been filling for too long. */
  async #nextChange(): Promise<void> {
    const timer =
      this.#fillingRows > 0 && !this.#session.stableBatches
        ? setTimeout(() => this.#changed(), this.#lingerMs)
        : undefined
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
    clearTimeout(timer)
    if (this.#lingered()) await this.#flush()
  }
}

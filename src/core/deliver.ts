/**
 * Delivering one unit: read ▸ write ▸ settle ▸ checkpoint. Knows neither jobs nor the store: its input and its reports are
 * plain data, so that a runner may call it on any machine.
 */
import type { Encoding, FilledBatch, SpanRead, UnitReader } from '../columnar/read-plan.ts'
import { framedRows } from '../columnar/reframe.ts'
import type { MessageBatch, SinkSession } from '../sinks/sink.ts'
import { refuseUnsent, type Written, writeBatch } from './attempts.ts'
import type { Credit } from './budget.ts'
import { publish } from './diagnostics.ts'
import { Ending } from './ending.ts'
import { CancelledError, DeliveryError, MillraceError, messageOf } from './errors.ts'
import { asStaged, deadLettersOf, openRefused, outcomesOf, type RefusedRow, toMessage } from './outgoing.ts'
import type { Gate } from './pace.ts'
import { encodingOf, planReading, planWriting } from './plan.ts'
import { mergeProof } from './proof.ts'
import { Settlement } from './settlement.ts'
import { stagedRows } from './staged-rows.ts'
import type { Checkpoint, DeadLetter, Proof, ReportAnswer, Unit, UnitReport } from './unit.ts'
import { answerOf } from './unit-calls.ts'
import type { UnitTools } from './unit-tools.ts'
import { WriteQueue } from './write-queue.ts'

/**
 * Delivers the unit from where its checkpoints stand to its end. Resolves `done`, or `stopped` when a report was answered
 * so. Rejects when a file cannot be read, the destination failed, or `signal` aborted; what had settled by then is reported,
 * and nothing of the unit runs any more, save what ignored the abort for the whole grace.
 */
export async function deliverUnit(unit: Unit, tools: UnitTools, signal: AbortSignal): Promise<'done' | 'stopped'> {
  publish('unit', { unit: unit.id, attempt: unit.attempt, event: 'started' })
  const ending = new Ending(signal)
  try {
    ending.signal.throwIfAborted()
    const own = await answerOf('begin', tools.session.begin?.(unit), unit, ending)
    const result = await new UnitDelivery(unit, tools, ending, own).run()
    publish('unit', { unit: unit.id, attempt: unit.attempt, event: result })
    return result
  } catch (error) {
    publish('unit', { unit: unit.id, attempt: unit.attempt, event: 'failed', error })
    throw error
  } finally {
    ending.clear()
  }
}

interface Outgoing {
  readonly filled: FilledBatch
  readonly message: MessageBatch
  readonly partition?: number
}

/** What the first span of a unit is taken to come to: that many rows of a kilobyte. */
const FIRST_SPAN_BYTES = 8 << 20

class UnitDelivery {
  readonly #unit: Unit
  readonly #tools: UnitTools
  readonly #session: SinkSession
  readonly #ending: Ending
  /** The sink's own checkpoints, if it keeps any. */
  readonly #own: readonly Checkpoint[] | undefined
  readonly #encoding: Encoding
  readonly #lingerMs: number
  readonly #settlement: Settlement
  readonly #queue: WriteQueue<Outgoing>
  readonly #reader: UnitReader
  readonly #credit: Credit
  readonly #gate: Gate
  /** Aborted when nothing more is to be written, not even again. */
  readonly #left = new AbortController()

  #wake: () => void = () => {}
  #stop: ReportAnswer['stop']
  /** A report is due as a sign of life. */
  #due = false
  #reporting: Promise<void> | undefined
  #told: Promise<void> = Promise.resolve()
  /** Not reported yet. */
  #proof: Proof[number][] = []
  #fillingRows = 0
  #fillingSince = 0
  /** What the next span is taken to come to, in bytes: as much as the last. */
  #expected = FIRST_SPAN_BYTES
  #uncommittedRows = 0
  #committedAt = performance.now()

  constructor(unit: Unit, tools: UnitTools, ending: Ending, own: readonly Checkpoint[] | undefined) {
    const { session } = tools
    const from = own ?? unit.from
    this.#unit = unit
    this.#tools = tools
    this.#session = session
    this.#ending = ending
    this.#own = own
    this.#encoding = encodingOf(session)
    this.#lingerMs = session.limits?.lingerMs ?? 100
    this.#settlement = new Settlement(from, {
      ...unit.limits,
      spanRows: unit.spanRows,
      frees: session.commit ? 'written' : 'stored',
    })
    this.#queue = new WriteQueue<Outgoing>(
      planWriting(unit, session),
      outgoing => this.#write(outgoing),
      () => this.#wake(),
      ({ filled }) => filled.refusal !== undefined || this.#gate.take(filled.rows, filled.bytes.length),
    )
    this.#gate = tools.gate(() => {
      this.#queue.proceed()
      this.#wake()
    })
    this.#credit = tools.credit(() => this.#wake())
    this.#reader = tools.read(planReading(unit, session, from))
    ending.signal.addEventListener('abort', () => {
      this.#reader.close().catch(() => {}) // a read that is under way would hold up the end
      this.#wake()
    })
  }

  async run(): Promise<'done' | 'stopped'> {
    const beat = setInterval(() => {
      this.#due = true
      this.#mayReport()
    }, this.#unit.limits.checkpointMs)
    let finished = false
    try {
      if (this.#own) await this.#tell({ checkpoints: this.#own })
      await this.#read()
      await this.#flush()
      await this.#until(() => this.#queue.idle)
      finished = await this.#finish()
      return this.#stop === undefined ? 'done' : 'stopped'
    } catch (error) {
      this.#ending.abort(error)
      await this.#giveUp()
      throw this.#ending.signal.reason
    } finally {
      clearInterval(beat)
      this.#gate.close()
      await this.#close(finished)
      this.#credit.close()
    }
  }

  /** Reads spans for as long as there are any, stopping where the window, the memory, the sink or the owner says so. */
  async #read(): Promise<void> {
    while (this.#stop === undefined) {
      this.#ending.signal.throwIfAborted()
      this.#mayReport()
      if (this.#commitDue()) await this.#commitInside()
      else if (this.#settlement.fits && this.#queue.hungry && this.#hasMemory()) {
        const span = await this.#ending.wait(this.#reader.next())
        this.#credit.correct((span?.bytes ?? 0) - this.#expected)
        if (span === undefined) return
        this.#take(span)
        if (this.#lingered()) await this.#flush()
      } else if (!this.#queue.idle) await this.#nextChange()
      // no room with nothing in flight: only a checkpoint makes some in the window, or else a cut
      else if (!this.#settlement.fits && (this.#reporting || this.#unstored)) await this.#checkpoint()
      else if (this.#fillingRows > 0) await this.#flush()
      else throw lostRows(this.#unit) // rather than to go round for ever
    }
  }

  /** Whether there is memory for another span, which is then taken. */
  #hasMemory(): boolean {
    // what is filling could be cut and sent, unless it must be cut at the same places every time
    const reserve = this.#queue.idle && (this.#fillingRows === 0 || (this.#session.stableBatches ?? false))
    return this.#credit.take(this.#expected, reserve)
  }

  #take(span: SpanRead): void {
    this.#expected = span.bytes
    if (this.#fillingRows === 0) this.#fillingSince = performance.now()
    this.#fillingRows += span.rows - span.filtered
    this.#settlement.add(span)
    this.#send(span.batches)
  }

  /** Cuts what is filling and sends it, unless nothing more is to be written. */
  async #flush(): Promise<void> {
    if (this.#fillingRows === 0 || this.#leaving) return
    this.#send(await this.#ending.wait(this.#reader.cut()))
    this.#fillingRows = 0
  }

  #send(batches: readonly FilledBatch[]): void {
    for (const filled of batches) {
      const { partition } = filled
      this.#fillingRows -= filled.rows
      // of a keyed topic other batches go on filling, and the oldest of their rows is the one that counts
      if (partition === undefined) this.#fillingSince = performance.now()
      const message = toMessage(this.#unit, filled)
      this.#queue.push({ filled, message, ...(partition === undefined ? {} : { partition }) })
    }
  }

  async #write({ filled, message }: Outgoing): Promise<void> {
    const { refusal, rows, bytes } = filled
    try {
      const { proof, refused, clean } =
        refusal === undefined ? await this.#attempt(message) : refuseUnsent(rows, refusal)
      const framed = framedRows(filled, this.#encoding)
      const lost = await openRefused(refused, positions => this.#tools.openRows(framed, positions))
      if (lost.length > 0) await this.#bury(filled, lost)
      this.#proof.push(...proof)
      this.#uncommittedRows += rows
      for (const [piece, outcome] of outcomesOf(filled, lost)) this.#settlement.settle(piece, outcome)
      this.#credit.correct(-filled.pieces.reduce((sum, piece) => sum + piece.bytes, 0))
      publish('write', { unit: this.#unit.id, rows, bytes: bytes.length, refused: lost.length })
      // after any failure something may still send the bytes: a socket that was given up, or not yet
      if (clean) this.#reader.release(bytes)
    } catch (error) {
      // its rows are left for later, and not settled
      if (error !== this.#left.signal.reason) this.#ending.abort(error)
    }
  }

  #attempt(message: MessageBatch): Promise<Written> {
    const { circuit } = this.#tools
    const signals = { signal: this.#ending.signal, leave: this.#left.signal }
    return writeBatch(this.#session, message, { ...this.#unit.limits, ...signals, encoding: this.#encoding, circuit })
  }

  /** Dead letters are durable before their rows count as settled. The limit is the store's to judge, over all units. */
  async #bury(filled: FilledBatch, lost: readonly RefusedRow[]): Promise<void> {
    const { maxDeadLetters } = this.#unit.limits
    const answer =
      maxDeadLetters > 0 ? await this.#tell({ deadLetters: await this.#lettersOf(filled, lost) }) : undefined
    if (answer?.deadLettersRefused === 0) return
    const cause = lost[0]?.cause
    const reason = messageOf(cause)
    throw new DeliveryError(`more than ${maxDeadLetters} rows were refused for good (maxDeadLetters): ${reason}`, {
      retryable: false,
      cause,
    })
  }

  /** With rows as they are staged, which another shape may be given to. */
  async #lettersOf(filled: FilledBatch, lost: readonly RefusedRow[]): Promise<readonly DeadLetter[]> {
    const letters = deadLettersOf(filled, lost)
    if (this.#unit.shape === undefined) return letters
    const positions = lost.map(({ position }) => position)
    const rows = await this.#ending.wait(stagedRows(this.#unit, this.#tools.read, filled, positions))
    return letters.map((letter, index) => ({ ...letter, ...asStaged(rows[index]!, this.#encoding) }))
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
    if (!this.#session.commit || this.#stop === 'cancel') return
    const upTo = this.#settlement.take()
    const proof = await answerOf('commit', this.#session.commit(this.#unit, upTo), this.#unit, this.#ending)
    await this.#tell({ checkpoints: upTo, proof: mergeProof([...this.#proof.splice(0), ...(proof ?? [])]) })
    this.#settlement.stored()
    this.#uncommittedRows = 0
    this.#committedAt = performance.now()
  }

  /** Starts a report when one is due; it runs beside everything else. */
  #mayReport(): void {
    if (this.#reporting) return
    if (this.#due || (this.#unstored && this.#settlement.crowded))
      this.#checkpoint().catch(error => this.#ending.abort(error))
  }

  /** There is news for a report. Where the sink commits, checkpoints go out with the commits alone. */
  get #unstored(): boolean {
    return this.#settlement.moved && !this.#session.commit
  }

  /** One at a time; also without news, as a sign of life. */
  #checkpoint(): Promise<void> {
    this.#due = false
    this.#reporting ??= this.#sendCheckpoint().finally(() => {
      this.#reporting = undefined
      this.#wake()
    })
    return this.#reporting
  }

  async #sendCheckpoint(): Promise<void> {
    if (this.#session.commit) return void (await this.#tell({}))
    const { length } = this.#proof
    await this.#tell({ checkpoints: this.#settlement.take(), proof: mergeProof(this.#proof) })
    this.#settlement.stored()
    this.#proof.splice(0, length)
  }

  /** Reports of one unit never overlap. */
  #tell(news: Partial<Pick<UnitReport, 'checkpoints' | 'deadLetters' | 'proof'>>): Promise<ReportAnswer> {
    const { id, attempt, jobId, destination, delivery } = this.#unit
    const nothing = { checkpoints: [], deadLetters: [], proof: [] }
    const report = { unit: id, attempt, jobId, destination: destination.uid, delivery, ...nothing, ...news }
    const answer = this.#told.then(() => this.#tools.report(report))
    this.#told = answer.then(
      ({ stop }) => this.#heed(stop),
      () => {},
    )
    return answer
  }

  /** `cancel` is stronger than `drain`. */
  #heed(stop: ReportAnswer['stop']): void {
    if (stop === undefined || this.#stop === 'cancel') return
    this.#stop = stop
    if (this.#leaving) {
      this.#queue.stop()
      this.#gate.close()
      this.#left.abort(new CancelledError('the unit was stopped'))
    } else this.#gate.hurry()
    this.#wake()
  }

  /** Nothing more is to be written. What a commit covers has to be, unless it is cancelled; all else may be left for later. */
  get #leaving(): boolean {
    return this.#stop === 'cancel' || (this.#stop === 'drain' && !this.#session.commit)
  }

  /** Everything that was to be written has settled. Answers whether it counts for good. */
  async #finish(): Promise<boolean> {
    const cancelled = this.#stop === 'cancel'
    await this.#commit()
    await this.#reporting
    if (this.#unstored) await this.#checkpoint()
    this.#ending.signal.throwIfAborted()
    if (this.#stop === undefined && !this.#settlement.settled) throw lostRows(this.#unit)
    return !cancelled
  }

  /** Waits for what was in flight when the delivery failed, within bounds, and reports what had settled. */
  async #giveUp(): Promise<void> {
    this.#queue.stop()
    await this.#ending.wait(this.#idle()).catch(() => {})
    // the first error is the one to tell; what could not be reported is delivered again
    await this.#reporting?.catch(() => {})
    if (this.#unstored) await this.#checkpoint().catch(() => {})
  }

  /** What fails here neither hides an earlier error nor undoes what is delivered. */
  async #close(finished: boolean): Promise<void> {
    const ends = [() => this.#reader.close(), () => (finished ? undefined : this.#session.abort?.(this.#unit))]
    for (const ended of await Promise.allSettled(ends.map(async end => this.#ending.wait(end())))) {
      if (ended.status === 'fulfilled') continue
      publish('warning', { message: `unit ${this.#unit.id} did not end cleanly`, error: ended.reason })
    }
  }

  async #idle(): Promise<void> {
    while (this.#queue.inFlight > 0) await this.#woken()
  }

  /** Waits for a condition, going on with reports meanwhile; throws when the delivery has failed. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.#ending.signal.throwIfAborted()
      this.#mayReport()
      await this.#nextChange()
    }
    this.#ending.signal.throwIfAborted()
  }

  /** A write or a report ended, or a batch has been filling for too long, and is cut. */
  async #nextChange(): Promise<void> {
    const lingers = this.#fillingRows > 0 && !this.#leaving && !this.#session.stableBatches
    const leftMs = this.#fillingSince + this.#lingerMs - performance.now()
    const timer = lingers ? setTimeout(() => this.#wake(), Math.max(0, leftMs)) : undefined
    await this.#woken()
    clearTimeout(timer)
    if (this.#lingered()) await this.#flush()
  }

  #lingered(): boolean {
    if (this.#fillingRows === 0 || this.#session.stableBatches) return false
    return performance.now() - this.#fillingSince >= this.#lingerMs
  }

  #woken(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }
}

function lostRows(unit: Unit): MillraceError {
  return new MillraceError('internal', `unit ${unit.id}: rows were read that came in no batch`)
}

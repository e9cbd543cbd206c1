import type { DeliveryError } from '../../core/errors.ts'
import type { Proof } from '../sink.ts'
import type { Refusal } from './subject.ts'

export interface Outcome {
  readonly proof: Proof
  /** By position in the batch; the others were acknowledged. */
  readonly failed: ReadonlyMap<number, DeliveryError>
}

export interface PendingWriteOptions {
  readonly rows: number
  readonly subjectOf: (row: number) => string | Refusal
  /** Of the rows of one subject, publish each only when the one before it was acknowledged. */
  readonly ordered: boolean
  /** Returns why the row is refused, or else publishes it. */
  readonly publish: (row: number, subject: string) => DeliveryError | undefined
  readonly refuse: (reason: string) => DeliveryError
}

const NONE = -1

/**
 * The rows of one batch, from the first that is published until each of them was acknowledged or failed. Under an order a row that
 * failed and may be tried again takes those of its subject behind it along: none of these was published, so that it comes before them.
 */
export class PendingWrite {
  readonly settled: Promise<Outcome>
  /** Grows with every row that is settled. */
  progress = 0
  readonly #options: PendingWriteOptions
  readonly #resolve: (outcome: Outcome) => void
  readonly #reject: (error: unknown) => void
  readonly #isSettled: Uint8Array
  /** The row of the same subject that follows on one, under an order. */
  readonly #next: Int32Array | undefined
  readonly #sequences: number[] = []
  readonly #failed = new Map<number, DeliveryError>()

  constructor(options: PendingWriteOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    promise.catch(() => {}) // whoever waits hears of it, and may have left
    this.settled = promise
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#isSettled = new Uint8Array(options.rows)
    this.#next = options.ordered ? new Int32Array(options.rows).fill(NONE) : undefined
  }

  /** Publishes every row that has to wait for no other. */
  start(): void {
    const first: number[] = []
    const lastOf = new Map<string, number>()
    for (let row = 0; row < this.#options.rows; row++) {
      const subject = this.#options.subjectOf(row)
      if (typeof subject !== 'string') this.refused(row, this.#options.refuse(subject.refusal))
      else if (!this.#next) this.#publish(row, subject)
      else {
        const before = lastOf.get(subject)
        if (before === undefined) first.push(row)
        else this.#next[before] = row
        lastOf.set(subject, row)
      }
    }
    for (const row of first) this.#publishNext(row)
    if (this.#options.rows === 0) this.#settle()
  }

  acknowledged(row: number, sequence: number): void {
    if (this.#isSettled[row]) return
    this.#sequences.push(sequence)
    this.#done(row)
    this.#publishNext(this.#next?.[row] ?? NONE)
  }

  /** For good: those behind it go on. */
  refused(row: number, error: DeliveryError): void {
    if (this.#isSettled[row]) return
    this.#failed.set(row, error)
    this.#done(row)
    this.#publishNext(this.#next?.[row] ?? NONE)
  }

  /** May be tried again, with those behind it. */
  lost(row: number, error: DeliveryError): void {
    for (let lost = row; lost !== NONE && !this.#isSettled[lost]; lost = this.#next?.[lost] ?? NONE) {
      this.#failed.set(lost, error)
      this.#done(lost)
    }
  }

  allLost(error: DeliveryError): void {
    for (let row = 0; row < this.#options.rows; row++) this.lost(row, error)
  }

  /** Whatever became of the rows. */
  fail(error: unknown): void {
    this.#isSettled.fill(1)
    this.#reject(error)
  }

  #publishNext(row: number): void {
    if (row === NONE) return
    const subject = this.#options.subjectOf(row)
    if (typeof subject === 'string') this.#publish(row, subject)
  }

  #publish(row: number, subject: string): void {
    const refusal = this.#options.publish(row, subject)
    if (refusal) this.refused(row, refusal)
  }

  #done(row: number): void {
    this.#isSettled[row] = 1
    this.progress++
    if (this.progress === this.#options.rows) this.#settle()
  }

  #settle(): void {
    this.#resolve({ proof: proofOf(this.#sequences), failed: this.#failed })
  }
}

/** Sequence numbers of a stream as ranges: others may publish in between. */
function proofOf(sequences: readonly number[]): Proof {
  const proof: { partition: number; first: string; last: string }[] = []
  let last = Number.NaN
  for (const sequence of Float64Array.from(sequences).sort()) {
    const range = proof.at(-1)
    if (range && sequence <= last + 1) range.last = `${sequence}`
    else proof.push({ partition: 0, first: `${sequence}`, last: `${sequence}` })
    last = sequence
  }
  return proof
}

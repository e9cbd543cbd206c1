import { DeliveryError } from '../../core/errors.ts'
import type { MessageBatch, Proof } from '../sink.ts'

/** A record batch that is to be sent: what was to be written, or a part of it. */
export interface Piece {
  readonly delivery: Delivery
  readonly batch: MessageBatch
  readonly rows: number
  /** Which rows of what was to be written these are, by position there; undefined: all. */
  readonly positions?: readonly number[]
  /** When it was first sent, which is the time of its records where they have none of their own. */
  sentAt?: number
}

export function positionOf({ positions }: Piece, row: number): number {
  return positions ? positions[row]! : row
}

/** One write: settled when each of its rows was taken or refused. */
export class Delivery {
  readonly settled: Promise<Proof>
  readonly #where: string
  readonly #rows: number
  readonly #resolve: (proof: Proof) => void
  readonly #reject: (error: unknown) => void
  readonly #proof: Proof[number][] = []
  readonly #refused = new Map<number, DeliveryError>()
  #left: number

  /** `where`: the topic, for errors. */
  constructor({ rows }: MessageBatch, where: string) {
    const { promise, resolve, reject } = Promise.withResolvers<Proof>()
    this.settled = promise
    this.#where = where
    this.#rows = rows
    this.#resolve = resolve
    this.#reject = reject
    this.#left = rows
  }

  /** `offset`: of the first row; -1 where nobody knows. */
  taken(partition: number, rows: number, offset: bigint): void {
    if (offset >= 0n) this.#proof.push({ partition, first: `${offset}`, last: `${offset + BigInt(rows - 1)}` })
    this.#settle(rows)
  }

  /** `row`: by position in what was to be written. */
  refuse(row: number, reason: string): void {
    this.#refused.set(row, new DeliveryError(reason, { retryable: false }))
    this.#settle(1)
  }

  #settle(rows: number): void {
    this.#left -= rows
    if (this.#left > 0) return
    const [first] = this.#refused.values()
    if (first === undefined) {
      this.#resolve(this.#proof)
      return
    }
    const message = `${this.#where} refused ${this.#refused.size} of ${this.#rows} rows: ${first.message}`
    this.#reject(
      new DeliveryError(message, { retryable: false, failed: this.#refused, rest: 'delivered', proof: this.#proof }),
    )
  }
}

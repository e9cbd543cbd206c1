/** One partition's log as a Kafka broker keeps it for one idempotent producer: what it takes, knows again and refuses. */

const REMEMBERED = 5
const SEQUENCES = 2 ** 31

export interface SentBatch {
  readonly epoch: number
  readonly sequence: number
  readonly rows: readonly number[]
}

export type Verdict = 'taken' | 'out of order' | 'invalid epoch'

interface Remembered {
  readonly first: number
  readonly last: number
  readonly offset: bigint
}

export class SimulatedLog {
  readonly rows: number[] = []
  #epoch: number | undefined
  #batches: Remembered[] = []

  append({ epoch, sequence, rows }: SentBatch): { readonly verdict: Verdict; readonly offset: bigint } {
    const last = (sequence + rows.length - 1) % SEQUENCES
    if (this.#epoch !== undefined && epoch < this.#epoch) return { verdict: 'invalid epoch', offset: -1n }
    if (epoch === this.#epoch) {
      const known = this.#batches.find(batch => batch.first === sequence && batch.last === last)
      if (known) return { verdict: 'taken', offset: known.offset }
      if (sequence !== (this.#batches.at(-1)!.last + 1) % SEQUENCES) return { verdict: 'out of order', offset: -1n }
    } else if (this.#epoch !== undefined && sequence !== 0) return { verdict: 'out of order', offset: -1n }
    // a broker that knows nothing of the producer takes any sequence number
    if (epoch !== this.#epoch) this.#batches = []
    const offset = BigInt(this.rows.length)
    this.rows.push(...rows)
    this.#epoch = epoch
    this.#batches = [...this.#batches, { first: sequence, last, offset }].slice(-REMEMBERED)
    return { verdict: 'taken', offset }
  }

  /** A snapshot of the producers holds the last batch of each. */
  restart(): void {
    this.#batches = this.#batches.slice(-1)
  }

  /** Everything of the producer expired, or its records were deleted. */
  forgetProducer(): void {
    this.#epoch = undefined
    this.#batches = []
  }
}

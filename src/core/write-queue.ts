/** Batches on their way to a sink: how many are written at the same time, and in which order. Without I/O of its own. */

export interface Queued {
  readonly partition?: number
}

export interface WriteQueueLimits {
  readonly inFlight: number
  readonly inFlightPerPartition: number
}

const UNPARTITIONED = -1

/**
 * Starts writes in staged order within each partition, up to a limit in all and for each partition. A partition that
 * hangs keeps only its own batches waiting.
 */
export class WriteQueue<Batch extends Queued> {
  readonly #limits: WriteQueueLimits
  readonly #write: (batch: Batch) => Promise<void>
  readonly #onSettled: () => void
  readonly #admits: (batch: Batch) => boolean
  readonly #waiting = new Map<number, Batch[]>()
  readonly #inFlight = new Map<number, number>()
  #writing = 0
  #stopped = false
  /** The next batch was not admitted, and all others wait behind it. */
  #held = false

  /**
   * `write` must not reject; `onSettled` is called after each. `admits`: whether a batch may go now, asked right before it does; once
   * the answer may be another, call `proceed`.
   */
  constructor(
    limits: WriteQueueLimits,
    write: (batch: Batch) => Promise<void>,
    onSettled: () => void,
    admits: (batch: Batch) => boolean = () => true,
  ) {
    this.#limits = limits
    this.#write = write
    this.#onSettled = onSettled
    this.#admits = admits
  }

  /** Nothing waits and nothing is in flight. */
  get idle(): boolean {
    return this.#writing === 0 && this.#waiting.size === 0
  }

  get inFlight(): number {
    return this.#writing
  }

  /**
   * Whether more batches would help: fewer wait than could take the place of what may be in flight at once. Of a partition that
   * hangs only so many count as it keeps from being written anyway; where there are no partitions, none but these will come. Nothing
   * would help a batch that is not admitted.
   */
  get hungry(): boolean {
    if (this.#held) return false
    const { inFlight, inFlightPerPartition } = this.#limits
    let ready = 0
    for (const [partition, { length }] of this.#waiting)
      ready += partition === UNPARTITIONED ? length : Math.min(length, inFlightPerPartition)
    return ready < inFlight
  }

  /** Dropped after `stop`. */
  push(batch: Batch): void {
    if (this.#stopped) return
    const partition = batch.partition ?? UNPARTITIONED
    const batches = this.#waiting.get(partition)
    if (batches) batches.push(batch)
    else this.#waiting.set(partition, [batch])
    this.#start()
  }

  /** Asks again whether what was not admitted may go. */
  proceed(): void {
    this.#start()
  }

  /** Forgets what waits and starts no more; what is in flight goes on. */
  stop(): void {
    this.#stopped = true
    this.#waiting.clear()
  }

  #start(): void {
    this.#held = false
    if (this.#full) return
    for (const [partition, batches] of [...this.#waiting]) {
      while (batches.length > 0 && this.#free(partition) > 0 && !this.#full) {
        this.#held = !this.#admits(batches[0]!)
        if (this.#held) return
        void this.#run(partition, batches.shift()!)
      }
      // a partition that had its turn goes to the end of the line, so that many small ones share the writes
      this.#waiting.delete(partition)
      if (batches.length > 0) this.#waiting.set(partition, batches)
      if (this.#full) return
    }
  }

  async #run(partition: number, batch: Batch): Promise<void> {
    this.#writing++
    this.#inFlight.set(partition, (this.#inFlight.get(partition) ?? 0) + 1)
    await this.#write(batch)
    this.#writing--
    this.#inFlight.set(partition, this.#inFlight.get(partition)! - 1)
    this.#start()
    this.#onSettled()
  }

  get #full(): boolean {
    return this.#writing >= this.#limits.inFlight
  }

  #free(partition: number): number {
    return this.#limits.inFlightPerPartition - (this.#inFlight.get(partition) ?? 0)
  }
}

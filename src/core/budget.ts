/**
 * The memory that an engine gives its batches, filling or on their way to a sink, over all jobs and destinations. Counted
 * before it is there, by what the last span came to.
 *
 * Every destination under way has the same share of it, whether others use theirs or not. So a destination that hangs keeps
 * its own share at most and slows nobody down. (Lending what is free would be faster with many destinations of which few are
 * busy, but what a destination was lent that hangs then never comes back.)
 */

/** What one unit holds. */
export interface Credit {
  /**
   * Takes the bytes if there is room for them. If not, the unit is woken when there may be. `reserve`: the unit holds nothing that it
   * could give back, so that it gets them in any case, or it would never go on.
   */
  take(bytes: number, reserve: boolean): boolean
  /** What was taken turns out to be more, or less, or is there no more. */
  correct(bytes: number): void
  /** Gives back all. Idempotent; what is corrected later no longer counts, since a write may end after its unit. */
  close(): void
}

/** One destination of one job. */
export interface Share {
  /** `wake`: there may be room for what did not fit. */
  credit(wake: () => void): Credit
  close(): void
}

export class MemoryBudget {
  readonly #bytes: number
  #held = 0
  #shares = 0
  #waiting = new Set<() => void>()

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Bytes that are held by all. */
  get held(): number {
    return this.#held
  }

  share(): Share {
    const share = { held: 0 }
    this.#shares++
    return {
      credit: wake => this.#credit(share, wake),
      close: () => {
        this.#shares--
        this.#wakeAll()
      },
    }
  }

  #credit(share: { held: number }, wake: () => void): Credit {
    let own = 0
    let closed = false
    const add = (bytes: number): void => {
      if (closed) return
      own += bytes
      share.held += bytes
      this.#held += bytes
      if (bytes < 0) this.#wakeAll()
    }
    return {
      take: (bytes, reserve) => {
        // both: some may hold more than their share, from when there were fewer
        const fits = share.held + bytes <= this.#bytes / this.#shares && this.#held + bytes <= this.#bytes
        if (fits || reserve) add(bytes)
        else this.#waiting.add(wake)
        return fits || reserve
      },
      correct: add,
      close: () => {
        this.#waiting.delete(wake)
        add(-own)
        closed = true
      },
    }
  }

  /** In the order in which they began to wait; each asks again. */
  #wakeAll(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}

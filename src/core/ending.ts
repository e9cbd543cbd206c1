import { Waits } from './waits.ts'

/** After an abort, how long what is under way may take to notice. */
export const ABORT_GRACE_MS = 2_000

/**
 * Ends work that a destination or a file may hold up: its signal asks, and what does not heed that for `ABORT_GRACE_MS` is
 * waited for no longer. Aborts with its parent. Leaves nothing behind on either side once it is cleared.
 */
export class Ending {
  readonly #controller = new AbortController()
  readonly #parent: AbortSignal
  readonly #waits = new Waits()
  #timer: NodeJS.Timeout | undefined

  constructor(parent: AbortSignal) {
    this.#parent = parent
    if (parent.aborted) this.#onParent()
    else parent.addEventListener('abort', this.#onParent, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The first reason is the one that counts. */
  abort(reason: unknown): void {
    if (this.signal.aborted) return
    this.#timer = setTimeout(() => this.#waits.end(this.signal.reason), ABORT_GRACE_MS)
    this.#controller.abort(reason)
  }

  /** The result of `work`, or a rejection with the abort's reason when the grace is over. */
  wait<T>(work: Promise<T> | T): Promise<T> {
    return this.#waits.wait(work)
  }

  /** The same, and for no longer than `mostMs`: then a rejection with what `late` makes. */
  async within<T>(work: Promise<T> | T, mostMs: number, late: () => unknown): Promise<T> {
    const waits = new Waits()
    const timer = setTimeout(() => waits.end(late()), mostMs)
    try {
      return await this.wait(waits.wait(work))
    } finally {
      clearTimeout(timer)
    }
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#parent.removeEventListener('abort', this.#onParent)
  }

  readonly #onParent = (): void => this.abort(this.#parent.reason)
}

/** After an abort, how long what is under way may take to notice. */
export const ABORT_GRACE_MS = 2_000

/**
 * Ends work that a destination or a file may hold up: its signal asks, and what does not heed that for `ABORT_GRACE_MS` is
 * waited for no longer. Aborts with its parent. Leaves nothing behind on either side once it is cleared.
 */
export class Ending {
  readonly #controller = new AbortController()
  readonly #parent: AbortSignal
  readonly #waiting = new Set<(reason: unknown) => void>()
  #timer: NodeJS.Timeout | undefined
  #overdue = false

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
    this.#timer = setTimeout(() => this.#giveUp(), ABORT_GRACE_MS)
    this.#controller.abort(reason)
  }

  /**
   * The result of `work`, or a rejection with the abort's reason when the grace is over. Not `Promise.race` against one
   * long-lived promise, which would keep every result reachable for as long as that lives.
   */
  wait<T>(work: Promise<T> | T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#waiting.add(reject)
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => this.#waiting.delete(reject))
    if (this.#overdue) reject(this.signal.reason)
    return promise
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#parent.removeEventListener('abort', this.#onParent)
  }

  readonly #onParent = (): void => this.abort(this.#parent.reason)

  #giveUp(): void {
    this.#overdue = true
    for (const reject of this.#waiting) reject(this.signal.reason)
  }
}

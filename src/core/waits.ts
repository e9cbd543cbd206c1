/**
 * Waiting for work that may be given up: `end` rejects everything that is waited for, then and later. Not `Promise.race`
 * against one long-lived promise for the end, which would keep every result reachable for as long as that lives.
 */
export class Waits {
  readonly #waiting = new Set<(reason: unknown) => void>()
  #ended: { readonly reason: unknown } | undefined

  wait<T>(work: Promise<T> | T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#waiting.add(reject)
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => this.#waiting.delete(reject))
    if (this.#ended) reject(this.#ended.reason)
    return promise
  }

  /** The first reason is the one that counts. */
  end(reason: unknown): void {
    this.#ended ??= { reason }
    for (const reject of this.#waiting) reject(this.#ended.reason)
  }
}

/** Who waits for a change of which job, in this process. */
export class Changes {
  readonly #waiting = new Map<string, Set<() => void>>()
  ended = false

  announce(jobId: string): void {
    for (const wake of this.#waiting.get(jobId) ?? []) wake()
  }

  /** Resolves at the next change announced from now on, or after `timeoutMs`, or when the signal aborts or everything ends. */
  async next(jobId: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.ended || signal?.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(jobId) ?? new Set()
    this.#waiting.set(jobId, waiting.add(resolve))
    const timer = setTimeout(resolve, timeoutMs)
    const onAbort = (): void => resolve()
    signal?.addEventListener('abort', onAbort, { once: true })
    await promise
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    waiting.delete(resolve)
    if (waiting.size === 0) this.#waiting.delete(jobId)
  }

  end(): void {
    this.ended = true
    for (const jobId of this.#waiting.keys()) this.announce(jobId)
  }
}

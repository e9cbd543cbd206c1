import { MillraceError } from '../core/errors.ts'

export interface RateLimit {
  /** Requests in a second, in the long run. */
  readonly perSecond: number
  /** Requests at once, after a pause. */
  readonly burst: number
}

/** More keys than this are not remembered; those that were idle longest are forgotten, which gives them a full bucket again. */
const MOST_KEYS = 10_000

/** A token bucket for each key, on the process's monotonic clock. */
export class RateLimiter {
  readonly #limit: RateLimit
  /** The key that was used last is the last. */
  readonly #buckets = new Map<string, { readonly level: number; readonly atMs: number }>()

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  /** Throws `too_many_requests`, with the time until one is allowed again. */
  take(key: string): void {
    const { perSecond, burst } = this.#limit
    const atMs = performance.now()
    const before = this.#buckets.get(key) ?? { level: burst, atMs }
    const level = Math.min(burst, before.level + ((atMs - before.atMs) / 1_000) * perSecond)
    this.#buckets.delete(key)
    this.#buckets.set(key, { level: level >= 1 ? level - 1 : level, atMs })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > MOST_KEYS) this.#buckets.delete(oldest!)
    if (level >= 1) return
    throw new MillraceError('too_many_requests', `more than ${perSecond} requests in a second with this key`, {
      retryAfterMs: ((1 - level) / perSecond) * 1_000,
    })
  }
}

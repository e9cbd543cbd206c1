/**
 * Keeps a destination that is down from being hammered (Michael Nygard, "Release It!", "Circuit Breaker"): after some
 * failures in a row, over all batches in flight, no attempt is made until a pause has passed; then a single one, and further pauses
 * until one gets through. Attempts wait for that here, so that no batch spends its own on a destination that is known to be down.
 *
 * Not cockatiel's breaker: it refuses instead of letting wait, and judges its pauses by the wall clock, which may be set back.
 */
import { ExponentialBackoff, halfJitterGenerator, type IBackoff } from 'cockatiel'
import { isMillraceError } from './errors.ts'
import { LONGEST_TIMER_MS } from './timers.ts'

/** What an attempt showed. */
export interface Attempted {
  /** Why it got no row anywhere, although that may pass. Without: the destination is there, whatever it made of the rows. */
  readonly failure?: unknown
}

export type CircuitEvent = { readonly event: 'opened'; readonly error: unknown } | { readonly event: 'closed' }

/** So many failures in a row: more than one broken connection of a busy client comes to, few enough to be felt at once. */
const FAILURES = 5
const PAUSE = new ExponentialBackoff({ generator: halfJitterGenerator, initialDelay: 1_000, maxDelay: 60_000 })

export class Circuit {
  readonly #onEvent: (event: CircuitEvent) => void
  #state: 'closed' | 'open' | 'probing' = 'closed'
  #failures = 0
  #lastFailure: unknown
  #pause: IBackoff<unknown> | undefined
  /** When the next attempt may be made, by the monotonic clock. */
  #probeAt = 0
  /** In the order in which they came; called with whether it is a probe. */
  readonly #waiting = new Set<(probes: boolean) => void>()
  #timer: NodeJS.Timeout | undefined

  constructor(onEvent: (event: CircuitEvent) => void) {
    this.#onEvent = onEvent
  }

  /** What the destination is taken to be down for. */
  get failure(): unknown {
    return this.#state === 'closed' ? undefined : this.#lastFailure
  }

  /** Waits until an attempt may be made, and makes it. Rejects with the signal's reason when that aborts while waiting. */
  async attempt<Result extends Attempted>(make: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted()
    const probes = await this.#turn(signal)
    let result: Result | undefined
    try {
      result = await make()
      return result
    } finally {
      this.#learn(result, probes)
    }
  }

  #turn(signal: AbortSignal): Promise<boolean> | boolean {
    if (this.#state === 'closed') return false
    return new Promise((resolve, reject) => {
      const go = (probes: boolean): void => {
        this.#waiting.delete(go)
        signal.removeEventListener('abort', onAbort)
        resolve(probes)
      }
      const onAbort = (): void => {
        this.#waiting.delete(go)
        this.#arm()
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(go)
      this.#arm()
    })
  }

  /** Without a result nothing was learned: the attempt was aborted. */
  #learn(result: Attempted | undefined, probes: boolean): void {
    const failed = result?.failure !== undefined
    if (failed) this.#lastFailure = result?.failure
    if (result && !failed) this.#close()
    else if (this.#state === 'probing' && probes) this.#open(failed)
    else if (this.#state === 'closed' && failed && ++this.#failures >= FAILURES) {
      this.#open(true)
      this.#onEvent({ event: 'opened', error: this.#lastFailure })
    }
  }

  #open(pauses: boolean): void {
    this.#state = 'open'
    if (pauses) {
      this.#pause = (this.#pause ?? PAUSE).next(undefined)
      this.#probeAt = performance.now() + Math.max(this.#pause.duration, retryAfterMs(this.#lastFailure))
    }
    this.#arm()
  }

  #close(): void {
    this.#failures = 0
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#pause = undefined
    this.#arm()
    this.#onEvent({ event: 'closed' })
    for (const go of [...this.#waiting]) go(false)
  }

  /** There is a timer only while somebody waits for a probe. */
  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#state !== 'open' || this.#waiting.size === 0) return
    const leftMs = Math.max(0, this.#probeAt - performance.now())
    this.#timer = setTimeout(() => this.#probe(), Math.min(LONGEST_TIMER_MS, Math.ceil(leftMs)))
  }

  #probe(): void {
    const [first] = this.#waiting
    if (first && performance.now() >= this.#probeAt) {
      this.#state = 'probing'
      first(true)
    } else this.#arm()
  }
}

/** How long an error asks to be left alone. */
export function retryAfterMs(error: unknown): number {
  return isMillraceError(error) ? (error.retryAfterMs ?? 0) : 0
}

/**
 * A clock that moves only when nothing is left to do at its present time, so that hours of waiting take no time and the
 * same seed gives the same course. Not vitest's fake timers, whose asynchronous steps each cost a real millisecond.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { performance } from 'node:perf_hooks'

export type Random = () => number

/** Mulberry32 (Tommy Ettinger, 2017): small, and good enough for dice. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Timer {
  at: number
  readonly number: number
  readonly everyMs: number | undefined
  readonly run: () => void
}

const real = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, random: Math.random }
const promised = createRequire(import.meta.url)('node:timers/promises') as { setTimeout: unknown }
const realPause = promised.setTimeout

export class SimulatedTime {
  now = 0
  steps = 0
  readonly #random: Random
  readonly #timers = new Map<number, Timer>()
  #numbers = 0

  /** Takes the place of the global timers, `performance.now` and `Math.random` until `restore`. */
  constructor(random: Random) {
    this.#random = random
    const whole = (ms: number): number => (ms >= 1 && ms < 2 ** 31 ? Math.trunc(ms) : 1) // as Node does
    const clear = (handle: { number: number } | undefined) => handle && this.#timers.delete(handle.number)
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 1) => this.#set(run, whole(ms)),
      setInterval: (run: () => void, ms = 1) => this.#set(run, whole(ms), whole(ms)),
      clearTimeout: clear,
      clearInterval: clear,
    })
    performance.now = () => this.now
    Math.random = this.#random
    promised.setTimeout = (ms: number, _: unknown, options?: { signal?: AbortSignal }) =>
      this.pause(whole(ms), options?.signal)
    syncBuiltinESMExports()
  }

  restore(): void {
    const { random, ...timers } = real
    Object.assign(globalThis, timers)
    Reflect.deleteProperty(performance, 'now')
    Math.random = random
    promised.setTimeout = realPause
    syncBuiltinESMExports()
  }

  /** Timers that are set, so what still would run. */
  get timers(): number {
    return this.#timers.size
  }

  /** As a crash does: nothing that waits ever goes on. */
  forget(): void {
    this.#timers.clear()
  }

  /** Rejects when the signal aborts. */
  pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = (): void => {
        this.#timers.delete(timer.number)
        reject(signal?.reason)
      }
      const timer = this.#set(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** A pause of up to `mostMs`, so that what runs in parallel ends in any order. */
  dawdle(mostMs: number, signal?: AbortSignal): Promise<void> {
    return this.pause(this.#random() * mostMs, signal)
  }

  /**
   * Goes on until `work` has ended, and returns its result. Throws if it cannot end any more, because nothing is left that
   * could happen, or has not ended after `mostSteps`. Returns undefined when `crashes` says so after a step.
   */
  async run<T>(work: Promise<T>, mostSteps: number, crashes: () => boolean = () => false): Promise<T | undefined> {
    let ended: { readonly settle: () => Promise<T> } | undefined
    work.then(
      value => {
        ended = { settle: async () => value }
      },
      error => {
        ended = { settle: () => Promise.reject(error) }
      },
    )
    for (let steps = 0; ; steps++) {
      await new Promise<void>(resolve => real.setImmediate(resolve))
      if (ended) return ended.settle()
      if (crashes()) return undefined
      if (steps > mostSteps) throw new Error(`not ended after ${mostSteps} steps, at ${this.now} ms`)
      this.#step()
    }
  }

  #step(): void {
    let next: Timer | undefined
    for (const timer of this.#timers.values()) {
      if (!next || timer.at < next.at || (timer.at === next.at && timer.number < next.number)) next = timer
    }
    if (!next) throw new Error(`nothing is left that could happen, at ${this.now} ms`)
    this.steps++
    this.now = Math.max(this.now, next.at)
    if (next.everyMs === undefined) this.#timers.delete(next.number)
    else next.at += next.everyMs
    next.run()
  }

  #set(run: () => void, ms: number, everyMs?: number) {
    const number = ++this.#numbers
    this.#timers.set(number, { at: this.now + ms, number, everyMs, run })
    const handle = { number, unref: () => handle, ref: () => handle, hasRef: () => true }
    return handle
  }
}

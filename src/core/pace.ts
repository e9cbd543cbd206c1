/**
 * How fast a destination is sent rows and bytes: token buckets, shared by all of its units in this process. Time is the
 * process's monotonic clock. There is a timer only while something waits.
 */
import type { Pace, Wishes } from '../stores/store.ts'
import type { Problem } from './errors.ts'
import { LONGEST_TIMER_MS } from './timers.ts'

/** What one unit passes on the way to its destination. */
export interface Gate {
  /**
   * Whether so much may be sent now, which then counts as sent. If not, the unit is woken when it is its turn; several units
   * take turns.
   */
  take(rows: number, bytes: number): boolean
  /** What still comes may go at once, although it counts: the unit is to end, and cannot without it. */
  hurry(): void
  /** Nothing comes any more. Idempotent. */
  close(): void
}

interface Waiting {
  readonly wake: () => void
}

interface Need {
  readonly rows: number
  readonly bytes: number
}

export class Pacer {
  readonly #rows = new Bucket()
  readonly #bytes = new Bucket()
  /** In the order of their turns, each with the batch that it has next. */
  readonly #line = new Map<Waiting, Need>()
  #timer: NodeJS.Timeout | undefined

  constructor(pace: Pace = {}) {
    this.set(pace)
  }

  /** Holds at once, also for what waits. */
  set({ rowsPerSecond, bytesPerSecond }: Pace): void {
    const changed = [this.#rows.set(rowsPerSecond), this.#bytes.set(bytesPerSecond)]
    if (changed.includes(true)) this.#serve()
  }

  gate(wake: () => void): Gate {
    const waiting: Waiting = { wake }
    let hurried = false
    return {
      take: (rows, bytes) => {
        const need = { rows, bytes }
        const [head = waiting] = this.#line.keys()
        const goes = hurried || (head === waiting && this.#waitMs(need) === 0)
        if (goes) {
          this.#line.delete(waiting)
          this.#rows.spend(rows)
          this.#bytes.spend(bytes)
        } else this.#line.set(waiting, need) // which leaves its place in the line as it is
        this.#arm()
        return goes
      },
      hurry: () => {
        hurried = true
        wake()
      },
      close: () => {
        this.#line.delete(waiting)
        this.#arm()
      },
    }
  }

  #waitMs({ rows, bytes }: Need): number {
    return Math.max(this.#rows.waitMs(rows), this.#bytes.waitMs(bytes))
  }

  /** Wakes who may go. */
  readonly #serve = (): void => {
    for (let [next] = this.#line; next && this.#waitMs(next[1]) === 0; [next] = this.#line) {
      const [waiting, need] = next
      waiting.wake()
      // neither taken nor asked for again: it has no use for its turn any more
      if (this.#line.get(waiting) === need) this.#line.delete(waiting)
    }
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const [need] = this.#line.values()
    if (need) this.#timer = setTimeout(this.#serve, Math.min(LONGEST_TIMER_MS, Math.ceil(this.#waitMs(need))))
  }
}

/** Holds a second's worth. What is larger goes when it is full, and leaves it in debt. */
class Bucket {
  #perSecond: number | undefined
  /** Below 0 in debt. */
  #level = 0
  #at = 0

  /** Undefined: no limit. Answers whether that is news. */
  set(perSecond: number | undefined): boolean {
    if (perSecond === this.#perSecond) return false
    this.#refill()
    // debts are kept, so that changing the pace back and forth gains nothing
    if (perSecond !== undefined)
      this.#level = this.#perSecond === undefined ? perSecond : Math.min(perSecond, this.#level)
    this.#perSecond = perSecond
    return true
  }

  waitMs(amount: number): number {
    if (this.#perSecond === undefined) return 0
    this.#refill()
    return Math.max(0, ((Math.min(amount, this.#perSecond) - this.#level) / this.#perSecond) * 1_000)
  }

  spend(amount: number): void {
    this.#level -= amount
  }

  #refill(): void {
    const now = performance.now()
    const perSecond = this.#perSecond ?? 0
    this.#level = Math.min(perSecond, this.#level + ((now - this.#at) / 1_000) * perSecond)
    this.#at = now
  }
}

/** The paces of a job's destinations, by uid: what is wished, or else what they are registered with. */
export class Paces {
  readonly #pacers = new Map<string, { readonly pacer: Pacer; readonly registered: Pace }>()
  #wished: NonNullable<Wishes['pace']> = {}

  /** The same one whenever the destination goes on, so that a pause forgives no debts. */
  of(uid: string, registered: Pace): Pacer {
    const known = this.#pacers.get(uid)
    if (known) return known.pacer
    const pacer = new Pacer(this.#wished[uid] ?? registered)
    this.#pacers.set(uid, { pacer, registered })
    return pacer
  }

  heed(wished: Wishes['pace'] = {}): void {
    this.#wished = wished
    for (const [uid, { pacer, registered }] of this.#pacers) pacer.set(wished[uid] ?? registered)
  }
}

/** Without what is no part of a pace. Adds to `problems` what is wrong with it. */
export function readPace(pace: Pace, path: string, problems: Problem[]): Pace {
  const { rowsPerSecond, bytesPerSecond } = pace
  const given = Object.entries({ rowsPerSecond, bytesPerSecond }).filter(([, limit]) => limit !== undefined)
  for (const [name, limit] of given) {
    if (!(Number.isSafeInteger(limit) && limit! > 0))
      problems.push({ path: `${path}.${name}`, message: 'must be a whole number above 0' })
  }
  return Object.fromEntries(given)
}

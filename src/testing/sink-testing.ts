import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Order, Sink, SinkSession } from '../sinks/sink.ts'
import type { Delivery } from './sink-delivery.ts'
import { openSession, type TestJob, type TestRow } from './sink-driver.ts'
import type { SinkFaults, SinkTestOptions } from './sink-options.ts'
import { assertKeyOrder, assertOnlyRows, assertSameRows } from './sink-rows.ts'

/** A test by name; the sink's destination is empty and used by nobody else. */
export type SinkCase<S extends Sink> = readonly [name: string, body: (sink: S) => Promise<void>]

/** What the tests of a sink have in common. */
export class SinkTesting<S extends Sink> {
  readonly faults: SinkFaults<S>
  /** Those that the sink keeps. */
  readonly orders: readonly Order[]
  readonly #read: SinkTestOptions<S>['read']
  readonly #patienceMs: number

  constructor({ read, ordered = false, faults = {}, patienceMs = 30_000 }: SinkTestOptions<S>) {
    this.faults = faults
    this.orders = ordered ? ['none', 'key'] : ['none']
    this.#read = read
    this.#patienceMs = patienceMs
  }

  /** The destination holds these rows and no others; under an order, those of a key as they were staged. */
  async expectRows(
    sink: S,
    rows: readonly TestRow[],
    how: 'once' | 'at least once' = 'once',
    order: Order = 'none',
  ): Promise<void> {
    if (!this.#read) return
    const arrived = await this.#read(sink, rows.length)
    assertSameRows(arrived, rows, how)
    if (order !== 'none') assertKeyOrder(arrived, rows)
  }

  /** The destination holds none but these rows, and at least so many of them. */
  async expectSome(sink: S, rows: readonly TestRow[], least: number): Promise<void> {
    if (!this.#read) return
    const arrived = await this.#read(sink, least)
    assertOnlyRows(arrived, rows)
    const there = new Set(arrived).size
    assert.ok(there >= least, `${least} rows were acknowledged, and ${there} are there`)
  }

  async withSession<T>(job: TestJob, use: (session: SinkSession) => Promise<T>): Promise<T> {
    const session = await openSession(job)
    const close = () => this.soon(session.close(), 'the session did not close')
    let result: T
    try {
      result = await use(session)
    } catch (error) {
      await close().catch(() => {}) // the first error is the one to tell
      throw error
    }
    await close()
    return result
  }

  async finish({ ended }: Delivery): Promise<void> {
    assert.equal(await this.soon(ended, 'the delivery did not end'), 'done')
  }

  /** Behind the name of a test. */
  inOrder(order: Order): string {
    return order === 'none' ? '' : ', the rows of a key in their order'
  }

  /** Settles as the promise does, or fails with the message. */
  async soon<T>(promise: Promise<T>, message: string): Promise<T> {
    const timer = new AbortController()
    const late = delay(this.#patienceMs, undefined, { signal: timer.signal }).then(
      () => assert.fail(`${message} within ${this.#patienceMs / 1_000} s`),
      () => new Promise<never>(() => {}),
    )
    try {
      return await Promise.race([promise, late])
    } finally {
      timer.abort()
    }
  }
}

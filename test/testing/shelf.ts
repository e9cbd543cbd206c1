/** A destination in memory that misbehaves as it is told, and sinks to it. */
import { DeliveryError } from '../../src/core/errors.ts'
import { type MessageBatch, rowBytes, type Sink, type SinkContext, type SinkSession } from '../../src/sinks/sink.ts'
import type { SinkFaults, SinkTestOptions } from '../../src/testing/sink.ts'

export class Shelf {
  /** In the order of arrival. */
  readonly rows: string[] = []
  up = true
  forbidden = false
  mostBytes = Number.POSITIVE_INFINITY
  refused: string | undefined
  /** Turned away the first time that they come. */
  turnedAway: string | undefined
  /** Resolves when it answers. */
  answers: Promise<void> = Promise.resolve()
  readonly #seen = new Set<string>()

  /** Answers what it did not take, by position; `inOrder`: nothing behind a row that is to come again. Rejects while it is away. */
  async take(
    rows: readonly string[],
    inOrder = false,
    into: string[] = this.rows,
  ): Promise<Map<number, DeliveryError>> {
    await this.answers
    if (!this.up) throw new DeliveryError('nobody is there', { code: 'destination_unavailable' })
    const failed = new Map<number, DeliveryError>()
    let waits = false
    rows.forEach((row, position) => {
      if (waits) failed.set(position, LATER)
      else if (this.refused !== undefined && row.includes(this.refused)) failed.set(position, NEVER)
      else if (Buffer.byteLength(row) > this.mostBytes) failed.set(position, NEVER)
      else if (this.turnedAway !== undefined && row.includes(this.turnedAway) && !this.#seen.has(row))
        failed.set(position, LATER)
      else into.push(row)
      this.#seen.add(row)
      waits ||= inOrder && failed.get(position) === LATER
    })
    return failed
  }
}

const NEVER = new DeliveryError('refused', { retryable: false })
const LATER = new DeliveryError('busy', { retryable: true })

export interface ShelfSink extends Sink {
  readonly shelf: Shelf
}

export type MakeSession = (shelf: Shelf, context: SinkContext) => SinkSession

export function shelfSink(session: MakeSession): ShelfSink {
  const shelf = new Shelf()
  return {
    type: 'shelf',
    name: 'test',
    shelf,
    async open(context) {
      if (shelf.forbidden) throw new DeliveryError('no shelf', { code: 'destination_misconfigured' })
      return session(shelf, context)
    },
  }
}

/** Keeps every promise. */
export const honest: MakeSession = (shelf, { order }) => {
  const closed = new AbortController()
  return {
    async write(batch, signal) {
      const failed = await unless([signal, closed.signal], shelf.take(textsOf(batch), order !== 'none'))
      if (failed.size > 0) throw new DeliveryError('not all were taken', { failed, rest: 'delivered' })
    },
    async close() {
      closed.abort(new Error('closed'))
    },
  }
}

/** The same, with a commit. */
export const committing: MakeSession = (shelf, { order }) => {
  const closed = new AbortController()
  const open = new Map<string, string[]>()
  return {
    async begin(unit) {
      open.set(unit.id, [])
      return undefined
    },
    async write(batch, signal) {
      const taking = shelf.take(textsOf(batch), order !== 'none', open.get(batch.unit)!)
      const failed = await unless([signal, closed.signal], taking)
      if (failed.size > 0) throw new DeliveryError('not all were taken', { failed, rest: 'delivered' })
    },
    async commit(unit) {
      shelf.rows.push(...open.get(unit.id)!.splice(0))
    },
    async close() {
      closed.abort(new Error('closed'))
    },
  }
}

export function testOptions(
  session: MakeSession,
  options: Partial<SinkTestOptions<ShelfSink>> = {},
): SinkTestOptions<ShelfSink> {
  return {
    create: () => shelfSink(session),
    read: async ({ shelf }) => [...shelf.rows],
    ordered: true,
    manyRows: 2_000,
    patienceMs: 5_000,
    faults,
    ...options,
  }
}

const faults: SinkFaults<ShelfSink> = {
  stall({ shelf }) {
    const { promise, resolve } = Promise.withResolvers<void>()
    shelf.answers = promise
    return resolve
  },
  interrupt({ shelf }) {
    shelf.up = false
    return () => {
      shelf.up = true
    }
  },
  turnAway({ shelf }, mark) {
    shelf.turnedAway = mark
    return undefined
  },
  refuse({ shelf }, mark) {
    shelf.refused = mark
  },
  oversize({ shelf }) {
    shelf.mostBytes = 1_000
    return 1_000
  },
  forbid({ shelf }) {
    shelf.forbidden = true
  },
}

export function textsOf(batch: MessageBatch): string[] {
  return Array.from({ length: batch.rows }, (_, row) => Buffer.from(rowBytes(batch, row)).toString())
}

function unless<T>(signals: readonly AbortSignal[], work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    for (const signal of signals) signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}

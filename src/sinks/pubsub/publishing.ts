/** From a batch to publish requests, and from their answers to what became of each row. */
import { DeliveryError } from '../../core/errors.ts'
import type { MessageBatch } from '../sink.ts'
import type { Connection } from './connection.ts'
import { asDeliveryError, reasonOf, statusOf } from './errors.ts'
import { type Layout, Messages } from './messages.ts'
import { LIMITS } from './options.ts'
import { fieldsOf } from './wire.ts'

/** Of `PublishResponse`. */
const MESSAGE_IDS = 1

export interface Publishing {
  readonly connection: Connection
  readonly layout: Layout
  /**
   * Requests of a batch at the same time. Of more than one, each takes the keys of its own, so that the messages of a key stay in
   * order; those without a key come in any.
   */
  readonly lines: number
  /** The topic, for errors. */
  readonly where: string
}

/** Resolves when the service has acknowledged every row; else rejects with what became of them. */
export async function publish(
  publishing: Publishing,
  batch: MessageBatch,
  signals: readonly AbortSignal[],
): Promise<void> {
  const messages = new Messages(batch, publishing.layout)
  const failed = new Map<number, unknown>(messages.refused)
  const lines = linesOf(messages, publishing.lines).map(rows => new Line(publishing, messages, rows, failed))
  await Promise.all(lines.map(line => line.run(signals)))
  const stopped = lines.flatMap(({ error }) => (error === undefined ? [] : [asDeliveryError(publishing.where, error)]))
  // what waiting does not mend is no row's fault
  const fatal = stopped.find(({ retryable }) => !retryable)
  if (fatal) throw fatal
  const [first] = stopped
  const left = lines.flatMap(line => line.left)
  if (first && left.length === batch.rows) throw first
  for (const row of left) failed.set(row, first)
  if (failed.size === 0) return
  const counts = `${failed.size - left.length} of ${batch.rows} rows were refused, ${left.length} have to be sent again`
  const why = first ?? failed.values().next().value
  throw new DeliveryError(`${publishing.where}: ${counts}: ${why instanceof Error ? why.message : ''}`, {
    failed,
    rest: 'delivered',
    ...(first?.retryAfterMs === undefined ? {} : { retryAfterMs: first.retryAfterMs }),
  })
}

/** The rows that may be sent, spread over so many lines by their keys. */
function linesOf(messages: Messages, count: number): number[][] {
  const lines = Array.from({ length: count }, (): number[] => [])
  for (let row = 0; row < messages.rows; row++) {
    if (messages.refused.has(row)) continue
    const line = count === 1 ? 0 : (messages.keyHash(row) ?? row) % count
    lines[line]!.push(row)
  }
  return lines
}

/** Rows whose requests follow one another. */
class Line {
  readonly #publishing: Publishing
  readonly #messages: Messages
  readonly #rows: readonly number[]
  readonly #failed: Map<number, unknown>
  /** Rows that are settled: all before this one. */
  #settled = 0
  /** Why it went no further. */
  error: unknown

  constructor(publishing: Publishing, messages: Messages, rows: readonly number[], failed: Map<number, unknown>) {
    this.#publishing = publishing
    this.#messages = messages
    this.#rows = rows
    this.#failed = failed
  }

  /** Rows of which nothing is known. */
  get left(): readonly number[] {
    return this.#rows.slice(this.#settled)
  }

  async run(signals: readonly AbortSignal[]): Promise<void> {
    try {
      while (this.#settled < this.#rows.length) await this.#send(this.#fit(), signals)
    } catch (error) {
      this.error = error
    }
  }

  /** How many of the rows that are left go into one request. */
  #fit(): number {
    let bytes = this.#publishing.layout.head.length
    let count = 0
    for (let at = this.#settled; at < this.#rows.length && count < LIMITS.requestMessages; at++) {
      bytes += this.#messages.bytesOf(this.#rows[at]!)
      if (bytes > LIMITS.requestBytes) break
      count++
    }
    return count
  }

  /** A request is refused as a whole, and does not say for which message: halves lead there, in order. */
  async #send(count: number, signals: readonly AbortSignal[]): Promise<void> {
    const rows = this.#rows.slice(this.#settled, this.#settled + count)
    try {
      await this.#request(rows, signals)
    } catch (error) {
      if (statusOf(error) !== 'INVALID_ARGUMENT') throw error
      if (count > 1) {
        const half = Math.ceil(count / 2)
        await this.#send(half, signals)
        return this.#send(count - half, signals)
      }
      const refusal = `${this.#publishing.where} refused a row: ${reasonOf(error)}`
      this.#failed.set(rows[0]!, new DeliveryError(refusal, { retryable: false, cause: error }))
    }
    this.#settled += count
  }

  async #request(rows: readonly number[], signals: readonly AbortSignal[]): Promise<void> {
    const { connection, where } = this.#publishing
    const response = await connection.call('/google.pubsub.v1.Publisher/Publish', this.#messages.encode(rows), signals)
    let acknowledged = 0
    for (const { number } of fieldsOf(response)) if (number === MESSAGE_IDS) acknowledged++
    if (acknowledged === rows.length) return
    throw new DeliveryError(`${where} acknowledged ${acknowledged} of ${rows.length} messages`, {
      code: 'destination_unavailable',
    })
  }
}

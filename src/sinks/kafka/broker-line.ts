import type { Broker, ConnectionPool } from '@platformatic/kafka'
import type { Kafka } from './client.ts'
import type { Produce, ProduceAnswer, ProduceRequest } from './produce.ts'
import { Wire } from './wire.ts'

/** As in Kafka's own clients. A broker takes up one request of a connection at a time: more would only wait there, and time out. */
const IN_FLIGHT = 5

export interface BrokerLineOptions {
  readonly kafka: Kafka
  readonly pool: ConnectionPool
  readonly broker: Broker
  readonly produce: Produce
  /** How long an answer may take. */
  readonly answerMs: number
}

/**
 * The way to one broker: a connection, and whose turn it is to send over it. While the broker throttles, one request at a time is
 * in flight, and none before the time that it asked for has passed (KIP-219): it reads none earlier, and what waits there times out.
 */
export class BrokerLine {
  readonly #options: BrokerLineOptions
  readonly #waiting: (() => void)[] = []
  #wire: Wire | undefined
  #taken = 0
  #throttled = false
  #throttledUntil = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: BrokerLineOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#wire?.connection.isConnected() ?? false
  }

  async open(): Promise<void> {
    if (this.isOpen) return
    const { kafka, pool, broker, answerMs } = this.#options
    const connection = await pool.get(broker)
    // others may have opened it meanwhile
    if (this.#wire?.connection !== connection) this.#wire = new Wire(kafka, connection, answerMs)
  }

  /** Resolves when the caller may send; then it must, or `pass`. First come, first served. */
  turn(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      this.#next()
    })
  }

  pass(): void {
    this.#taken--
    this.#next()
  }

  /** Rejects where there is no answer, and nothing of the request is sent any more. With acks 0 the answer is undefined. */
  async send(request: ProduceRequest): Promise<ProduceAnswer | undefined> {
    try {
      const answer = await this.#options.produce(this.#wire!, request)
      if (answer) this.#heed(answer.throttleMs)
      return answer
    } finally {
      this.pass()
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#wire?.connection.socket.destroy()
  }

  #heed(throttleMs: number): void {
    this.#throttled = throttleMs > 0
    this.#throttledUntil = performance.now() + throttleMs
  }

  #next(): void {
    if (this.#waiting.length === 0 || this.#taken >= (this.#throttled ? 1 : IN_FLIGHT)) return
    const waitMs = this.#throttled ? this.#throttledUntil - performance.now() : 0
    if (waitMs > 0) {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => this.#next(), waitMs)
      return
    }
    this.#taken++
    this.#waiting.shift()!()
    this.#next()
  }
}

import type { Broker, Connection, ConnectionPool } from '@platformatic/kafka'
import type { Produce, ProduceAnswer, ProduceRequest } from './produce.ts'

/** As in Kafka's own clients. A broker takes up one request of a connection at a time: more would only wait there, and time out. */
const IN_FLIGHT = 5

/**
 * The way to one broker: a connection, and whose turn it is to send over it. While the broker throttles, one request at a time is
 * in flight, and none before the time that it asked for has passed (KIP-219): it reads none earlier, and what waits there times out.
 */
export class BrokerLine {
  readonly #pool: ConnectionPool
  readonly #broker: Broker
  readonly #produce: Produce
  readonly #waiting: (() => void)[] = []
  #connection: Connection | undefined
  #taken = 0
  #throttled = false
  #throttledUntil = 0
  #timer: NodeJS.Timeout | undefined

  constructor(pool: ConnectionPool, broker: Broker, produce: Produce) {
    this.#pool = pool
    this.#broker = broker
    this.#produce = produce
  }

  get isOpen(): boolean {
    return this.#connection?.isConnected() ?? false
  }

  async open(): Promise<void> {
    if (!this.isOpen) this.#connection = await this.#pool.get(this.#broker)
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

  /** What the request holds is read before this returns. Rejects where there is no answer. With acks 0 the answer is undefined. */
  async send(request: ProduceRequest): Promise<ProduceAnswer | undefined> {
    try {
      const answer = await this.#ask(request)
      if (answer) this.#heed(answer.throttleMs)
      return answer
    } finally {
      this.pass()
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#connection?.socket.destroy()
  }

  /** Not the API's own promise, which would lose where an error came from. */
  #ask(request: ProduceRequest): Promise<ProduceAnswer | undefined> {
    return new Promise((resolve, reject) => {
      this.#produce(this.#connection!, request, (error, answer) => {
        if (error) reject(error)
        else resolve(request.acks === 0 ? undefined : answer)
      })
    })
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

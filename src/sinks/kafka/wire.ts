import type { Connection } from '@platformatic/kafka'
import type { Kafka } from './client.ts'

/** Its own length, and the correlation id. */
const LEAST_ANSWER_BYTES = 8
/** An answer to one of our requests is a few hundred bytes. What says that it is longer is no Kafka, such as a TLS alert. */
const MOST_ANSWER_BYTES = 2 ** 24

interface Asked {
  readonly resolve: (answer: Buffer | undefined) => void
  readonly reject: (error: unknown) => void
  readonly timeout: NodeJS.Timeout
}

/**
 * Requests of our own over a connection that the client made: it brings TLS, the login and its renewal. Not through its
 * `send`, which copies each request into a new buffer: for a megabyte that costs the host's event loop more than all the rest.
 *
 * Our correlation ids are negative, those of the client are not: answers are told apart by them, and the client gets its own.
 */
export class Wire {
  readonly #kafka: Kafka
  readonly #connection: Connection
  readonly #timeoutMs: number
  readonly #asked = new Map<number, Asked>()
  readonly #passOn: (data: Buffer) => void
  #lastId = -1
  #received: Buffer = Buffer.alloc(0)
  #error: unknown

  /** `timeoutMs`: how long an answer may take; then the connection is given up. */
  constructor(kafka: Kafka, connection: Connection, timeoutMs: number) {
    this.#kafka = kafka
    this.#connection = connection
    this.#timeoutMs = timeoutMs
    const { socket } = connection
    const listeners = socket.listeners('data') as ((data: Buffer) => void)[]
    this.#passOn = data => {
      for (const listener of listeners) listener(data)
    }
    socket.removeAllListeners('data')
    socket.on('data', data => this.#onData(data))
    connection.on('error', error => {
      this.#error = error
    })
    socket.once('close', () => this.#end(this.#error ?? new kafka.NetworkError('Connection closed')))
  }

  get connection(): Connection {
    return this.#connection
  }

  /** Negative, so that it differs from the client's. */
  nextId(): number {
    this.#lastId = this.#lastId === -(2 ** 31) ? -1 : this.#lastId - 1
    return this.#lastId
  }

  /**
   * Sends a request, in parts that must stay as they are until this settles. Resolves with the answer behind its correlation id, or
   * with `undefined`, where none will come, when the request was sent. After it rejects, nothing of the parts is sent any more.
   */
  ask(id: number, parts: readonly Uint8Array[], isAnswered: boolean): Promise<Buffer | undefined> {
    const { socket } = this.#connection
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(() => {
        this.#error = new this.#kafka.TimeoutError('Request timed out', { canRetry: true })
        socket.destroy()
      }, this.#timeoutMs)
      this.#asked.set(id, { resolve, reject, timeout })
      if (socket.destroyed) {
        this.#end(this.#error ?? new this.#kafka.NetworkError('Connection closed'))
        return
      }
      const last = parts.length - 1
      socket.cork()
      for (const [index, part] of parts.entries()) {
        if (index === last && !isAnswered) socket.write(part, error => !error && this.#settle(id, undefined))
        else socket.write(part)
      }
      socket.uncork()
    })
  }

  #onData(data: Buffer): void {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data])
    while (this.#received.length >= LEAST_ANSWER_BYTES) {
      const received = this.#received
      const size = 4 + received.readInt32BE(0)
      const isOther = size < LEAST_ANSWER_BYTES || size > MOST_ANSWER_BYTES
      if (!isOther && received.length < size) return
      this.#received = isOther ? Buffer.alloc(0) : received.subarray(size)
      const message = isOther ? received : received.subarray(0, size)
      const id = message.readInt32BE(4)
      if (isOther || id >= 0) this.#passOn(message)
      else this.#settle(id, message.subarray(LEAST_ANSWER_BYTES))
    }
  }

  #settle(id: number, answer: Buffer | undefined): void {
    const asked = this.#asked.get(id)
    if (!asked) return
    this.#asked.delete(id)
    clearTimeout(asked.timeout)
    asked.resolve(answer)
  }

  #end(error: unknown): void {
    for (const { reject, timeout } of this.#asked.values()) {
      clearTimeout(timeout)
      reject(error)
    }
    this.#asked.clear()
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Msg, MsgHdrs, NatsConnection, QueuedIterator, Status, Subscription } from '@nats-io/transport-node'
import { CancelledError, DeliveryError } from '../../core/errors.ts'
import type { EventHeaders } from '../cloud-events.ts'
import { type MessageBatch, type Proof, rowBytes } from '../sink.ts'
import type { Nats } from './connection.ts'
import { type ApiError, asDeliveryError, judge, misconfigured, nameOf, unavailable } from './errors.ts'
import type { NatsSettings } from './options.ts'
import { type Outcome, PendingWrite } from './pending-write.ts'
import { covers, subjectsOf, textOf } from './subject.ts'

export const ID_HEADER = 'Nats-Msg-Id'
const NO_RESPONDERS = 503

export interface PublisherOptions {
  readonly nats: Nats
  readonly connection: NatsConnection
  readonly settings: NatsSettings
  /** What messages carry that are CloudEvents. */
  readonly event: EventHeaders | undefined
  /** Whose acknowledgements count. */
  readonly stream: string
  readonly ordered: boolean
  /** Asks whether the stream still takes the subject; throws where it does not. */
  readonly checkStream: () => Promise<unknown>
}

interface Acknowledgement {
  readonly stream?: string
  readonly seq?: number
  readonly error?: ApiError
}

/**
 * Publishes rows and waits for the stream's acknowledgements, over one subscription for all of them: `<inbox>.<write>.<row>`. Not
 * the client's own `publish`, which makes a timer, two promises and an error for each message.
 */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #where: string
  /** Ends in a dot. */
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #statuses: QueuedIterator<Status>
  readonly #writes = new Map<number, PendingWrite>()
  /** The client encodes headers while `publish` runs, so that one object does for all messages. */
  readonly #headers: MsgHdrs
  /** Those that have the row's name. */
  readonly #idHeaders: readonly string[]
  /** Of the headers, but for the ids. */
  readonly #headerBytes: number
  #lastWrite = 0
  #turns: Promise<void> = Promise.resolve()
  #isConnected = true
  #ended: Error | undefined
  #checking: Promise<DeliveryError> | undefined

  constructor(options: PublisherOptions) {
    const { nats, connection, settings, event } = options
    this.#options = options
    this.#where = nameOf(settings)
    this.#inbox = `${nats.createInbox(settings.inboxPrefix)}.`
    this.#headers = nats.headers()
    const headers = Object.entries({ ...settings.headers, ...event?.headers })
    for (const [name, value] of headers) this.#headers.set(name, value)
    this.#idHeaders = [ID_HEADER, ...(event?.id === undefined ? [] : [event.id])]
    const lines = [...headers, ...this.#idHeaders.map(name => [name, ''] as const)].map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    this.#headerBytes = Buffer.byteLength(`NATS/1.0\r\n${lines.join('')}\r\n`)
    this.#subscription = connection.subscribe(`${this.#inbox}>`, {
      callback: (error, message) => (error ? this.#end(error) : this.#onAnswer(message)),
    })
    // it is one, and only so can it be stopped while it waits
    this.#statuses = connection.status() as QueuedIterator<Status>
    void this.#watch()
  }

  async write(batch: MessageBatch, signal: AbortSignal): Promise<Proof> {
    await this.#turn()
    signal.throwIfAborted()
    if (this.#ended) throw this.#ended
    if (!this.#isConnected) throw this.#disconnected()
    const number = ++this.#lastWrite
    const write = new PendingWrite({ ...this.#publishing(batch, `${this.#inbox}${number}.`), rows: batch.rows })
    const abort = (): void => write.fail(signal.reason)
    this.#writes.set(number, write)
    signal.addEventListener('abort', abort)
    const timer = this.#expectProgress(write)
    try {
      write.start()
      return this.#conclude(batch, await write.settled)
    } finally {
      clearInterval(timer)
      signal.removeEventListener('abort', abort)
      this.#writes.delete(number)
    }
  }

  close(): void {
    this.#end(new CancelledError('the NATS session was closed'))
    this.#subscription.unsubscribe()
    this.#statuses.stop()
  }

  /**
   * One write begins in a turn of the event loop. Answers are read many at a time: if each write that these complete let the next one
   * publish at once, the server would have answered that before the reading is over, and the host's loop would stand still.
   */
  #turn(): Promise<void> {
    this.#turns = this.#turns.then(() => nextTurn())
    return this.#turns
  }

  #publishing(batch: MessageBatch, replyPrefix: string): Omit<ConstructorParameters<typeof PendingWrite>[0], 'rows'> {
    const { connection, settings, ordered } = this.#options
    const idOf = textOf(batch.ids!)
    const mostBytes = connection.info?.max_payload ?? Number.POSITIVE_INFINITY
    return {
      ordered,
      subjectOf: subjectsOf(settings.subject, batch.columns, settings.subjectValues),
      refuse: reason => new DeliveryError(reason, { retryable: false }),
      publish: (row, subject) => {
        const [payload, id] = [rowBytes(batch, row), idOf(row)!]
        const bytes = this.#headerBytes + this.#idHeaders.length * Buffer.byteLength(id) + payload.length
        if (bytes > mostBytes) {
          const reason = `it has ${bytes} bytes with its headers, and the server takes ${mostBytes} (max_payload)`
          return new DeliveryError(reason, { retryable: false })
        }
        for (const name of this.#idHeaders) this.#headers.set(name, id)
        try {
          connection.publish(subject, payload, { reply: replyPrefix + row, headers: this.#headers })
        } catch (error) {
          this.#end(error) // it is closed, or drains
        }
        return undefined
      },
    }
  }

  #onAnswer(message: Msg): void {
    const [number, row] = message.subject.slice(this.#inbox.length).split('.').map(Number) as [number, number]
    const write = this.#writes.get(number)
    if (!write) return
    if (message.data.length === 0 && message.headers?.code === NO_RESPONDERS) {
      void this.#whyNobody('no stream took it').then(error => this.#lose(write, row, error))
      return
    }
    const { stream, seq, error } = parse(message)
    if (error) this.#judge(write, row, error)
    else if (stream === this.#options.stream && seq !== undefined) write.acknowledged(row, seq)
    else if (stream !== undefined)
      write.fail(
        misconfigured(this.#where, `stream ${stream} acknowledged a message in place of ${this.#options.stream}`),
      )
    // else somebody who listens to the subject has answered; the stream is yet to
  }

  #judge(write: PendingWrite, row: number, error: ApiError): void {
    const reason = `stream ${this.#options.stream}: ${error.description} (${error.err_code})`
    const verdict = judge(error)
    if (verdict === 'refused') write.refused(row, new DeliveryError(reason, { retryable: false }))
    else if (verdict === 'may pass') write.lost(row, unavailable(this.#where, reason))
    else write.fail(misconfigured(this.#where, reason))
  }

  #lose(write: PendingWrite, row: number | 'all', error: DeliveryError): void {
    if (!error.retryable) write.fail(error)
    else if (row === 'all') write.allLost(error)
    else write.lost(row, error)
  }

  /** Whoever asks at the same time shares the answer. */
  #whyNobody(symptom: string): Promise<DeliveryError> {
    this.#checking ??= this.#options
      .checkStream()
      .then(
        () => unavailable(this.#where, symptom),
        error => asDeliveryError(this.#where, error) as DeliveryError,
      )
      .finally(() => {
        this.#checking = undefined
      })
    return this.#checking
  }

  /** Rows that stay without an answer for one to two timeouts, in which no other of the batch came either, are lost. */
  #expectProgress(write: PendingWrite): NodeJS.Timeout {
    const { timeoutMs } = this.#options.settings
    let before = 0
    return setInterval(() => {
      const hangs = write.progress === before
      before = write.progress
      if (!hangs) return
      const symptom = `no acknowledgement came within ${timeoutMs / 1000} s (timeoutMs)`
      void this.#whyNobody(symptom).then(error => this.#lose(write, 'all', error))
    }, timeoutMs)
  }

  #conclude({ rows }: MessageBatch, { proof, failed }: Outcome): Proof {
    const [first] = failed.values()
    if (first === undefined) return proof
    if (failed.size === rows && first.code === 'destination_unavailable') {
      if ([...failed.values()].every(({ retryable }) => retryable)) throw first
    }
    const message = `${this.#where}: ${failed.size} of ${rows} rows were not taken: ${first.message}`
    throw new DeliveryError(message, { failed, rest: 'delivered', proof })
  }

  async #watch(): Promise<void> {
    for await (const status of this.#statuses) {
      if (status.type === 'disconnect') {
        this.#isConnected = false
        for (const write of this.#writes.values()) write.allLost(this.#disconnected())
      } else if (status.type === 'reconnect') this.#isConnected = true
      else if (status.type === 'error') this.#onError(status.error)
      else if (status.type === 'close') {
        void this.#options.connection.closed().then(error => this.#end(error ?? new Error('the connection was closed')))
      }
    }
  }

  /** A message that the user may not publish gets no answer. Its subject may hold a row's value: the error is told without it. */
  #onError(error: Error): void {
    const { operation, subject } = error as { readonly operation?: string; readonly subject?: string }
    const { pattern } = this.#options.settings.subject
    if (error.name !== 'PermissionViolationError' || operation !== 'publish' || !covers(pattern, subject ?? '')) return
    const denied = misconfigured(this.#where, `the user may not publish to one of ${pattern}`)
    for (const write of this.#writes.values()) write.fail(denied)
  }

  #disconnected(): DeliveryError {
    return unavailable(this.#where, 'the connection is lost')
  }

  /** Nothing is published any more. Only a session knows how to connect: the destination fails. */
  #end(reason: unknown): void {
    if (this.#ended) return
    const error = asDeliveryError(this.#where, reason)
    this.#ended =
      error.code === 'destination_unavailable'
        ? new DeliveryError(error.message, { code: error.code, retryable: false, cause: reason })
        : error
    for (const write of this.#writes.values()) write.fail(this.#ended)
  }
}

function parse(message: Msg): Acknowledgement {
  try {
    return message.json<Acknowledgement | null>() ?? {}
  } catch {
    return {}
  }
}

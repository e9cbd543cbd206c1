/** Writes of a webhook: each batch is a request, or several where the endpoint finds it too large. */
import pLimit from 'p-limit'
import { CancelledError, DeliveryError, isMillraceError } from '../../core/errors.ts'
import { type EventHeaders, eventHeaders } from '../cloud-events.ts'
import { within } from '../deadline.ts'
import { type MessageBatch, type SinkContext, type SinkSession, textBytes } from '../sink.ts'
import { unlessAborted } from '../unless-aborted.ts'
import { asDeliveryError, failureOf, TOO_LARGE } from './answers.ts'
import { BODIES, bodyOf, COMPRESS, type Rows } from './body.ts'
import type { Route, WebhookResponse } from './dispatchers.ts'
import type { WebhookSettings } from './options.ts'
import { type Signing, signatureHeaders } from './signing.ts'

export function webhookSession(
  settings: WebhookSettings,
  route: Route,
  { cloudEvents, reframe }: Pick<SinkContext, 'cloudEvents' | 'reframe'>,
): SinkSession {
  const { body, concurrency, batchBytes, batchRows = 500, lingerMs, dispatcher } = settings
  const event = cloudEvents && eventHeaders(cloudEvents, 'ce-')
  const deliverer = new Deliverer(settings, route, reframe, event)
  // over all units of the job, which each have `inFlight` of their own
  const limit = pLimit(concurrency)
  const ended = new AbortController()
  return {
    encoding: BODIES[body].encoding,
    // what a dispatcher of the host does with a body is not known
    asks: { sharedMemory: dispatcher === undefined, ids: event?.id !== undefined },
    limits: {
      inFlight: concurrency,
      batchRows: body === 'row' ? 1 : batchRows,
      batchBytes,
      ...(lingerMs === undefined ? {} : { lingerMs }),
    },
    stableBatches: lingerMs === undefined,
    // what waits for its turn is not to wait on when it is not wanted any more
    write: (batch, signal) => {
      const signals = [signal, ended.signal]
      return unlessAborted(signals, () => limit(() => deliverer.deliver(batch, signals)))
    },
    close() {
      ended.abort(new CancelledError('the webhook session was closed'))
      return route.close()
    },
  }
}

/** Each ends the delivery. */
type Signals = readonly AbortSignal[]

/** Of a batch that is sent in pieces. */
interface Progress {
  /** Pieces with an outcome: their keys. */
  readonly settled: Set<string>
  readonly refused: Map<number, DeliveryError>
}

/** A body that was too large. */
interface Size {
  /** Before compression, and after. */
  readonly rawBytes: number
  readonly sentBytes: number
}

class TooLarge extends Error {}

/** CloudEvents JSON Event Format, section 4: JSON Batch Format. For NDJSON there is no such type. */
const EVENT_BATCH = 'application/cloudevents-batch+json; charset=UTF-8'

class Deliverer {
  readonly #settings: WebhookSettings
  readonly #route: Route
  readonly #url: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #reframe: SinkContext['reframe']
  readonly #signing: Signing
  /** Of an event whose attributes are headers. */
  readonly #idHeader: string | undefined
  /**
   * By the name of the batch, until all of its rows have an outcome. It is tried again as a whole, since a batch of only the rows that
   * are left would have another name and its pieces other keys.
   */
  readonly #inPieces = new Map<string, Progress>()
  #tooLarge: Size | undefined

  constructor(
    settings: WebhookSettings,
    route: Route,
    reframe: SinkContext['reframe'],
    event: EventHeaders | undefined,
  ) {
    const { url, headers, body, compression, hashKey, standardWebhooks } = settings
    this.#settings = settings
    this.#route = route
    this.#url = new URL(url)
    this.#signing = { hashKey, standardKeys: standardWebhooks?.keys ?? [] }
    this.#reframe = reframe
    this.#idHeader = event?.id
    this.#headers = {
      'content-type': BODIES[body].type,
      ...(event && body === 'row' ? event.headers : {}),
      ...(event && body === 'json-array' ? { 'content-type': EVENT_BATCH } : {}),
      'user-agent': 'millrace',
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
      ...(compression === 'none' ? {} : { 'content-encoding': compression }),
    }
  }

  async deliver(batch: MessageBatch, signals: Signals): Promise<void> {
    const all = { start: 0, end: batch.rows }
    const progress = this.#inPieces.get(batch.name)
    if (progress) return this.#deliverPieces(batch, all, progress, signals)
    try {
      await this.#send(batch, all, signals)
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      if (batch.rows === 1) throw this.#oversized()
      const progress = { settled: new Set<string>(), refused: new Map<number, DeliveryError>() }
      this.#inPieces.set(batch.name, progress)
      await this.#deliverPieces(batch, all, progress, signals)
    }
  }

  async #deliverPieces(batch: MessageBatch, all: Rows, progress: Progress, signals: Signals): Promise<void> {
    for (const half of halvesOf(all)) await this.#deliverPiece(batch, half, progress, signals)
    this.#inPieces.delete(batch.name)
    const { refused } = progress
    if (refused.size === 0) return
    const { message } = refused.values().next().value!
    throw new DeliveryError(message, { failed: refused, rest: 'delivered' })
  }

  /** Resolves when each of the rows was delivered or refused for good. */
  async #deliverPiece(batch: MessageBatch, rows: Rows, progress: Progress, signals: Signals): Promise<void> {
    const { start, end } = rows
    const key = keyOf(batch, rows)
    if (progress.settled.has(key)) return
    try {
      await this.#send(batch, rows, signals)
    } catch (error) {
      if (error instanceof TooLarge && end - start > 1) {
        for (const half of halvesOf(rows)) await this.#deliverPiece(batch, half, progress, signals)
      } else {
        const refusal = error instanceof TooLarge ? this.#oversized() : error
        if (!isRefusal(refusal)) throw refusal
        for (let row = start; row < end; row++) progress.refused.set(row, refusal)
      }
    }
    progress.settled.add(key)
  }

  /** Resolves when the endpoint has taken the rows; rejects with `TooLarge` if they are to be sent in smaller pieces. */
  async #send(batch: MessageBatch, rows: Rows, signals: Signals): Promise<void> {
    const { body: kind, compression } = this.#settings
    const raw = await bodyOf(batch, rows, kind, this.#reframe)
    const body = await COMPRESS[compression](raw)
    const size = { rawBytes: raw.length, sentBytes: body.length }
    if (rows.end - rows.start > 1 && isAtLeast(size, this.#tooLarge)) throw new TooLarge()
    const response = await this.#post(keyOf(batch, rows), body, this.#idOf(batch, rows), signals)
    if (response.statusCode === TOO_LARGE) {
      if (!this.#tooLarge || isAtLeast(this.#tooLarge, size)) this.#tooLarge = size
      throw new TooLarge()
    }
    const failure = failureOf(this.#url.origin, response)
    if (failure) throw failure
  }

  /** Such a body has one row. */
  #idOf({ ids }: MessageBatch, { start }: Rows): Readonly<Record<string, string>> {
    return this.#idHeader === undefined ? {} : { [this.#idHeader]: Buffer.from(textBytes(ids!, start)!).toString() }
  }

  async #post(
    key: string,
    body: Uint8Array,
    own: Readonly<Record<string, string>>,
    signals: Signals,
  ): Promise<WebhookResponse> {
    const { timeoutMs } = this.#settings
    const { origin, pathname, search } = this.#url
    const late = () =>
      new DeliveryError(`${origin} did not answer within ${timeoutMs / 1000} s (timeoutMs)`, {
        code: 'destination_unavailable',
      })
    let response: WebhookResponse | undefined
    try {
      await within(timeoutMs, signals, late, async stop => {
        response = await this.#route.dispatcher.request({
          origin,
          path: pathname + search,
          method: 'POST',
          headers: {
            ...this.#headers,
            ...own,
            'x-idempotency-key': key,
            ...signatureHeaders(this.#signing, key, body),
          },
          body,
          signal: stop,
          headersTimeout: 0,
          bodyTimeout: 0,
        })
        await response.body.dump()
      })
    } catch (error) {
      // the status says all, however the rest of the answer ended
      if (response) return response
      for (const signal of signals) signal.throwIfAborted()
      throw asDeliveryError(origin, error)
    }
    return response!
  }

  #oversized(): DeliveryError {
    return new DeliveryError(`${this.#url.origin} answered ${TOO_LARGE}: a single row is larger than it takes`)
  }
}

/** Names exactly these rows, also after a crash if the batch's name does. */
function keyOf({ name, rows }: MessageBatch, { start, end }: Rows): string {
  return end - start === rows ? name : `${name}~${start}-${end}`
}

function halvesOf({ start, end }: Rows): readonly Rows[] {
  const middle = Math.ceil((start + end) / 2)
  return [
    { start, end: middle },
    { start: middle, end },
  ]
}

/**
 * In both, whichever the endpoint judges by: then it would not take this one either. It is cut without being sent, as it would be after
 * the answer, so that the pieces have the same keys.
 */
function isAtLeast(size: Size, than: Size | undefined): boolean {
  return than !== undefined && size.rawBytes >= than.rawBytes && size.sentBytes >= than.sentBytes
}

/** The rows are at fault, and not the set-up nor the moment. */
function isRefusal(error: unknown): error is DeliveryError {
  return isMillraceError(error) && error.code === 'delivery_failed' && !error.retryable
}

// A sink of one's own: rows as NDJSON to an HTTP endpoint.
import { DeliveryError, type Sink } from 'millrace'

export interface HttpSinkOptions {
  readonly name: string
  readonly url: string
  readonly token?: string
}

export function httpSink({ name, url, token }: HttpSinkOptions): Sink {
  return {
    type: 'http',
    name,
    async open() {
      const closed = new AbortController()
      return {
        encoding: { kind: 'ndjson' },
        limits: { inFlight: 8, batchRows: 500 },
        stableBatches: true, // the endpoint recognises what it has seen by the batch's name

        async write(batch, signal) {
          const headers = { 'idempotency-key': batch.name, ...(token ? { authorization: `Bearer ${token}` } : {}) }
          const either = AbortSignal.any([signal, closed.signal])
          const response = await fetch(url, { method: 'POST', body: batch.bytes, headers, signal: either })
          if (response.ok) return
          const retryAfterMs = 1_000 * Number(response.headers.get('retry-after'))
          const retryable = response.status === 429 || response.status >= 500
          throw new DeliveryError(`HTTP ${response.status}`, {
            retryable,
            ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
          })
        },

        close: async () => closed.abort(),
      }
    },
  }
}

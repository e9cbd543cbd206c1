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
    open: async () => ({
      encoding: { kind: 'ndjson' },
      limits: { inFlight: 8, batchRows: 500 },
      // the endpoint recognises what it has seen by the batch's name
      stableBatches: true,

      async write(batch, signal) {
        const headers = { 'idempotency-key': batch.name, ...(token ? { authorization: `Bearer ${token}` } : {}) }
        const response = await fetch(url, { method: 'POST', body: batch.bytes, headers, signal })
        if (response.ok) return
        const retryAfter = Number(response.headers.get('retry-after'))
        throw new DeliveryError(`HTTP ${response.status}`, {
          retryable: response.status === 429 || response.status >= 500,
          ...(retryAfter > 0 ? { retryAfterMs: retryAfter * 1_000 } : {}),
        })
      },

      async close() {},
    }),
  }
}

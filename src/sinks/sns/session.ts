import type { SNSClient } from '@aws-sdk/client-sns'
import pLimit from 'p-limit'
import { CancelledError, DeliveryError } from '../../core/errors.ts'
import type { SinkSession } from '../sink.ts'
import type { Sns } from './client.ts'
import { readMessages } from './messages.ts'
import type { SnsSettings } from './options.ts'
import { Publication } from './publication.ts'
import { byGroup, REQUEST_MESSAGES, sideBySide } from './requests.ts'
import type { Topic } from './topic.ts'

export interface Opened {
  readonly sns: Sns
  readonly client: SNSClient
  readonly topic: Topic
}

const BATCH_BYTES = 4 * 1024 * 1024

/**
 * A batch fills all requests that may be under way. Requests of 10 rows as batches of their own would be simpler, but each would cross
 * threads by itself, and a FIFO topic would have one request in flight at a time instead of one for each of many groups.
 */
export function snsSession(settings: SnsSettings, { sns, client, topic }: Opened): SinkSession {
  const { fifo, maxRequests, idAttribute, attributes, group } = settings
  const limit = pLimit(maxRequests)
  const ended = new AbortController()
  const deliveries = new Map<string, number>()
  const values = [...Object.values(attributes), ...(group ? [group] : [])]
  const columns = [...new Set(values.flatMap(value => (typeof value === 'string' ? [] : [value.column])))]

  return {
    asks: { ids: fifo || idAttribute !== undefined, columns, sharedMemory: true },
    // of a FIFO topic what waits for another attempt must not be overtaken
    limits: { inFlight: fifo ? 1 : 2, batchRows: maxRequests * REQUEST_MESSAGES, batchBytes: BATCH_BYTES },

    async begin(unit) {
      deliveries.set(unit.id, unit.delivery)
      return undefined
    },

    async write(batch, signal) {
      const { messages, refused } = readMessages(batch, settings, topic, deliveries.get(batch.unit) ?? 0)
      const chains = fifo ? byGroup(messages, topic.maxBytes, maxRequests) : sideBySide(messages, topic.maxBytes)
      const publication = new Publication(sns, client, settings, limit, [signal, ended.signal])
      const failed = new Map([...refused, ...(await publication.publish(chains))])
      if (failed.size > 0) throw partly(batch.rows, failed)
    },

    async close() {
      ended.abort(new CancelledError('the SNS session was closed'))
      if (!settings.client) client.destroy()
    },
  }
}

/** Says the reason of a row that may be tried again if there is one: it is what the engine waits for. */
function partly(rows: number, failed: ReadonlyMap<number, DeliveryError>): DeliveryError {
  const causes = [...failed.values()]
  const waited = causes.filter(cause => cause.retryable)
  const retryAfterMs = Math.max(0, ...waited.map(cause => cause.retryAfterMs ?? 0))
  const reason = (waited[0] ?? causes[0])!.message
  const message = `${failed.size} of ${rows} messages were not published. ${reason}`
  return new DeliveryError(message, { failed, rest: 'delivered', ...(retryAfterMs > 0 ? { retryAfterMs } : {}) })
}

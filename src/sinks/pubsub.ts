/** Google Cloud Pub/Sub, through `@google-cloud/pubsub`. */

import { loadDriver } from '../core/driver.ts'
import { CancelledError, DeliveryError } from '../core/errors.ts'
import { eventHeaders, idHeaderOf } from './cloud-events.ts'
import { within } from './deadline.ts'
import { type Connection, connect } from './pubsub/connection.ts'
import { asDeliveryError } from './pubsub/errors.ts'
import { layoutOf } from './pubsub/messages.ts'
import { LIMITS, type PubsubSettings, type PubsubSinkOptions, readOptions } from './pubsub/options.ts'
import { publish } from './pubsub/publishing.ts'
import { checkTopic } from './pubsub/topic.ts'
import type { CloudEvents, Sink, SinkContext, SinkSession } from './sink.ts'
import { requireFit } from './table-fit.ts'

/**
 * A topic. Each row is a message with the row's JSON as its data. At least once; Pub/Sub drops nothing that is sent twice.
 *
 * A batch is one publish request, of up to 1,000 messages, and as many as `inFlight` are under way. The service acknowledges each message
 * by an id; there is no range to tell of, so a write has no proof. Not through the client's own publisher: that collects messages in a queue
 * which knows neither backpressure nor the engine's retries, stops a key for good at its first failure, and takes an object for each row.
 *
 * Under an `order` the messages of one ordering key are published in staged order, retries included: one batch of a unit at a time, of up to
 * 1,000 messages for each of `inFlight` requests, between which its keys are divided. That needs `orderingKey`.
 *
 * Refused for good: a row over 10 MB (as a request of its own), an ordering key or an attribute over 1,024 bytes, and what the topic's
 * schema does not allow. A request that is refused because of one message is halved until that one is found.
 *
 * Throws a `ConfigError` that lists every problem of the options.
 */
export function pubsubSink(options: PubsubSinkOptions): Sink {
  const settings = readOptions(options)
  return {
    type: 'pubsub',
    name: settings.name,
    binaryCloudEvents: true,
    open: context => open(asEvents(settings, context.cloudEvents), context),
  }
}

function asEvents(settings: PubsubSettings, events: CloudEvents | undefined): PubsubSettings {
  if (!events) return settings
  const event = eventHeaders(events, 'ce-')
  const idAttribute = idHeaderOf(settings.idAttribute, event)
  return {
    ...settings,
    attributes: { ...settings.attributes, ...event.headers },
    ...(idAttribute ? { idAttribute } : {}),
  }
}

async function open(settings: PubsubSettings, context: SinkContext): Promise<SinkSession> {
  requireColumns(settings, context)
  const pubsub = await loadDriver('@google-cloud/pubsub', () => import('@google-cloud/pubsub'))
  const where = `Pub/Sub topic "${settings.topic}"`
  const { timeoutMs } = settings
  const late = () =>
    new DeliveryError(`${where} could not be opened within ${timeoutMs / 1000} s (timeoutMs)`, {
      code: 'destination_unavailable',
    })
  try {
    const connection = await within(timeoutMs, [context.signal], late, async stop => {
      const connection = await connect(pubsub, settings)
      try {
        stop.throwIfAborted()
        await checkTopic(connection, stop)
        return connection
      } catch (error) {
        connection.close()
        throw error
      }
    })
    return pubsubSession(settings, context, connection)
  } catch (error) {
    context.signal.throwIfAborted()
    throw asDeliveryError(where, error)
  }
}

function requireColumns({ orderingKey, attributes }: PubsubSettings, { schema, order }: SinkContext): void {
  const has = (name: string) => schema.columns.some(column => column.name === name)
  const problems: string[] = []
  if (orderingKey === undefined) {
    if (order !== 'none') problems.push(`order "${order}" needs an orderingKey, without which Pub/Sub keeps none`)
  } else if (!has(orderingKey)) problems.push(`it has no column "${orderingKey}" for the ordering key`)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'object' && !has(value.column))
      problems.push(`it has no column "${value.column}" for the attribute "${name}"`)
  }
  requireFit('Pub/Sub', schema, problems)
}

function pubsubSession(
  settings: PubsubSettings,
  { order, signal: hurry }: SinkContext,
  connection: Connection,
): SinkSession {
  const { orderingKey, attributes, idAttribute, inFlight, batchBytes, lingerMs } = settings
  const lines = order === 'none' ? 1 : inFlight
  const named = Object.values(attributes).flatMap(value => (typeof value === 'object' ? [value.column] : []))
  const columns = [...new Set(orderingKey === undefined ? named : [orderingKey, ...named])]
  const layout = layoutOf(settings, connection.topic)
  const publishing = { connection, layout, lines, where: `Pub/Sub topic "${settings.topic}"` }
  // gRPC lets calls that are under way go on when their channel closes
  const ended = new AbortController()
  return {
    asks: { ids: idAttribute !== undefined, sharedMemory: true, ...(columns.length > 0 ? { columns } : {}) },
    limits: {
      inFlight: order === 'none' ? inFlight : 1,
      batchRows: LIMITS.requestMessages * lines,
      batchBytes,
      lingerMs,
    },
    write: (batch, signal) => publish(publishing, batch, [signal, hurry, ended.signal]),
    async close() {
      ended.abort(new CancelledError('the Pub/Sub session was closed'))
      connection.close()
    },
  }
}

export type { PubsubClient, PubsubSinkOptions } from './pubsub/options.ts'

/** NATS JetStream, through `@nats-io/jetstream` and `@nats-io/transport-node`. */
import type { NatsConnection } from '@nats-io/transport-node'
import type { TableSchema } from '../columnar/column-type.ts'
import { loadDriver } from '../core/driver.ts'
import { eventHeaders } from './cloud-events.ts'
import { within } from './deadline.ts'
import { closeConnection, connectTo, type Nats } from './nats/connection.ts'
import { asDeliveryError, misconfigured, nameOf, unavailable } from './nats/errors.ts'
import { type NatsSettings, type NatsSinkOptions, readOptions } from './nats/options.ts'
import { Publisher } from './nats/publisher.ts'
import { readStreamBack } from './nats/read-back.ts'
import { findStream, type JetStream, managerOf, requirePermission } from './nats/stream.ts'
import type { Sink, SinkContext, SinkSession } from './sink.ts'

/** What is published in one turn of the host's event loop. */
const BATCH_ROWS = 250

/**
 * The subjects of one stream. Each row is a message with the row's JSON as its payload and its stable name as `Nats-Msg-Id`, and is
 * delivered when the stream has acknowledged it. At least once: what is sent again within the stream's `duplicate_window` is stored
 * once, so that a retry or a restart within it leaves nothing twice. For the same reason a redelivery within the window stores nothing.
 *
 * Under an `order`, the rows of one subject are stored in theirs, whatever has to be sent again: each is published when the one
 * before it was acknowledged. Name the key in the subject, `orders.{customer}`, so that many subjects are under way at a time.
 *
 * The proof of a write is the ranges of its sequence numbers in the stream, as partition 0; by these the messages are read back.
 *
 * Throws a `ConfigError` that lists every problem of the options.
 */
export function natsSink(options: NatsSinkOptions): Sink {
  const settings = readOptions(options)
  return {
    type: 'nats',
    name: settings.name,
    binaryCloudEvents: true,
    open: context => open(settings, context),
    async *readBack(job, signal) {
      const { nats, jetStream } = await loadDrivers()
      const connection = await connectTo(nats, settings, signal)
      try {
        yield* readStreamBack(jetStream, connection, settings, job, signal)
      } catch (error) {
        throw signal.aborted ? error : asDeliveryError(nameOf(settings), error)
      } finally {
        await closeConnection(settings, connection)
      }
    },
  }
}

interface Drivers {
  readonly nats: Nats
  readonly jetStream: JetStream
}

async function loadDrivers(): Promise<Drivers> {
  const nats = await loadDriver('@nats-io/transport-node', () => import('@nats-io/transport-node'))
  const jetStream = await loadDriver('@nats-io/jetstream', () => import('@nats-io/jetstream'))
  return { nats, jetStream }
}

async function open(settings: NatsSettings, context: SinkContext): Promise<SinkSession> {
  requireColumns(settings, context.schema)
  const drivers = await loadDrivers()
  const { deadlineMs } = settings
  const late = () => unavailable(nameOf(settings), `could not be opened within ${deadlineMs / 1000} s (deadlineMs)`)
  return within(deadlineMs, [context.signal], late, async stop => {
    try {
      const connection = await connectTo(drivers.nats, settings, stop)
      return await openOn(connection, drivers, settings, context, stop)
    } catch (error) {
      throw asDeliveryError(nameOf(settings), error)
    }
  })
}

async function openOn(
  connection: NatsConnection,
  { nats, jetStream }: Drivers,
  settings: NatsSettings,
  { order, cloudEvents }: SinkContext,
  stop: AbortSignal,
): Promise<SinkSession> {
  try {
    const manager = await managerOf(jetStream, connection, settings)
    const stream = await findStream(manager, settings)
    await requirePermission(connection, settings)
    stop.throwIfAborted()
    const checkStream = () => findStream(manager, { ...settings, stream })
    const ordered = order !== 'none'
    const event = cloudEvents && eventHeaders(cloudEvents, 'ce-')
    const publisher = new Publisher({ nats, connection, settings, event, stream, ordered, checkStream })
    return natsSession(settings, publisher, connection)
  } catch (error) {
    await closeConnection(settings, connection)
    throw error
  }
}

function natsSession(settings: NatsSettings, publisher: Publisher, connection: NatsConnection): SinkSession {
  const { subject, maxPending } = settings
  return {
    encoding: { kind: 'rows' },
    asks: { ids: true, columns: [...new Set(subject.columns)], sharedMemory: true },
    limits: {
      inFlight: Math.max(1, Math.floor(maxPending / BATCH_ROWS)),
      batchRows: Math.min(BATCH_ROWS, maxPending),
    },
    write: (batch, signal) => publisher.write(batch, signal),
    async close() {
      publisher.close()
      await closeConnection(settings, connection)
    },
  }
}

function requireColumns(settings: NatsSettings, { table, columns }: TableSchema): void {
  const names = columns.map(({ name }) => name)
  const missing = settings.subject.columns.filter(name => !names.includes(name))
  if (missing.length === 0) return
  const reason = `table "${table}" has no column ${missing.map(name => `"${name}"`).join(', ')}`
  throw misconfigured(nameOf(settings), `${reason}. Its columns are ${names.join(', ')}`)
}

export type { Credential, NatsAuth, NatsSinkOptions, NatsTls } from './nats/options.ts'

/** Kafka, through `@platformatic/kafka`. */

import type { TableSchema } from '../columnar/column-type.ts'
import { loadDriver } from '../core/driver.ts'
import { DeliveryError, MillraceError } from '../core/errors.ts'
import { clientOptions, closeClient, guarded } from './kafka/client.ts'
import { within } from './kafka/deadline.ts'
import { reasonOf } from './kafka/errors.ts'
import { type KafkaSettings, type KafkaSinkOptions, readOptions } from './kafka/options.ts'
import { kafkaSession } from './kafka/session.ts'
import { nameOf, prepareTopic, type Topic } from './kafka/topic.ts'
import type { Sink, SinkContext, SinkSession } from './sink.ts'

/**
 * A topic. Each row is a record with the row's JSON as its value. At least once: the broker drops what the client sends
 * twice (`idempotent`), but not what a new process sends again after a crash. With `order: 'key'` or `'total'` one batch
 * at a time is in flight, and the records of a partition keep the order of their rows.
 *
 * How many partitions keys are spread over is fixed when a job starts: partitions added later stay empty until it ends.
 * The proof of a write is the range of offsets in each partition.
 *
 * Throws a `ConfigError` that lists every problem of the options.
 */
export function kafkaSink(options: KafkaSinkOptions): Sink {
  const settings = readOptions(options)
  return { type: 'kafka', name: settings.name, open: context => open(settings, context) }
}

async function open(settings: KafkaSettings, context: SinkContext): Promise<SinkSession> {
  requireColumns(settings, context.schema)
  const { Admin, Producer } = await loadDriver('@platformatic/kafka', () => import('@platformatic/kafka'))
  const found = await findTopic(Admin, settings, context)
  if (context.probe || found === undefined) return PROBED
  const topic = settings.key === undefined ? found : await pinPartitions(found, settings, context)
  const ordered = context.order !== 'none'
  return kafkaSession(Producer, settings, { topic, ordered, signal: context.signal })
}

const PROBED: SinkSession = {
  async write() {
    throw new MillraceError('internal', 'a probed session takes no rows')
  },
  async close() {},
}

function requireColumns({ key, timestamp }: KafkaSettings, { table, columns }: TableSchema): void {
  const find = (name: string) => columns.find(column => column.name === name)
  const problems: string[] = []
  if (key !== undefined && !find(key)) problems.push(`it has no column "${key}" for the record key`)
  if (timestamp !== 'now') {
    const column = find(timestamp.column)
    if (!column) problems.push(`it has no column "${timestamp.column}" for the record timestamp`)
    else if (column.type.kind !== 'timestamp') {
      problems.push(`its column "${column.name}" is ${column.native}, and the record timestamp needs a timestamp`)
    }
  }
  if (problems.length === 0) return
  const names = columns.map(({ name }) => name).join(', ')
  throw new DeliveryError(
    `table "${table}" does not fit the Kafka sink: ${problems.join('; ')}. Its columns are ${names}`,
    {
      code: 'destination_misconfigured',
    },
  )
}

async function findTopic(
  Admin: typeof import('@platformatic/kafka').Admin,
  settings: KafkaSettings,
  { probe, signal }: SinkContext,
): Promise<Topic | undefined> {
  let lastFailure: unknown
  const onFailure = (error: unknown): void => {
    lastFailure = error
  }
  const admin = guarded(new Admin({ ...clientOptions(settings, onFailure), retries: 0 }))

  function late(): DeliveryError {
    const reason = lastFailure === undefined ? 'no broker answered' : reasonOf(lastFailure)
    const message = `${nameOf(settings)} could not be opened within ${settings.deadlineMs / 1000} s (deadlineMs): ${reason}`
    return new DeliveryError(message, { code: 'destination_unavailable', cause: lastFailure })
  }

  try {
    return await within(settings.deadlineMs, [signal], late, stop =>
      prepareTopic(admin, settings, { probe, signal: stop, onFailure }),
    )
  } finally {
    await closeClient(admin)
  }
}

/** A key has to keep its partition as long as the job lives, also when the topic is given more. */
async function pinPartitions(topic: Topic, settings: KafkaSettings, { saved, save }: SinkContext): Promise<Topic> {
  const pinned = (saved as { readonly partitions: number } | undefined)?.partitions
  if (pinned === undefined) {
    await save({ partitions: topic.partitions })
    return topic
  }
  if (pinned > topic.partitions) {
    const reason = `has ${topic.partitions} partitions and had ${pinned} when the job started: start a new job`
    throw new DeliveryError(`${nameOf(settings)} ${reason}`, { code: 'destination_misconfigured' })
  }
  return { ...topic, partitions: pinned }
}

export type { KafkaSasl, KafkaSinkOptions } from './kafka/options.ts'

/** Kafka, through `@platformatic/kafka`. */

import type { TableSchema } from '../columnar/column-type.ts'
import { loadDriver } from '../core/driver.ts'
import { DeliveryError } from '../core/errors.ts'
import { eventHeaders, idHeaderOf } from './cloud-events.ts'
import { within } from './deadline.ts'
import { closeClient, type Kafka, makeClient } from './kafka/client.ts'
import { Cluster } from './kafka/cluster.ts'
import { tooLate } from './kafka/errors.ts'
import { type KafkaSettings, type KafkaSinkOptions, readOptions } from './kafka/options.ts'
import { readTopicBack } from './kafka/read-back.ts'
import { framingOf, kafkaSession, type Opened } from './kafka/session.ts'
import { nameOf, patiently, prepareTopic, type Topic, type TopicSearch } from './kafka/topic.ts'
import { PROBED } from './probed.ts'
import type { CloudEvents, Sink, SinkContext, SinkSession } from './sink.ts'
import { requireFit } from './table-fit.ts'

/**
 * A topic. Each row is a record with the row's JSON as its value. At least once: the broker drops what is sent twice
 * (`idempotent`), but not what a new process sends again after a crash, nor what a broker that lost track of the producer may
 * have had already. Up to five batches of a partition are in flight (one where it is not idempotent), and its records keep the
 * order of their rows whatever has to be sent again.
 *
 * How many partitions rows are spread over is fixed when a job starts: partitions added later stay empty until it ends.
 * The proof of a write is the range of offsets in its partition.
 *
 * Throws a `ConfigError` that lists every problem of the options.
 */
export function kafkaSink(options: KafkaSinkOptions): Sink {
  const settings = readOptions(options)
  return {
    type: 'kafka',
    name: settings.name,
    takesMarkers: true,
    binaryCloudEvents: true,
    open: context => open(asEvents(settings, context.cloudEvents), context),
    async *readBack(job, signal) {
      const kafka = await loadDriver('@platformatic/kafka', () => import('@platformatic/kafka'))
      yield* readTopicBack(kafka, settings, job, signal)
    },
  }
}

function asEvents(settings: KafkaSettings, events: CloudEvents | undefined): KafkaSettings {
  if (!events) return settings
  const event = eventHeaders(events, 'ce_')
  const idHeader = idHeaderOf(settings.idHeader, event)
  return { ...settings, headers: { ...settings.headers, ...event.headers }, ...(idHeader ? { idHeader } : {}) }
}

async function open(settings: KafkaSettings, context: SinkContext): Promise<SinkSession> {
  requireColumns(settings, context.schema)
  const kafka = await loadDriver('@platformatic/kafka', () => import('@platformatic/kafka'))
  const found = await findTopic(kafka, settings, context)
  if (found === undefined) return PROBED
  if (context.probe) return { ...PROBED, ...framingOf(settings, found) }
  const topic = await pinPartitions(found, settings, context)
  return kafkaSession(settings, context, await connect(kafka, settings, topic, context))
}

function requireColumns({ key, timestamp }: KafkaSettings, schema: TableSchema): void {
  const find = (name: string) => schema.columns.find(column => column.name === name)
  const problems: string[] = []
  if (key !== undefined && !find(key)) problems.push(`it has no column "${key}" for the record key`)
  if (timestamp !== 'now') {
    const column = find(timestamp.column)
    if (!column) problems.push(`it has no column "${timestamp.column}" for the record timestamp`)
    else if (column.type.kind !== 'timestamp') {
      problems.push(`its column "${column.name}" is ${column.native}, and the record timestamp needs a timestamp`)
    }
  }
  requireFit('Kafka', schema, problems)
}

async function findTopic(kafka: Kafka, settings: KafkaSettings, context: SinkContext): Promise<Topic | undefined> {
  const opening = beginOpening(settings, context)
  const admin = makeClient(kafka.Admin, settings, opening.onFailure)
  try {
    return await opening.run(search => prepareTopic(admin, settings, search))
  } finally {
    await closeClient(admin)
  }
}

async function connect(kafka: Kafka, settings: KafkaSettings, topic: Topic, context: SinkContext): Promise<Opened> {
  const opening = beginOpening(settings, context)
  const cluster = new Cluster(kafka, settings, opening.onFailure)
  try {
    return await opening.run(async search => {
      await patiently(settings, search, () => cluster.connect())
      const producer = await patiently(settings, search, () => cluster.newProducer())
      return { kafka, cluster, topic, producer }
    })
  } catch (error) {
    await cluster.close()
    throw error
  }
}

interface Opening {
  readonly onFailure: TopicSearch['onFailure']
  /** Rejects at the deadline. */
  run<T>(work: (search: TopicSearch) => Promise<T>): Promise<T>
}

function beginOpening(settings: KafkaSettings, { probe, signal }: SinkContext): Opening {
  let lastFailure: unknown
  const onFailure = (error: unknown): void => {
    lastFailure = error
  }
  const { deadlineMs } = settings
  const late = () => tooLate(nameOf(settings), 'could not be opened', deadlineMs, lastFailure)
  return {
    onFailure,
    run: work => within(deadlineMs, [signal], late, stop => work({ probe, signal: stop, onFailure })),
  }
}

/** A key has to keep its partition as long as the job lives, also when the topic is given more; and batches are framed for as many. */
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

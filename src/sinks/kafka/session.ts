import { CancelledError, type DeliveryError, MillraceError } from '../../core/errors.ts'
import { within } from '../deadline.ts'
import type { MessageBatch, Proof, SinkContext, SinkSession } from '../sink.ts'
import { type Kafka, replicaTimeoutMs } from './client.ts'
import type { Cluster, ProducerIdentity } from './cluster.ts'
import { loadChecksum } from './crc32c.ts'
import { asDeliveryError, isMisconfigured, tooLate } from './errors.ts'
import { markerBatch } from './marker.ts'
import type { KafkaSettings } from './options.ts'
import { PartitionSender, type Sending } from './partition-sender.ts'
import { nameOf, type Topic } from './topic.ts'

const ACKS = { all: -1, 1: 1, 0: 0 } as const

/** Of a partition; a broker lets no more through to an idempotent producer, whose records stay in order all the same. */
const IN_FLIGHT = 5

/** Of all partitions, for each unit: more fill no connection better, and each holds a batch in memory. */
const MOST_IN_FLIGHT = 32

export interface Opened {
  readonly kafka: Kafka
  /** Closed with the session. */
  readonly cluster: Cluster
  /** `partitions`: those that rows are spread over, fixed for the job. */
  readonly topic: Topic
  readonly producer: ProducerIdentity
}

/** Sends the record batches that lanes framed to the leaders of their partitions, and completes them for that. */
export function kafkaSession(
  settings: KafkaSettings,
  { reframe, signal: hurry }: Pick<SinkContext, 'reframe' | 'signal'>,
  { kafka, cluster, topic, producer }: Opened,
): SinkSession {
  const { timestamp, deadlineMs } = settings
  const { partitions, maxBatchBytes } = topic
  const where = nameOf(settings)
  const window = settings.idempotent ? IN_FLIGHT : 1
  const ended = new AbortController()
  const senders = new Map<number, PartitionSender>()

  /** What is in flight or comes later fails with this error. */
  function end(reason: Error): void {
    if (ended.signal.aborted) return
    ended.abort(reason)
    cluster.close().catch(() => {}) // close() does the same and reports it
  }

  const giveUp = (error: unknown): void => end(asDeliveryError(where, error))

  const sending: Sending = {
    kafka,
    cluster,
    crc32c: loadChecksum(kafka),
    topic: settings.topic,
    where,
    acks: ACKS[settings.acks],
    replicaTimeoutMs: replicaTimeoutMs(settings),
    window,
    producer,
    stampsTime: timestamp === 'now',
    reframe,
    ended: ended.signal,
    giveUp,
    onFailure(error) {
      if (isMisconfigured(error)) giveUp(error)
    },
  }

  function senderOf(partition: number): PartitionSender {
    const sender = senders.get(partition) ?? new PartitionSender(partition, sending)
    senders.set(partition, sender)
    return sender
  }

  /** Nobody knows what became of the batch: nothing may follow it. */
  function late({ lastFailure }: PartitionSender): DeliveryError {
    const error = tooLate(where, 'did not take a batch', deadlineMs, lastFailure)
    end(error)
    return error
  }

  async function write(batch: MessageBatch, signal: AbortSignal): Promise<Proof> {
    if (batch.partition === undefined) throw new MillraceError('internal', `batch ${batch.name} has no partition`)
    const sender = senderOf(batch.partition)
    const isLate = () => late(sender)
    return within(deadlineMs, [ended.signal, hurry, signal], isLate, stop => sender.deliver(batch, stop))
  }

  return {
    ...framingOf(settings, topic),
    limits: {
      inFlight: Math.min(MOST_IN_FLIGHT, window * partitions),
      inFlightPerPartition: window,
      batchBytes: Math.min(settings.batchBytes, maxBatchBytes ?? settings.batchBytes),
      lingerMs: settings.lingerMs,
    },
    retries: 'own',

    write,

    async mark(marker, signal) {
      const batches = Array.from({ length: partitions }, (_, partition) => markerBatch(marker, partition, settings))
      await Promise.all(batches.map(batch => write(batch, signal)))
    },

    async close() {
      ended.abort(new CancelledError('the Kafka session was closed'))
      await cluster.close()
    },
  }
}

/** What of a session is known before it is opened. */
export function framingOf(
  { key, timestamp, headers, idHeader, compression }: KafkaSettings,
  { partitions, maxBatchBytes }: Topic,
): Pick<SinkSession, 'encoding' | 'asks'> {
  return {
    encoding: {
      kind: 'kafka-batch',
      partitions,
      ...(key === undefined ? {} : { key }),
      timestamp,
      headers,
      ...(idHeader === undefined ? {} : { idHeader }),
      compression,
      ...(maxBatchBytes === undefined ? {} : { maxBatchBytes }),
    },
    asks: { ids: idHeader !== undefined, sharedMemory: true },
  }
}

import { CancelledError, DeliveryError } from '../../core/errors.ts'
import type { MessageBatch, Proof, SinkSession } from '../sink.ts'
import { type Answer, answersOf, answersOfFailure } from './answers.ts'
import { clientOptions, guarded } from './client.ts'
import { within } from './deadline.ts'
import { deliverParts } from './delivery.ts'
import { asDeliveryError, isMisconfigured, reasonOf } from './errors.ts'
import type { KafkaSettings } from './options.ts'
import { type BytesProducer, producers } from './producers.ts'
import { cutParts, type Part, recordsOf } from './records.ts'
import { nameOf, type Topic } from './topic.ts'

const ACKS = { all: -1, 1: 1, 0: 0 } as const

/** Sends at once, each over a connection of its own to each broker. */
const IN_FLIGHT = 4

/** What Kafka's own default lets through (1,048,588), with some room, where the topic's limit is not known. */
const USUAL_MAX_BATCH_BYTES = 1_000_000

export interface SessionContext {
  /** `partitions`: those that keys are spread over, fixed for the job. */
  readonly topic: Topic
  /** Whether one write may start before another has ended. */
  readonly ordered: boolean
  readonly signal: AbortSignal
}

/** Writes through `producer.send`, with an object for each record. */
export function kafkaSession(
  Producer: typeof import('@platformatic/kafka').Producer,
  settings: KafkaSettings,
  context: SessionContext,
): SinkSession {
  const { topic, ordered } = context
  const { key, timestamp, compression, idempotent, deadlineMs } = settings
  const maxBatchBytes = topic.maxBatchBytes ?? USUAL_MAX_BATCH_BYTES
  const ended = new AbortController()
  const acks = ACKS[settings.acks]
  let lastFailure: unknown
  let nextSticky = Math.floor(Math.random() * topic.partitions)

  function onFailure(error: unknown): void {
    lastFailure = error
    if (isMisconfigured(error)) end(asDeliveryError(nameOf(settings), error))
  }

  const pool = producers(IN_FLIGHT, () =>
    guarded(new Producer({ ...clientOptions(settings, onFailure), idempotent, compression, retries: true })),
  )

  /** Whatever the client still retries is given up, and what is in flight or comes later fails with this error. */
  function end(reason: Error): void {
    ended.abort(reason)
    pool.close().catch(() => {}) // close() does the same and reports it
  }

  function late(): DeliveryError {
    const reason = lastFailure === undefined ? 'no broker answered' : reasonOf(lastFailure)
    const message = `${nameOf(settings)} did not take a batch within ${deadlineMs / 1000} s (deadlineMs): ${reason}`
    const error = new DeliveryError(message, { code: 'destination_unavailable', cause: lastFailure })
    // nobody knows what became of the batch: nothing may follow it
    end(error)
    return error
  }

  async function send(producer: BytesProducer, parts: readonly Part[]): Promise<ReadonlyMap<number, Answer>> {
    const messages = parts.flatMap(({ records }) => records.map(({ message }) => message))
    try {
      // said with each send, since the client ignores what the producer was made with and would settle for the leader's
      const result = await producer.send({ messages, acks })
      lastFailure = undefined
      return acks === ACKS[0] ? unanswered(parts) : answersOf(result)
    } catch (error) {
      onFailure(error)
      const answers = answersOfFailure(error)
      if (parts.every(({ partition }) => answers.has(partition))) return answers
      throw asDeliveryError(nameOf(settings), error)
    }
  }

  const columns = [...new Set([key, timestamp === 'now' ? undefined : timestamp.column])].filter(
    name => name !== undefined,
  )
  const plan = {
    ...settings,
    partitions: topic.partitions,
    maxRecordBytes: compression === 'none' ? topic.maxBatchBytes : undefined,
  }

  return {
    encoding: { kind: 'rows' },
    asks: { columns },
    limits: {
      inFlight: ordered ? 1 : IN_FLIGHT,
      // the rest is for keys, headers and the records' own fields; what is too much all the same goes in two record batches
      batchBytes: Math.min(settings.batchBytes, Math.floor(maxBatchBytes * 0.9)),
      lingerMs: settings.lingerMs,
    },
    retries: 'own',

    async write(batch: MessageBatch, signal: AbortSignal): Promise<Proof> {
      const { byPartition, refused } = recordsOf(batch, plan, nextSticky++ % topic.partitions)
      const parts = [...byPartition].flatMap(([partition, records]) => cutParts(partition, records, maxBatchBytes))
      const delivered = await within(deadlineMs, [ended.signal, context.signal, signal], late, stop =>
        pool.use(producer => deliverParts(parts, heads => send(producer, heads), stop)),
      )
      const failed = new Map([...refused, ...delivered.refused])
      if (failed.size === 0) return delivered.proof
      const [reason] = [...failed.values()].map(({ message }) => message)
      throw new DeliveryError(`${nameOf(settings)} refused ${failed.size} of ${batch.rows} rows: ${reason}`, {
        retryable: false,
        failed,
        rest: 'delivered',
      })
    },

    async close() {
      ended.abort(new CancelledError('the Kafka session was closed'))
      await pool.close()
    },
  }
}

/** With acks 0 there is nothing to hear. */
function unanswered(parts: readonly Part[]): ReadonlyMap<number, Answer> {
  return new Map(parts.map(({ partition }) => [partition, { kind: 'taken', offset: -1n }]))
}

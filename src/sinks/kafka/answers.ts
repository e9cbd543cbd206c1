/** What a broker's answer about one partition of a produce request means. */
import type { Kafka } from './client.ts'
import { isMisconfigured } from './errors.ts'
import type { Failure } from './partition-queue.ts'
import type { PartitionAnswer } from './produce.ts'

export type Answer =
  /** `offset`: of the first record; -1 where the broker has it from an earlier attempt and no longer knows. */
  | { readonly kind: 'taken'; readonly offset: bigint }
  /** Sent again unchanged it would be refused again. `records`: positions of the culprits; empty where the broker names none. */
  | { readonly kind: 'refused'; readonly reason: string; readonly records: readonly number[] }
  /** Nothing speaks against the same again. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly error: unknown }
  /** Somebody has to change something first. */
  | { readonly kind: 'misconfigured'; readonly error: Error }

const REFUSALS = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP'])

/** A broker that knows nothing of the producer takes whatever comes next, as one does that has lost count of it: a new epoch mends both. */
const OUT_OF_ORDER = new Set(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID'])
const PRODUCER_LOST = new Set(['INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING', 'PRODUCER_FENCED'])

/** The broker's own words are left out: they may quote a record. */
export function answerOf({ errorCode, offset, records }: PartitionAnswer, kafka: Kafka): Answer {
  const name = kafka.protocolErrorsCodesById[errorCode] ?? 'UNKNOWN_SERVER_ERROR'
  if (name === 'NONE') return { kind: 'taken', offset }
  if (name === 'DUPLICATE_SEQUENCE_NUMBER') return { kind: 'taken', offset: -1n }
  const error = new kafka.ProtocolError(name)
  if (REFUSALS.has(name)) return { kind: 'refused', reason: `${name} (${error.message.replace(/\.$/, '')})`, records }
  if (isMisconfigured(error)) return { kind: 'misconfigured', error }
  return { kind: 'failed', failure: failureOf(name), error }
}

function failureOf(name: string): Failure {
  if (OUT_OF_ORDER.has(name)) return 'out of order'
  return PRODUCER_LOST.has(name) ? 'producer lost' : 'unknown'
}

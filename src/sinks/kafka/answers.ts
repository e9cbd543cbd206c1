/** What the brokers answered to one produce request after another: they take or refuse partition by partition. */
import type { ProduceResult } from '@platformatic/kafka'
import { flatten } from './errors.ts'

export type Answer =
  /** `offset`: of the first record; -1 where the broker has it from an earlier attempt and no longer knows. */
  | { readonly kind: 'taken'; readonly offset: bigint }
  /** `records`: positions of the culprits; empty where the broker names none. */
  | { readonly kind: 'refused'; readonly reason: string; readonly records: readonly number[] }
  /** Not taken, and nothing speaks against the same again. */
  | { readonly kind: 'again' }

/** Refusals of what a batch holds: sent again unchanged it would be refused again. */
const REFUSALS = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP'])

/** The broker lost track of the producer. The client has dropped its producer id and takes a new one with the next send. */
const PRODUCER_LOST = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_PRODUCER_EPOCH',
])

interface ProducedPartition {
  readonly index: number
  readonly errorCode: number
  readonly baseOffset: bigint
  readonly recordErrors?: readonly { readonly batchIndex: number }[]
}

interface ProduceResponse {
  readonly responses?: readonly { readonly partitionResponses: readonly ProducedPartition[] }[]
}

/** By partition, after a send succeeded. */
export function answersOf(result: ProduceResult): Map<number, Answer> {
  const offsets = result.offsets ?? []
  return new Map(offsets.map(({ partition, offset }) => [partition, { kind: 'taken', offset }]))
}

/** By partition, after a send failed. One that is missing got no answer that says what became of it. */
export function answersOfFailure(error: unknown): Map<number, Answer> {
  // brokers whose whole answer was good are in `produced`, the others' answers hang on their errors
  const answers = answersOf((error as { produced?: ProduceResult }).produced ?? {})
  for (const attempt of flatten(error)) {
    const { responses = [] } = (attempt.response ?? {}) as ProduceResponse
    responses.forEach(({ partitionResponses }, topic) => {
      partitionResponses.forEach((partition, position) => {
        // taken in one attempt is taken, whatever a later one was answered
        if (answers.get(partition.index)?.kind === 'taken') return
        const path = `/responses/${topic}/partition_responses/${position}`
        const answer = answerOf(
          partition,
          flatten(attempt).find(part => part.path === path),
        )
        if (answer === undefined) answers.delete(partition.index)
        else answers.set(partition.index, answer)
      })
    })
  }
  return answers
}

function answerOf(
  partition: ProducedPartition,
  error: { apiId?: string; canRetry?: boolean; message?: string } = {},
): Answer | undefined {
  const { apiId = '', canRetry, message = '' } = error
  if (partition.errorCode === 0) return { kind: 'taken', offset: partition.baseOffset }
  if (apiId === 'DUPLICATE_SEQUENCE_NUMBER') return { kind: 'taken', offset: -1n }
  if (REFUSALS.has(apiId)) {
    const records = (partition.recordErrors ?? []).map(({ batchIndex }) => batchIndex)
    return { kind: 'refused', reason: `${apiId} (${message.replace(/\.$/, '')})`, records }
  }
  return canRetry || PRODUCER_LOST.has(apiId) ? { kind: 'again' } : undefined
}

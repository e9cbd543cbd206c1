import * as kafka from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { type Answer, answerOf } from '../../../src/sinks/kafka/answers.ts'

function answerTo(errorCode: number, records: readonly number[] = []): Answer {
  return answerOf({ errorCode, offset: errorCode === 0 ? 100n : -1n, records }, kafka)
}

test('a batch is taken, also one that the broker has already, at an offset that is not known', () => {
  expect(answerTo(0)).toEqual({ kind: 'taken', offset: 100n })
  expect(answerTo(46)).toEqual({ kind: 'taken', offset: -1n })
})

test.each([
  [10, 'MESSAGE_TOO_LARGE'],
  [18, 'RECORD_LIST_TOO_LARGE'],
  [32, 'INVALID_TIMESTAMP'],
  [87, 'INVALID_RECORD'],
])('%i refuses what the batch holds (%s)', (code, name) => {
  const reason = expect.stringMatching(new RegExp(`^${name} \\(.+[^.]\\)$`))
  expect(answerTo(code, [3, 8])).toEqual({ kind: 'refused', reason, records: [3, 8] })
})

test.each([
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'out of order'],
  [59, 'UNKNOWN_PRODUCER_ID', 'out of order'],
  [47, 'INVALID_PRODUCER_EPOCH', 'producer lost'],
  [49, 'INVALID_PRODUCER_ID_MAPPING', 'producer lost'],
  [6, 'NOT_LEADER_OR_FOLLOWER', 'unknown'],
  [7, 'REQUEST_TIMED_OUT', 'unknown'],
  [19, 'NOT_ENOUGH_REPLICAS', 'unknown'],
  [-1, 'UNKNOWN_SERVER_ERROR', 'unknown'],
  [9_999, 'UNKNOWN_SERVER_ERROR', 'unknown'],
])('%i (%s) does not speak against the same again: %s', (code, apiId, failure) => {
  expect(answerTo(code)).toEqual({ kind: 'failed', failure, error: expect.objectContaining({ apiId }) })
})

test('what somebody has to mend is told apart', () => {
  expect(answerTo(29)).toMatchObject({ kind: 'misconfigured', error: { apiId: 'TOPIC_AUTHORIZATION_FAILED' } })
})

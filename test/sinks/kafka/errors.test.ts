import { AuthenticationError, MultipleErrors, NetworkError, ResponseError, UserError } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { answersOfFailure } from '../../../src/sinks/kafka/answers.ts'
import { asDeliveryError, reasonOf } from '../../../src/sinks/kafka/errors.ts'

const PRODUCE = 0

/** As the client reports a produce response: Kafka's error codes by partition, 0 for success. */
function produced(codes: Readonly<Record<number, number>>, culprits: readonly number[] = []): Error {
  const partitionResponses = Object.entries(codes).map(([index, errorCode]) => ({
    index: Number(index),
    errorCode,
    baseOffset: errorCode === 0 ? 100n : -1n,
    recordErrors: errorCode === 87 ? culprits.map(batchIndex => ({ batchIndex, batchIndexErrorMessage: null })) : [],
  }))
  const failed = partitionResponses.flatMap(({ errorCode }, position) =>
    errorCode === 0 ? [] : [[`/responses/0/partition_responses/${position}`, [errorCode, null]] as const],
  )
  return new ResponseError(PRODUCE, 11, Object.fromEntries(failed) as never, {
    responses: [{ name: 't', partitionResponses }],
  })
}

test('a produce request that failed was taken in some partitions, refused in others, and is to be repeated in the rest', () => {
  const error = new MultipleErrors('Producing messages failed.', [
    produced({ 0: 0, 1: 10, 2: 87, 3: 6, 4: 45 }, [3, 8]),
  ])
  const reason = expect.stringMatching(/^INVALID_RECORD /)
  expect(answersOfFailure(error)).toEqual(
    new Map<number, unknown>([
      [0, { kind: 'taken', offset: 100n }],
      [1, { kind: 'refused', reason: expect.stringMatching(/^MESSAGE_TOO_LARGE /), records: [] }],
      [2, { kind: 'refused', reason, records: [3, 8] }],
      [3, { kind: 'again' }],
      [4, { kind: 'again' }],
    ]),
  )
})

test('what another broker took is not lost in the error of the one that failed', () => {
  const error = new MultipleErrors('Producing messages failed.', [produced({ 1: 10 })], {
    produced: { offsets: [{ topic: 't', partition: 0, offset: 7n }] },
  })
  expect([...answersOfFailure(error)].map(([partition, { kind }]) => [partition, kind])).toEqual([
    [0, 'taken'],
    [1, 'refused'],
  ])
})

test('of several attempts the last counts, but what was taken once is taken', () => {
  const error = new MultipleErrors('produce failed 3 times.', [
    produced({ 0: 0, 1: 6, 2: 6 }),
    new NetworkError('Connection closed'),
    produced({ 0: 6, 1: 10, 2: 29 }),
  ])
  expect([...answersOfFailure(error)].map(([partition, { kind }]) => [partition, kind])).toEqual([
    [0, 'taken'],
    [1, 'refused'],
  ])
})

test('a batch that the broker has already counts as taken, at an offset that is not known', () => {
  expect(answersOfFailure(produced({ 0: 46 }))).toEqual(new Map([[0, { kind: 'taken', offset: -1n }]]))
})

test('no answer is made up where there was none', () => {
  expect(answersOfFailure(new NetworkError('Connection closed')).size).toBe(0)
})

test('the reason names the last attempt, with its cause', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9'), { code: 'ECONNREFUSED' })
  const error = new MultipleErrors('metadata failed 2 times.', [
    new Error('an earlier attempt'),
    new MultipleErrors('Cannot connect to any broker.', [
      new NetworkError('Connection to 127.0.0.1:9 failed.', { cause: refused }),
    ]),
  ])
  expect(reasonOf(error)).toBe('Connection to 127.0.0.1:9 failed: connect ECONNREFUSED 127.0.0.1:9')
  expect(asDeliveryError('Kafka', error)).toMatchObject({ code: 'destination_unavailable', retryable: true })
})

test.each([
  new NetworkError('Connection to h:1 failed.', { cause: new AuthenticationError('SASL authentication failed.') }),
  new NetworkError('Connection to h:1 failed.', {
    cause: Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
  }),
  new UserError('Broker requires TLS.'),
  produced({ 0: 29 }),
])('what somebody has to mend is a misconfigured destination: %s', error => {
  expect(asDeliveryError('Kafka', error)).toMatchObject({ code: 'destination_misconfigured', retryable: false })
})

test('a token service that is down for a moment is not a wrong set-up', () => {
  const error = new AuthenticationError('The SASL/OAUTHBEARER token provider threw an error.', {
    cause: new Error('503'),
  })
  expect(asDeliveryError('Kafka', error)).toMatchObject({ code: 'destination_unavailable' })
})

import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError, UserError } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { asDeliveryError, reasonOf } from '../../../src/sinks/kafka/errors.ts'

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
  new ProtocolError('TOPIC_AUTHORIZATION_FAILED'),
])('what somebody has to mend is a misconfigured destination: %s', error => {
  expect(asDeliveryError('Kafka', error)).toMatchObject({ code: 'destination_misconfigured', retryable: false })
})

test('a token service that is down for a moment is not a wrong set-up', () => {
  const error = new AuthenticationError('The SASL/OAUTHBEARER token provider threw an error.', {
    cause: new Error('503'),
  })
  expect(asDeliveryError('Kafka', error)).toMatchObject({ code: 'destination_unavailable' })
})

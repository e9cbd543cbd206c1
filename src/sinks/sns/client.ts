import type { SNSClient } from '@aws-sdk/client-sns'
import { DeliveryError } from '../../core/errors.ts'
import { within } from '../deadline.ts'
import type { SnsSettings } from './options.ts'

export type Sns = typeof import('@aws-sdk/client-sns')

/** One attempt a request: the engine knows when to make the next one. */
export function makeClient(sns: Sns, { region, credentials, endpoint, maxRequests }: SnsSettings): SNSClient {
  const agent = { keepAlive: true, maxSockets: maxRequests }
  return new sns.SNSClient({
    region,
    maxAttempts: 1,
    requestHandler: { httpAgent: agent, httpsAgent: agent },
    ...(credentials ? { credentials } : {}),
    ...(endpoint === undefined ? {} : { endpoint }),
  })
}

/** Settles as the request that `send` makes, or rejects at the deadline and when a signal aborts. The client sets no deadline. */
export function timed<T>(
  { topicArn, timeoutMs }: SnsSettings,
  signals: readonly AbortSignal[],
  send: (options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const late = () =>
    new DeliveryError(`SNS topic ${topicArn}: no answer within ${timeoutMs / 1_000} s (timeoutMs)`, {
      code: 'destination_unavailable',
    })
  return within(timeoutMs, signals, late, abortSignal => send({ abortSignal }))
}

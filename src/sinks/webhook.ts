/** Webhooks: rows as the bodies of HTTP requests, through `undici`. */

import { PROBED } from './probed.ts'
import type { Sink, SinkContext, SinkSession } from './sink.ts'
import { connectOnce, routeTo } from './webhook/dispatchers.ts'
import { readOptions, type WebhookSettings, type WebhookSinkOptions } from './webhook/options.ts'
import { webhookSession } from './webhook/session.ts'

/**
 * An HTTP endpoint that takes rows by POST, many at a time as a JSON array. A batch counts as delivered when the endpoint has answered
 * 2xx: it must not before it has kept all of the body. At least once; what is sent again carries the same `X-Idempotency-Key`, also
 * after a crash.
 *
 * 408, 425, 429, 5xx and broken connections are tried again, `Retry-After` heeded. After 413 a batch is sent in halves. What it cannot
 * mean well with any request fails the destination: 3xx, since redirects are not followed, and 401, 403, 404, 405, 407, 410, 411, 415,
 * 426, 431. With any other 4xx the rows of that batch are refused for good.
 *
 * Only public addresses are connected to, judged after the name was resolved, unless `allowNetworks` permits others.
 *
 * Throws a `ConfigError` that lists every problem of the options.
 */
export function webhookSink(options: WebhookSinkOptions): Sink {
  const settings = readOptions(options)
  return {
    type: 'webhook',
    name: settings.name,
    staticEgress: settings.egress !== undefined,
    // an event a request: there is a header for one id
    binaryCloudEvents: settings.body === 'row',
    open: context => open(settings, context),
  }
}

/** Nothing is sent to find out whether it would be taken: an endpoint that answers a connection passes the probe. */
async function open(settings: WebhookSettings, context: SinkContext): Promise<SinkSession> {
  const { probe, staticEgressIp, signal } = context
  const route = routeTo(settings, staticEgressIp)
  try {
    await connectOnce(route, settings, signal)
  } catch (error) {
    await route.close()
    throw error
  }
  if (!probe) return webhookSession(settings, route, context)
  await route.close()
  return PROBED
}

export type { WebhookDispatcher } from './webhook/dispatchers.ts'
export type { WebhookSinkOptions, WebhookTls } from './webhook/options.ts'

/** Amazon SNS, through `@aws-sdk/client-sns`. */

import { loadDriver } from '../core/driver.ts'
import type { Sink, SinkContext, SinkSession } from './sink.ts'
import { makeClient } from './sns/client.ts'
import { readOptions, type SnsSettings, type SnsSinkOptions } from './sns/options.ts'
import { snsSession } from './sns/session.ts'
import { findTopic, requireColumns } from './sns/topic.ts'

/**
 * A topic. Each row is a message with the row's JSON as its body, published ten to a request. At least once: what a new process sends
 * again after a crash is there twice, unless the topic is FIFO and drops it: there the deduplication id is the row's stable name, which
 * SNS remembers for five minutes. A FIFO topic has the rows of a group in staged order within a chunk, retries included, unless SNS itself
 * takes later messages of a request and not an earlier one; a standard topic has no order, and a destination with an `order` is refused for it.
 *
 * A message larger than the topic takes, attributes included (`MaximumMessageSize`, 256 KiB unless it was raised), is refused for good,
 * as is one with an attribute that has a control character. U+FFFE and U+FFFF are written as JSON escapes: they would be lost on the way
 * to a queue.
 *
 * Needs the permissions `sns:GetTopicAttributes` and `sns:Publish`; the lack of the second shows in the first write only.
 *
 * Throws a `ConfigError` that lists every problem of the options.
 */
export function snsSink(options: SnsSinkOptions): Sink {
  const settings = readOptions(options)
  return {
    type: 'sns',
    name: settings.name,
    open: context => open(settings, context),
  }
}

async function open(settings: SnsSettings, context: SinkContext): Promise<SinkSession> {
  requireColumns(settings, context.schema)
  const sns = await loadDriver('@aws-sdk/client-sns', () => import('@aws-sdk/client-sns'))
  const client = settings.client ?? makeClient(sns, settings)
  try {
    const topic = await findTopic(sns, client, settings, context)
    return snsSession(settings, { sns, client, topic })
  } catch (error) {
    if (!settings.client) client.destroy()
    throw error
  }
}

export type { SnsAttribute, SnsCredentials, SnsSinkOptions } from './sns/options.ts'

/** CloudEvents 1.0.2 over the transports of sinks: what goes beside the payload. */
import { DeliveryError } from '../core/errors.ts'
import type { CloudEvents } from './sink.ts'

/** What messages carry: the same headers (attributes, properties) for all, and the name of the one that has the row's own name. */
export interface EventHeaders {
  readonly headers: Readonly<Record<string, string>>
  /** Only in binary mode; in structured mode the payload has it. */
  readonly id?: string
}

/** With this in front of an attribute's name: `ce_` over Kafka, `ce-` over HTTP, NATS and Pub/Sub. */
export type Prefix = 'ce_' | 'ce-'

/** For rows that are sent one a message. */
export function eventHeaders({ mode, type, source }: CloudEvents, prefix: Prefix): EventHeaders {
  if (mode === 'structured') return { headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' } }
  const attributes = { specversion: '1.0', type, source }
  const named = Object.entries(attributes).map(([name, value]) => [prefix + name, value])
  return { headers: { 'content-type': 'application/json', ...Object.fromEntries(named) }, id: `${prefix}id` }
}

/** `own`: what the sink's options call the header of the id, which there is one of. */
export function idHeaderOf(own: string | undefined, { id }: EventHeaders): string | undefined {
  if (own === undefined || id === undefined) return own ?? id
  const message = `rows are CloudEvents with their id in "${id}": leave out the option that names "${own}" for it`
  throw new DeliveryError(message, { code: 'destination_misconfigured' })
}

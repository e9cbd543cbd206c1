/**
 * What the errors of `@platformatic/kafka` mean. They are trees of attempts and causes whose leaves carry Kafka's own
 * error (`apiId`), a `code`, or that of Node.
 */
import { DeliveryError, isMillraceError, type MillraceError } from '../../core/errors.ts'
import { isTlsError } from '../tls-errors.ts'

/** Kafka's errors after which somebody has to change something first: a permission, a credential, a setting of the topic. */
const MISCONFIGURED = new Set([
  'CLUSTER_AUTHORIZATION_FAILED',
  'ILLEGAL_SASL_STATE',
  'INVALID_CONFIG',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_REQUIRED_ACKS',
  'INVALID_TOPIC_EXCEPTION',
  'POLICY_VIOLATION',
  'SASL_AUTHENTICATION_FAILED',
  'SECURITY_DISABLED',
  'TOPIC_AUTHORIZATION_FAILED',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'UNSUPPORTED_SASL_MECHANISM',
  'UNSUPPORTED_VERSION',
])

/** The fields of interest, whatever class an error has. */
interface Parts {
  readonly message?: string
  readonly code?: string
  readonly apiId?: string
  readonly errors?: readonly unknown[]
  readonly cause?: unknown
}

/** The error itself and all that it wraps, from the outside in, earlier attempts first. */
export function flatten(error: unknown): readonly Parts[] {
  if (typeof error !== 'object' || error === null) return []
  const parts = error as Parts
  return [parts, ...(parts.errors ?? []).flatMap(flatten), ...flatten(parts.cause)]
}

export function isUnknownTopic(error: unknown): boolean {
  return flatten(error).some(
    ({ apiId, message }) => apiId === 'UNKNOWN_TOPIC_OR_PARTITION' || message?.startsWith('Unknown topic '),
  )
}

/** True where trying again cannot help before somebody has mended the set-up. */
export function isMisconfigured(error: unknown): boolean {
  return flatten(error).some(
    ({ code = '', apiId = '', message = '' }) =>
      MISCONFIGURED.has(apiId) ||
      isTlsError(code) ||
      // a provider of credentials that throws may work again in a moment
      (code === 'PLT_KFK_AUTHENTICATION' && !message.includes('provider threw')) ||
      (code === 'PLT_KFK_USER' && message.includes('TLS')),
  )
}

/** `where`: what was being done, with the address. */
export function asDeliveryError(where: string, error: unknown): MillraceError {
  if (isMillraceError(error)) return error
  const code = isMisconfigured(error) ? 'destination_misconfigured' : 'destination_unavailable'
  return new DeliveryError(`${where}: ${reasonOf(error)}`, { code, cause: error })
}

/** `what`: what did not come about by the deadline. `lastFailure`: undefined if nothing failed, and nothing was answered. */
export function tooLate(where: string, what: string, deadlineMs: number, lastFailure: unknown): DeliveryError {
  const reason = lastFailure === undefined ? 'no broker answered' : reasonOf(lastFailure)
  const message = `${where} ${what} within ${deadlineMs / 1000} s (deadlineMs): ${reason}`
  return new DeliveryError(message, { code: 'destination_unavailable', cause: lastFailure })
}

/** The last attempt's messages, from the outside in: `Connection to 127.0.0.1:9 failed: connect ECONNREFUSED 127.0.0.1:9`. */
export function reasonOf(error: unknown): string {
  const { message, code, apiId, errors, cause } = (error ?? {}) as Parts
  const inner = errors?.at(-1) ?? cause
  const own = (message || code || String(error)).replace(/\.$/, '')
  if (inner === undefined || inner === null) return apiId === undefined ? own : `${apiId} (${own})`
  // what wraps several errors only says how many attempts there were, or which request it was
  return errors ? reasonOf(inner) : `${own}: ${reasonOf(inner)}`
}

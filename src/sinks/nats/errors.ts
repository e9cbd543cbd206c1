/** What the errors of the NATS clients and the answers of a stream mean. Told by name: a host may bring another copy of the client. */
import { DeliveryError, isMillraceError, type MillraceError, messageOf } from '../../core/errors.ts'
import { isTlsError } from '../tls-errors.ts'
import type { NatsSettings } from './options.ts'

/** Errors of the clients after which somebody has to change something first. */
const MISCONFIGURED = new Set([
  'AuthorizationError',
  'InvalidArgumentError',
  'InvalidNameError',
  'JetStreamNotEnabled',
  'PermissionViolationError',
  'StreamNotFoundError',
  'UserAuthenticationExpiredError',
])

/** And those of the clients that have no class of their own. */
const MESSAGES = /^nkeys: |does not support '|unable to parse credentials|doesn't exist/

/** Error codes of JetStream: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const MESSAGE_TOO_LARGE = 10_054
const HEADERS_TOO_LARGE = 10_097
const ACCOUNT_LIMIT = 10_002
const NOT_ENABLED = new Set([10_039, 10_076])

export interface ApiError {
  readonly code: number
  readonly err_code: number
  readonly description: string
}

/** What an answer of the stream says of the message: nothing will make it take this one; it may later; or somebody has to mend something. */
export function judge({ code, err_code }: ApiError): 'refused' | 'may pass' | 'misconfigured' {
  if (err_code === MESSAGE_TOO_LARGE || err_code === HEADERS_TOO_LARGE) return 'refused'
  if (NOT_ENABLED.has(err_code)) return 'misconfigured'
  // a full stream is one of these (10077, "maximum messages exceeded"): its consumers or its age limit may make room
  return code >= 500 || code === 429 || code === 409 || err_code === ACCOUNT_LIMIT ? 'may pass' : 'misconfigured'
}

export function nameOf({ subject, servers, connection }: NatsSettings): string {
  return `NATS subject ${subject.text} at ${servers?.join(', ') ?? connection?.getServer() ?? 'no server'}`
}

/** `where`: what was being done, with the address. */
export function asDeliveryError(where: string, error: unknown): MillraceError {
  if (isMillraceError(error)) return error
  const code = isMisconfigured(error) ? 'destination_misconfigured' : 'destination_unavailable'
  return new DeliveryError(`${where}: ${reasonOf(error)}`, { code, cause: error })
}

export function unavailable(where: string, reason: string): DeliveryError {
  return new DeliveryError(`${where}: ${reason}`, { code: 'destination_unavailable' })
}

export function misconfigured(where: string, reason: string): DeliveryError {
  return new DeliveryError(`${where}: ${reason}`, { code: 'destination_misconfigured' })
}

function isMisconfigured(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { name, message, cause } = error
  const { code, status } = error as { readonly code?: unknown; readonly status?: unknown }
  if (name === 'JetStreamApiError' && typeof code === 'number' && typeof status === 'number')
    return judge({ code: status, err_code: code, description: message }) !== 'may pass'
  return MISCONFIGURED.has(name) || isTlsError(code) || MESSAGES.test(message) || isMisconfigured(cause)
}

function reasonOf(error: unknown): string {
  const own = messageOf(error)
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer came within the timeout (timeoutMs)'
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined || messageOf(cause) === own ? own : `${own}: ${messageOf(cause)}`
}

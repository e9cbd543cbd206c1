/** What the errors of `@aws-sdk/client-sns` mean. */
import type { BatchResultErrorEntry } from '@aws-sdk/client-sns'
import { DeliveryError } from '../../core/errors.ts'
import { readRetryAfter } from '../../core/retry-after.ts'

/** SNS calls the same error by one or the other name, with or without `Exception`. */
const REFUSED = /^(BatchRequestTooLong|InvalidParameter(Value)?|ParameterValueInvalid|ValidationError|Validation)$/
const THROTTLED = /Throttl|^(TooManyRequests|RequestLimitExceeded|LimitExceeded|SlowDown|BandwidthLimitExceeded)$/
/** After an answer of these the SDK has set its clock by that of the service. */
const SKEWED = /^(RequestExpired|RequestInTheFuture|RequestTimeTooSkewed)$/
/** Their texts repeat the request's headers, which may hold a session token. */
const SIGNATURE = /^(SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|InvalidSecurity)$/
const TOO_MANY_REQUESTS = 429
const LONGEST_TEXT = 300

/** The fields of interest of the SDK's errors and of Node's. */
interface Parts {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** True where the service refused what was sent, not who sent it or when. */
export function isRefusal(error: unknown): boolean {
  return REFUSED.test(nameOf(error))
}

/** `where`: what was being done, with the topic. */
export function asDeliveryError(where: string, error: unknown): DeliveryError {
  const name = nameOf(error)
  const { message = '', $metadata, $response } = (error ?? {}) as Parts
  const status = $metadata?.httpStatusCode
  if (SIGNATURE.test(name) && !/expired|not yet current/.test(message)) {
    const reason = `${name}: the request was signed with credentials that are not right for it`
    return new DeliveryError(`${where}: ${reason}`, { code: 'destination_misconfigured' })
  }
  if (isRefusal(error)) return new DeliveryError(`${where}: ${name}`, { retryable: false })
  const passes = SKEWED.test(name) || SIGNATURE.test(name) || THROTTLED.test(name) || mayPass(status)
  const retryAfterMs = passes ? readRetryAfter($response?.headers?.['retry-after']) : undefined
  return new DeliveryError(`${where}: ${reasonOf(error)}`, {
    code: passes ? 'destination_unavailable' : 'destination_misconfigured',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(SIGNATURE.test(name) ? {} : { cause: error }),
  })
}

/** What became of one message. Its values are not repeated. */
export function asRowError(where: string, failure: BatchResultErrorEntry, values: readonly string[]): DeliveryError {
  const { Code = 'no code', Message = '', SenderFault = false } = failure
  const quotes = Message.length > LONGEST_TEXT || values.some(value => Message.includes(value))
  const text = Message === '' || quotes ? Code : `${Code} (${Message})`
  if (SenderFault && !THROTTLED.test(Code)) return new DeliveryError(`${where}: ${text}`, { retryable: false })
  return new DeliveryError(`${where}: ${text}`, { code: 'destination_unavailable' })
}

/** Without a status the service has not answered. */
function mayPass(status: number | undefined): boolean {
  return status === undefined || status >= 500 || status === 408 || status === TOO_MANY_REQUESTS
}

function nameOf(error: unknown): string {
  return ((error as Parts | null)?.name ?? '').replace(/Exception$/, '')
}

function reasonOf(error: unknown): string {
  const { message, code } = (error ?? {}) as Parts
  const name = nameOf(error)
  const text = message || code || String(error)
  return name === '' || name === 'Error' || text.startsWith(name) ? text : `${name}: ${text}`
}

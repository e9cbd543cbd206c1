/** What an answer means, and the lack of one. */
import { DeliveryError, isMillraceError, type MillraceError } from '../../core/errors.ts'
import { readRetryAfter } from '../../core/retry-after.ts'
import { isTlsError } from '../tls-errors.ts'
import type { WebhookResponse } from './dispatchers.ts'

/** The body is more than the endpoint takes. */
export const TOO_LARGE = 413

/** These may pass; 5xx may as well. */
const LATER = new Set([408, 425, 429])

/** Answers to how the endpoint is set up, which no other row would change. 410: it wants no more (Standard Webhooks, "Deliverability"). */
const MISCONFIGURED = new Set([401, 403, 404, 405, 407, 410, 411, 415, 426, 431])

/** Undefined for 2xx. Says nothing of the answer's body, which may repeat rows. */
export function failureOf(where: string, { statusCode, headers }: WebhookResponse): DeliveryError | undefined {
  if (statusCode >= 200 && statusCode < 300) return undefined
  const message = `${where} answered ${statusCode}`
  if (statusCode >= 300 && statusCode < 400)
    return new DeliveryError(
      `${message}: redirects are not followed, so give the URL that it moved to`,
      MISCONFIGURATION,
    )
  if (statusCode >= 500 || LATER.has(statusCode)) {
    const retryAfterMs = readRetryAfter(headers['retry-after'])
    return new DeliveryError(message, {
      code: 'destination_unavailable',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    })
  }
  if (!MISCONFIGURED.has(statusCode)) return new DeliveryError(message, { retryable: false })
  return new DeliveryError(`${message}: check the URL, the headers and the keys of the sink`, MISCONFIGURATION)
}

const MISCONFIGURATION = { code: 'destination_misconfigured' } as const

/** undici's code for a TLS handshake with a proxy that failed. */
const PROXY_TLS = 'UND_ERR_PRX_TLS'

/** How undici tells of a proxy that does not let these credentials through, or not to this host. */
const PROXY_REFUSES = /^Proxy .*\((403|407)\)/

/** `where`: the origin, never the whole URL. */
export function asDeliveryError(where: string, error: unknown): MillraceError {
  if (isMillraceError(error)) return error
  const { code = '', message } = (error ?? {}) as NodeJS.ErrnoException
  const misconfigured = isTlsError(code) || code === PROXY_TLS || PROXY_REFUSES.test(message)
  return new DeliveryError(`${where}: ${message || code || 'no connection'}`, {
    code: misconfigured ? 'destination_misconfigured' : 'destination_unavailable',
    cause: error,
  })
}

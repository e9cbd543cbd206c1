import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { z } from 'zod'
import { LONGEST_TIMER_MS } from '../../core/timers.ts'
import { checkOptions } from '../options.ts'
import { addressFilter, isNetwork } from './addresses.ts'
import type { WebhookDispatcher } from './dispatchers.ts'
import { isStandardKey } from './signing.ts'

export interface WebhookSinkOptions {
  /** What requests call it: `{ "type": "webhook", "name": name }`. */
  readonly name: string
  /** `https:` or `http:`. May hold secrets in its path and query: errors show only its origin. */
  readonly url: string
  /** Default `json-array`. `row`: one request for each row. `arrow`: an Arrow IPC stream (`Encoding`). */
  readonly body?: 'json-array' | 'ndjson' | 'row' | 'arrow'
  /** Most rows of a body. Default 500. Not for `row`. */
  readonly batchRows?: number
  /** Most bytes of a body before compression; a single larger row is sent alone. Default 1,000,000, which nginx takes unless told otherwise. */
  readonly batchBytes?: number
  /**
   * Send a batch that is not full after so many milliseconds. Default: never. Batches are then cut at the same places on every reading,
   * so that keys repeat after a crash; with this they only repeat when a batch is tried again.
   */
  readonly lingerMs?: number
  /** Default `none`. `Content-Encoding` says so. */
  readonly compression?: 'none' | 'gzip' | 'zstd'
  /** Sent with each request. `Content-Type` may be replaced; what is the business of HTTP or of this sink is refused. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Signs each body: `X-Signature-256` is `sha256=` and, in hex, the HMAC-SHA-256 under this key of `X-Webhook-Nonce`, `.`,
   * `X-Webhook-Timestamp`, `.` and the body as it is sent.
   */
  readonly hashKey?: string
  /**
   * Signs as Standard Webhooks 1.0.0 does (`webhook-id`, `webhook-timestamp`, `webhook-signature`), once with each key (`whsec_...`): with
   * the old and the new one for as long as receivers change over.
   */
  readonly standardWebhooks?: { readonly keys: readonly string[] }
  /** Requests at the same time, for one job. Default 8. */
  readonly concurrency?: number
  /** How long one request may take, from the connection to the answer. Default 30 s. */
  readonly timeoutMs?: number
  /** How long connecting may take. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** As `node:tls` has them. Certificates are checked unless `rejectUnauthorized` is false. */
  readonly tls?: WebhookTls
  /** Networks (`10.0.0.0/8`, `fd00::/8`) that may be connected to although they are not public. Default none. */
  readonly allowNetworks?: readonly string[]
  /**
   * How jobs with `static_egress_ip` connect: through an HTTP proxy (`http:` or `https:`, credentials in its URL), or from an address of this
   * machine. Such a proxy resolves names by itself: what is resolved here is checked before, but it is for the proxy to refuse what a name
   * may become between. Default: such jobs are refused.
   */
  readonly egress?: { readonly proxy: string } | { readonly localAddress: string }
  /**
   * The host's own `Agent`, `Pool` or `MockAgent` of undici, of any version that has `request`. It stays open. Where it connects to, and
   * how, is then its business: not together with `tls`, `allowNetworks`, `connectTimeoutMs` and `egress`.
   */
  readonly dispatcher?: WebhookDispatcher
}

export type WebhookTls = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'rejectUnauthorized' | 'servername' | 'minVersion'
>

const text = z.string().min(1)
const duration = z.int().min(1).max(LONGEST_TIMER_MS)

const RESERVED =
  /^(host|connection|keep-alive|content-length|content-encoding|transfer-encoding|te|trailer|upgrade|expect|proxy-.*|x-idempotency-key|x-webhook-(timestamp|nonce)|x-signature-256|webhook-(id|timestamp|signature))$/

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~\w-]+$/, 'is not a header name')
  .refine(name => !RESERVED.test(name.toLowerCase()), 'is set by HTTP or by the sink')

/** Not the value itself in the message: it may be a token. */
const headerValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'must be printable characters of Latin-1')

const egress = z.union(
  [
    z.strictObject({ proxy: z.string().refine(isHttpUrl, 'must be an http or https URL') }),
    z.strictObject({ localAddress: z.string().refine(address => isIP(address) !== 0, 'must be an IP address') }),
  ],
  { error: 'must be { proxy: "http://..." } or { localAddress: "192.0.2.1" }' },
)

const schema = z
  .strictObject({
    name: text,
    url: z.string().refine(isEndpoint, 'must be an http or https URL without user, password and fragment'),
    body: z.enum(['json-array', 'ndjson', 'row', 'arrow']).default('json-array'),
    batchRows: z.int().min(1).optional(),
    batchBytes: z.int().min(1).default(1_000_000),
    lingerMs: z.int().min(0).max(LONGEST_TIMER_MS).optional(),
    compression: z.enum(['none', 'gzip', 'zstd']).default('none'),
    headers: z.record(headerName, headerValue).default({}),
    hashKey: text.optional(),
    standardWebhooks: z
      .strictObject({
        keys: z.array(z.string().refine(isStandardKey, 'must be 24 to 64 bytes in base64, after "whsec_"')).min(1),
      })
      .optional(),
    concurrency: z.int().min(1).max(1_000).default(8),
    timeoutMs: duration.default(30_000),
    connectTimeoutMs: duration.optional(),
    tls: z
      .custom<WebhookTls>(value => typeof value === 'object' && value !== null, 'must be options of node:tls')
      .optional(),
    allowNetworks: z.array(z.string().refine(isNetwork, 'must be a network such as "10.0.0.0/8"')).optional(),
    egress: egress.optional(),
    dispatcher: z
      .custom<WebhookDispatcher>(
        value => typeof (value as Partial<WebhookDispatcher> | null)?.request === 'function',
        'must be a dispatcher of undici',
      )
      .optional(),
  })
  .superRefine((options, context) => {
    const report = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    if (options.body === 'row' && options.batchRows !== undefined)
      report('batchRows', 'must not be set where each row is a request of its own')
    if (options.dispatcher) {
      for (const name of ['tls', 'allowNetworks', 'connectTimeoutMs', 'egress'] as const)
        if (options[name] !== undefined) report(name, 'must not be set beside a dispatcher, which connects by itself')
    } else if (!isReachable(options.url, options.allowNetworks))
      report('url', 'is not a public address: permit its network with allowNetworks')
  })

export type WebhookSettings = z.output<typeof schema>

/** Throws a `ConfigError`. */
export function readOptions(options: WebhookSinkOptions): WebhookSettings {
  return checkOptions('webhookSink', schema, options)
}

function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '')
}

/** Credentials have their place in a header; in a URL they get into logs. */
function isEndpoint(text: string): boolean {
  const url = URL.parse(text)
  return isHttpUrl(text) && url?.username === '' && url.password === '' && url.hash === ''
}

/** Of a host that is an address, whatever its notation: the URL parser makes one of all (`0x7f.1`, `2130706433`). */
function isReachable(url: string, allowNetworks: readonly string[] = []): boolean {
  const host = hostOf(new URL(url))
  return isIP(host) === 0 || addressFilter(allowNetworks)(host)
}

/** Without the brackets of an IPv6 address. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

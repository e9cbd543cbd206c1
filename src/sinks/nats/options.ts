import type { NatsConnection, TlsOptions } from '@nats-io/transport-node'
import { z } from 'zod'
import { LONGEST_TIMER_MS } from '../../core/timers.ts'
import { checkOptions } from '../options.ts'
import { parseSubject } from './subject.ts'

export interface NatsSinkOptions {
  /** What requests call it: `{ "type": "nats", "name": name }`. */
  readonly name: string
  /** `host:port` of some servers of the cluster; the others are found through them. Port 4222 if none is given. */
  readonly servers?: string | readonly string[]
  /** Your own connection in place of `servers`, `auth` and `tls`. It is never closed, and its way of reconnecting stays as it is. */
  readonly connection?: NatsConnection
  /**
   * Where rows go. `{column}` stands for a column's value as text, in a token of its own or as a part of one:
   * `orders.{customer}`, `orders.{region}.c-{customer}`; not in the first. The stream has to take it whatever the values: `orders.*`.
   */
  readonly subject: string
  /**
   * What becomes of a row whose value cannot stand in a token of a subject, for white space, a control character, `.`, `*` or `>`.
   * `refuse` (default): it is refused for good. `escape`: these, and `%`, are written as `%` and two hex digits for each byte of
   * their UTF-8. NULL, an empty value and a subject of more than 2,048 bytes are always refused.
   */
  readonly subjectValues?: 'refuse' | 'escape'
  /** The stream that is to acknowledge. Default: the one that takes the subject. */
  readonly stream?: string
  /** Headers of every message; names that begin with `Nats-` are the server's own. */
  readonly headers?: Readonly<Record<string, string>>
  readonly auth?: NatsAuth
  /** `true`, or certificates as text or as files. Without: as the server asks. */
  readonly tls?: true | NatsTls
  /** The JetStream domain, where it is not that of the servers. */
  readonly domain?: string
  /** What subjects of answers begin with, for accounts that may not subscribe to the default, `_INBOX`. Say it as well with a `connection` that has one. */
  readonly inboxPrefix?: string
  /** What the server's monitoring calls the connection. Default `millrace`. */
  readonly clientName?: string
  /** Messages that wait for their acknowledgement at the same time, for each unit of work. Default 4,000. */
  readonly maxPending?: number
  /**
   * How long connecting to a server, an answer to a question, and the next acknowledgement of a batch may take. What is still
   * without one counts as not delivered. Default 10 s.
   */
  readonly timeoutMs?: number
  /** How long opening may take. Default 30 s. */
  readonly deadlineMs?: number
}

/** `rejectUnauthorized: false` takes any certificate of the server. */
export interface NatsTls extends TlsOptions {
  readonly rejectUnauthorized?: boolean
}

export type NatsAuth =
  | { readonly user: Credential; readonly password: Credential }
  | { readonly token: Credential }
  /** The seed: `SU...`. */
  | { readonly nkey: Credential }
  /** The text of a credentials file: a JWT and its seed. */
  | { readonly credentials: Credential }

/** A string, or a function that is asked on each connection. */
export type Credential = string | (() => string)

const text = z.string().min(1)
const duration = z.int().min(1).max(LONGEST_TIMER_MS)
const token = z.string().regex(/^[^\s\p{Cc}.*>]+$/u, 'must not be empty or hold white space, ".", "*" or ">"')
const credential = z.union([text, z.custom<() => string>(value => typeof value === 'function')], {
  error: 'must be a string or a function that returns one',
})

const schema = z
  .strictObject({
    name: text,
    servers: z
      .union([z.string(), z.array(z.string()).min(1)], { error: 'must be host:port, or several' })
      .transform(servers => (typeof servers === 'string' ? [servers] : servers))
      .refine(servers => servers.every(isAddress), 'must be host:port; credentials belong into auth')
      .optional(),
    connection: z.custom<NatsConnection>(isConnection, 'must be a NatsConnection').optional(),
    subject: z.string().transform((value, context) => {
      const template = parseSubject(value)
      if (template) return template
      const message =
        'must be tokens joined by ".", with columns as {column} behind the first, without white space, "*" or ">"'
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }),
    subjectValues: z.enum(['refuse', 'escape']).default('refuse'),
    stream: token.optional(),
    headers: z
      .record(
        z.string().regex(/^(?!nats-)[!-9;-~]+$/i, 'must be printable ASCII without ":", and not begin with "Nats-"'),
        z.string().regex(/^[^\r\n]*$/, 'must not hold line breaks'),
      )
      .default({}),
    auth: z
      .union(
        [
          z.strictObject({ user: credential, password: credential }),
          z.strictObject({ token: credential }),
          z.strictObject({ nkey: credential }),
          z.strictObject({ credentials: credential }),
        ],
        { error: 'must be { user, password }, { token }, { nkey } or { credentials }' },
      )
      .optional(),
    tls: z
      .union([z.literal(true), z.custom<NatsTls>(value => typeof value === 'object' && value !== null)], {
        error: 'must be true or options of TLS',
      })
      .optional(),
    domain: token.optional(),
    inboxPrefix: z
      .string()
      .regex(/^[^\s\p{Cc}*>]{1,200}$/u, 'must be 1 to 200 characters without white space, "*" or ">"')
      .default('_INBOX'),
    clientName: text.default('millrace'),
    maxPending: z.int().min(1).default(4_000),
    timeoutMs: duration.default(10_000),
    deadlineMs: duration.default(30_000),
  })
  .refine(({ servers, connection }) => (servers === undefined) !== (connection === undefined), {
    error: 'must be given, or else a connection',
    path: ['servers'],
  })
  .refine(({ connection, auth, tls }) => connection === undefined || (auth === undefined && tls === undefined), {
    error: 'takes no auth and no tls: it is connected',
    path: ['connection'],
  })

/** A host, a host and a port, or an IPv6 address in brackets and a port; `nats://` may precede it. */
function isAddress(text: string): boolean {
  const match = /^(?:nats:\/\/)?(?:\[[\da-fA-F:.]+\]|[^\s/:@]+)(?::(\d+))?$/.exec(text)
  return match !== null && Number(match[1] ?? 4222) <= 65_535
}

function isConnection(value: unknown): boolean {
  const { publish, subscribe } = (value ?? {}) as Partial<NatsConnection>
  return typeof publish === 'function' && typeof subscribe === 'function'
}

export type NatsSettings = z.output<typeof schema>

export function readOptions(options: NatsSinkOptions): NatsSettings {
  return checkOptions('natsSink', schema, options)
}

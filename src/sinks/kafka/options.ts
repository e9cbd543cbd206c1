import type { ConnectionOptions } from 'node:tls'
import { z } from 'zod'
import { LONGEST_TIMER_MS } from '../../core/timers.ts'
import { checkOptions } from '../options.ts'

export interface KafkaSinkOptions {
  /** What requests call it: `{ "type": "kafka", "name": name }`. */
  readonly name: string
  /** `host:port` of some brokers of the cluster; the others are found through them. Port 9092 if none is given. */
  readonly brokers: readonly string[]
  readonly topic: string
  /**
   * The column whose value, as text, is the record's key. It decides the partition as in Kafka's Java client. Without one,
   * and where the value is NULL, records go to one partition until its batch is full, and then to the next.
   */
  readonly key?: string
  /** Headers that every record gets. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Name of a header that gets the row's stable name, behind all others: `<job>-<chunk>-<row>`, or a hash of the values of the
   * registration's `uniqueKey`. By it a consumer recognises a row that comes twice, and `millrace verify` each single row. Default: none.
   */
  readonly idHeader?: string
  /**
   * The records' timestamps: when they are sent (default), or the value of a timestamp column, cut to milliseconds; NULL
   * is when it is sent, and Kafka has no time before 1970, so such a row is refused. A topic's retention goes by these:
   * old rows may be deleted soon after they arrive.
   */
  readonly timestamp?: 'now' | { readonly column: string }
  /** Default `none`. Needs no other package. Runs in the lanes; a batch that it would make larger stays as it is. */
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /**
   * Default true: what is sent again, the broker stores once, so that five batches of a partition are in flight at a time.
   * Without, it is one at a time, so that order survives, and one whose answer got lost may be there twice.
   */
  readonly idempotent?: boolean
  /**
   * When a record counts as delivered: when every in-sync replica has it (`all`, the default, the only choice while
   * `idempotent`), when the leader has it (1: lost if the leader is), when it was sent (0: lost without a trace if
   * anything goes wrong, so that a completed job proves nothing).
   */
  readonly acks?: 'all' | 1 | 0
  readonly tls?: true | ConnectionOptions
  readonly sasl?: KafkaSasl
  /** Default `millrace`. */
  readonly clientId?: string
  /** Creates the topic before the first row if it is missing. Without this a missing topic is an error, whatever the cluster does by itself. */
  readonly createTopic?: {
    readonly partitions: number
    readonly replicas: number
    /** As Kafka names them: `{ 'retention.ms': '-1' }`. */
    readonly config?: Readonly<Record<string, string>>
  }
  /** How long connecting to one broker may take. Default 10 s. */
  readonly connectTimeoutMs?: number
  /**
   * How long opening, and the delivery of one batch with all its retries, may take. Default 2 minutes, as in Kafka's Java client.
   * A broker is given half of it, at most 30 s, to answer.
   */
  readonly deadlineMs?: number
  /** Most bytes of a record batch before compression. Default 900,000, and never more than the topic takes (`max.message.bytes`). */
  readonly batchBytes?: number
  /** A batch that is not full is sent after this long. Default 100 ms. */
  readonly lingerMs?: number
}

export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: Credential
      readonly password: Credential
    }
  | {
      readonly mechanism: 'OAUTHBEARER'
      readonly token: Credential
      readonly extensions?: Readonly<Record<string, string>>
    }

/** A string, or a function that is asked on each connection, and again before a session at the broker expires. */
export type Credential = string | (() => string | Promise<string>)

const text = z.string().min(1)
const duration = z.int().min(1).max(LONGEST_TIMER_MS)
const credential = z.union([text, z.custom<() => string | Promise<string>>(value => typeof value === 'function')], {
  error: 'must be a string or a function that provides one',
})

const schema = z
  .strictObject({
    name: text,
    brokers: z.array(z.string().refine(isAddress, 'must be host:port')).min(1),
    topic: z.string().regex(/^[\w.-]{1,249}$/, 'must be 1 to 249 letters, digits, ".", "_" or "-"'),
    key: text.optional(),
    headers: z.record(z.string(), z.string()).default({}),
    idHeader: text.optional(),
    timestamp: z
      .union([z.literal('now'), z.strictObject({ column: text })], { error: 'must be "now" or { column }' })
      .default('now'),
    compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('none'),
    idempotent: z.boolean().default(true),
    acks: z.literal(['all', 1, 0]).default('all'),
    tls: z
      .union([z.literal(true), z.custom<ConnectionOptions>(value => typeof value === 'object' && value !== null)], {
        error: 'must be true or the options of node:tls',
      })
      .optional(),
    sasl: z
      .discriminatedUnion('mechanism', [
        z.strictObject({
          mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
          username: credential,
          password: credential,
        }),
        z.strictObject({
          mechanism: z.literal('OAUTHBEARER'),
          token: credential,
          extensions: z.record(z.string(), z.string()).optional(),
        }),
      ])
      .optional(),
    clientId: z.string().regex(/^\S+$/, 'must not be empty or hold spaces').default('millrace'),
    createTopic: z
      .strictObject({
        partitions: z.int().min(1),
        replicas: z.int().min(1),
        config: z.record(z.string(), z.string()).default({}),
      })
      .optional(),
    connectTimeoutMs: duration.default(10_000),
    deadlineMs: duration.default(120_000),
    batchBytes: z.int().min(1).default(900_000),
    lingerMs: z.int().min(0).default(100),
  })
  .refine(({ idempotent, acks }) => !idempotent || acks === 'all', {
    error: 'must be "all" unless idempotent is false',
    path: ['acks'],
  })

/** A host, a host and a port, or an IPv6 address in brackets and a port. */
function isAddress(text: string): boolean {
  const match = /^(?:\[[\da-fA-F:.]+\]|[^\s/:]+)(?::(\d+))?$/.exec(text)
  return match !== null && Number(match[1] ?? 9092) <= 65_535
}

export type KafkaSettings = z.output<typeof schema>

/** Throws a `ConfigError`. */
export function readOptions(options: KafkaSinkOptions): KafkaSettings {
  return checkOptions('kafkaSink', schema, options)
}

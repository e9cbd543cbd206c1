import type { SNSClient } from '@aws-sdk/client-sns'
import { z } from 'zod'
import { LONGEST_TIMER_MS } from '../../core/timers.ts'
import { checkOptions } from '../options.ts'

export interface SnsSinkOptions {
  /** What requests call it: `{ "type": "sns", "name": name }`. */
  readonly name: string
  /** `arn:aws:sns:REGION:ACCOUNT:NAME`; the region is taken from it. A name that ends in `.fifo` is a FIFO topic's. */
  readonly topicArn: string
  /**
   * The message group: the same for all rows, or a column's value. A FIFO topic needs it, and keeps the order of rows within it; a
   * standard topic hands it on to SQS, for fair queues. A value that SNS does not take (empty, longer than 128 characters, or with others
   * than ASCII letters, digits and punctuation) stands as its SHA-256 in hex. Where a column is NULL, the row has a group of its own, and
   * on a standard topic none.
   */
  readonly group?: string | { readonly column: string }
  /**
   * Message attributes by name, at most 10, since SNS drops what has more on the way to a queue with raw delivery. NULL and empty
   * values are left out.
   */
  readonly attributes?: Readonly<Record<string, SnsAttribute>>
  /**
   * Name of an attribute that gets the row's stable name: `<job>-<chunk>-<row>`, or a hash of the values of the registration's
   * `uniqueKey`. By it a consumer of a standard topic recognises a row that comes twice. Default: none.
   */
  readonly idAttribute?: string
  /** Default: the usual chain of the AWS SDK (environment, profile, container, instance). */
  readonly credentials?: SnsCredentials | (() => Promise<SnsCredentials>)
  /** URL of another SNS, such as a local stack's. Default: that of AWS in the topic's region. */
  readonly endpoint?: string
  /** The host's own client, in place of `credentials` and `endpoint`. Give it `maxAttempts: 1`: the engine tries again by itself. */
  readonly client?: SNSClient
  /** Requests at the same time, of at most 10 messages each, per job. Default 32. */
  readonly maxRequests?: number
  /** How long SNS may take to answer a request. Default 30 s. */
  readonly timeoutMs?: number
}

export interface SnsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/**
 * The same text for each row, or a column's value. The default type is `String`; for `Number`, which subscriptions can filter by range,
 * the column has to be one of numbers.
 */
export type SnsAttribute = string | { readonly column: string; readonly type?: 'String' | 'Number' }

const ARN = /^arn:[\w-]+:sns:([\w-]+):\d+:[\w-]{1,256}(?:\.fifo)?$/
/** What a group may be called: ASCII without spaces. */
export const GROUP: RegExp = /^[!-~]{1,128}$/
/** Within XML 1.0, which SNS and SQS speak: anything else is lost somewhere behind SNS. */
const TEXT = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u
const MOST_ATTRIBUTES = 10
const ATTRIBUTE = /^(?!(?:aws|amazon)\.)(?=.{1,256}$)[\w-]+(?:\.[\w-]+)*$/i

const text = z.string().min(1)

const schema = z
  .strictObject({
    name: text,
    topicArn: z.string().regex(ARN, 'must be arn:aws:sns:REGION:ACCOUNT:NAME'),
    group: z
      .union(
        [
          z.string().regex(GROUP, 'must be 1 to 128 ASCII letters, digits or punctuation'),
          z.strictObject({ column: text }),
        ],
        {
          error: 'must be a text or { column }',
        },
      )
      .optional(),
    attributes: z
      .record(
        z.string(),
        z.union(
          [
            text.refine(isText, 'must not have control characters'),
            z.strictObject({ column: text, type: z.enum(['String', 'Number']).default('String') }),
          ],
          {
            error: 'must be a text, or { column } with type String or Number',
          },
        ),
      )
      .default({}),
    idAttribute: text.optional(),
    credentials: z
      .custom<SnsCredentials | (() => Promise<SnsCredentials>)>(
        value => typeof value === 'function' || (typeof value === 'object' && value !== null),
        'must be credentials or a function that provides them',
      )
      .optional(),
    endpoint: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
    client: z
      .custom<SNSClient>(
        value => typeof (value as { send?: unknown } | null)?.send === 'function',
        'must be an SNSClient of @aws-sdk/client-sns',
      )
      .optional(),
    maxRequests: z.int().min(1).max(1_000).default(32),
    timeoutMs: z.int().min(1).max(LONGEST_TIMER_MS).default(30_000),
  })
  .superRefine(({ topicArn, group, attributes, idAttribute, credentials, endpoint, client }, { addIssue }) => {
    const problem = (path: string, message: string) => addIssue({ code: 'custom', path: [path], message })
    if (topicArn.endsWith('.fifo') && !group) problem('group', 'a FIFO topic needs a message group')
    const names = [...Object.keys(attributes), ...(idAttribute === undefined ? [] : [idAttribute])]
    if (names.length > MOST_ATTRIBUTES)
      problem('attributes', `must be at most ${MOST_ATTRIBUTES}, the idAttribute included`)
    if (!names.every(name => ATTRIBUTE.test(name)))
      problem('attributes', 'names must be letters, digits, "_", "-" and single dots, not AWS. or Amazon., 256 at most')
    if (idAttribute !== undefined && idAttribute in attributes)
      problem('idAttribute', 'must not be one of the attributes as well')
    if (client && credentials) problem('credentials', 'must be given to the client')
    if (client && endpoint !== undefined) problem('endpoint', 'must be given to the client')
  })
  .transform(settings => ({
    ...settings,
    fifo: settings.topicArn.endsWith('.fifo'),
    region: ARN.exec(settings.topicArn)![1]!,
  }))

export type SnsSettings = z.output<typeof schema>

/** Whether SNS and what is behind it take such a text. */
export function isText(value: string): boolean {
  return TEXT.test(value)
}

/** Throws a `ConfigError` that lists every problem with its path; none of its text repeats a value. */
export function readOptions(options: SnsSinkOptions): SnsSettings {
  return checkOptions('snsSink', schema, options)
}

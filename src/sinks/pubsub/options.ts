import { z } from 'zod'
import { LONGEST_TIMER_MS } from '../../core/timers.ts'
import { checkOptions } from '../options.ts'

export interface PubsubSinkOptions {
  /** What requests call it: `{ "type": "pubsub", "name": name }`. */
  readonly name: string
  /** Its id, or `projects/<project>/topics/<id>`. It has to exist. */
  readonly topic: string
  /** Of the topic, where `topic` is only its id. Default: the project of the credentials or of the environment, as in Google's clients. */
  readonly projectId?: string
  /**
   * The column whose value, as text, is the message's ordering key; none where it is NULL or empty, and a row whose key has over 1,024 bytes is
   * refused. Google delivers the messages of a key in order where the subscription asks for that and all come in through one region
   * (`apiEndpoint`), at no more than 1 MB/s each.
   */
  readonly orderingKey?: string
  /**
   * Attributes of every message: a fixed text, or a column's value as text. Where that is NULL the message does not have it; where it
   * has over 1,024 bytes the row is refused.
   */
  readonly attributes?: Readonly<Record<string, string | { readonly column: string }>>
  /**
   * Name of an attribute that gets the row's stable name: `<job>-<chunk>-<row>`, or a hash of the values of the registration's
   * `uniqueKey`. By it a consumer recognises a row that comes twice. Default: none.
   */
  readonly idAttribute?: string
  /** The content of a key file, as `google-auth-library` takes it. Default: Google's Application Default Credentials. */
  readonly credentials?: Readonly<Record<string, unknown>>
  /** Path of a key file, instead of `credentials`. */
  readonly keyFilename?: string
  /**
   * Host, or host:port, such as a region's: `europe-west1-pubsub.googleapis.com`. A host that is not Google's is taken for an emulator, and
   * gets no credentials. Default: PUBSUB_EMULATOR_HOST, else Google's global endpoint.
   */
  readonly apiEndpoint?: string
  /**
   * A client of the host's own, instead of the four options above: a `PubSub`, whose settings are used on a connection of the sink's own,
   * or a `v1.PublisherClient`, whose connection is shared and left open.
   */
  readonly client?: PubsubClient
  /** Publish requests at the same time, for each unit of work. Default 8. */
  readonly inFlight?: number
  /** Most payload bytes of a batch. Default, and at most, 9 MiB. What comes to over 10 MB with keys and attributes is sent as several requests. */
  readonly batchBytes?: number
  /** A batch that is not full is sent after this long. Default 100 ms. */
  readonly lingerMs?: number
  /** How long opening, and each publish request, may take. Default 60 s. */
  readonly timeoutMs?: number
}

/** By shape, so that a client of another copy of `@google-cloud/pubsub` will do. */
export type PubsubClient =
  | { getClientConfig(): Promise<object> }
  | { initialize(): Promise<object>; getProjectId(): Promise<string> }

/** Google's limits: https://cloud.google.com/pubsub/quotas#resource_limits. Of text in bytes of UTF-8. */
export const LIMITS = {
  requestMessages: 1_000,
  requestBytes: 10_000_000,
  attributes: 100,
  attributeName: 256,
  attributeValue: 1_024,
  orderingKey: 1_024,
} as const

/** As the client library has it: room for keys, attributes and framing. */
const MOST_BATCH_BYTES = 9 * 2 ** 20

const text = z.string().min(1)
const duration = z.int().min(1).max(LONGEST_TIMER_MS)
const attributeName = text
  .refine(name => Buffer.byteLength(name) <= LIMITS.attributeName, `must have at most ${LIMITS.attributeName} bytes`)
  .refine(name => !name.startsWith('goog'), 'must not begin with "goog"')
const attribute = z.union(
  [z.string().refine(value => Buffer.byteLength(value) <= LIMITS.attributeValue), z.strictObject({ column: text })],
  { error: `must be a text of at most ${LIMITS.attributeValue} bytes, or { column }` },
)

const schema = z
  .strictObject({
    name: text,
    topic: z
      .string()
      .regex(
        /^(?:projects\/[^\s/]+\/topics\/)?[A-Za-z][\w.~+%-]{2,254}$/,
        'must be the id of a topic, or projects/<project>/topics/<id>',
      ),
    projectId: z
      .string()
      .regex(/^[^\s/]+$/, 'must be the id of a project')
      .optional(),
    orderingKey: text.optional(),
    attributes: z.record(attributeName, attribute).default({}),
    idAttribute: attributeName.optional(),
    credentials: z
      .custom<Readonly<Record<string, unknown>>>(value => typeof value === 'object' && value !== null, {
        error: 'must be an object',
      })
      .optional(),
    keyFilename: text.optional(),
    apiEndpoint: z
      .string()
      .regex(/^(?:https?:\/\/)?[^\s/:]+(?::\d+)?\/*$/, 'must be a host, or host:port')
      .optional(),
    client: z
      .custom<PubsubClient>(isClient, { error: 'must be a PubSub or a v1.PublisherClient of @google-cloud/pubsub' })
      .optional(),
    inFlight: z.int().min(1).max(100).default(8),
    batchBytes: z.int().min(1).max(MOST_BATCH_BYTES).default(MOST_BATCH_BYTES),
    lingerMs: z.int().min(0).default(100),
    timeoutMs: duration.default(60_000),
  })
  .superRefine((settings, { addIssue }) => {
    const { client, credentials, keyFilename, attributes, idAttribute, topic, projectId } = settings
    const problem = (path: string, message: string) =>
      addIssue({ code: 'custom', path: [path], message, input: undefined })
    if (client !== undefined)
      for (const option of ['credentials', 'keyFilename', 'apiEndpoint'] as const)
        if (settings[option] !== undefined) problem(option, 'the client has its own: leave it out')
    if (credentials !== undefined && keyFilename !== undefined)
      problem('keyFilename', 'give it or credentials, not both')
    if (projectId !== undefined && topic.includes('/') && !topic.startsWith(`projects/${projectId}/`))
      problem('projectId', 'the topic names another project')
    if (idAttribute !== undefined && Object.hasOwn(attributes, idAttribute))
      problem('idAttribute', 'is one of the attributes already')
    const count = Object.keys(attributes).length + (idAttribute === undefined ? 0 : 1)
    if (count > LIMITS.attributes) problem('attributes', `a message has at most ${LIMITS.attributes}`)
  })

export type PubsubSettings = z.output<typeof schema>

function isClient(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const has = (method: string): boolean => typeof (value as Record<string, unknown>)[method] === 'function'
  return has('getClientConfig') || (has('initialize') && has('getProjectId'))
}

/** Throws a `ConfigError`. */
export function readOptions(options: PubsubSinkOptions): PubsubSettings {
  return checkOptions('pubsubSink', schema, options)
}

/**
 * Calls on the connection of a generated client. Its own methods take and give an object for each message; what the library is here for
 * is the rest: credentials, endpoints, TLS, the emulator, and gRPC.
 */
import { DeliveryError, isMillraceError, messageOf } from '../../core/errors.ts'
import type { PubsubClient, PubsubSettings } from './options.ts'

export type PubsubModule = Pick<typeof import('@google-cloud/pubsub'), 'PubSub' | 'v1'>

export interface Connection {
  /** `projects/<project>/topics/<id>` */
  readonly topic: string
  /**
   * One attempt at one call, as `/google.pubsub.v1.Publisher/Publish`; answers the encoded response. Rejects with gRPC's error, at the latest
   * after `timeoutMs`, or with the reason of a signal that aborts.
   */
  call(method: string, request: Buffer, signals: readonly AbortSignal[]): Promise<Buffer>
  close(): void
}

/** Of grpc-js's `Client`, which the clients of `@google-cloud/pubsub` call their stub. */
interface Stub {
  makeUnaryRequest(
    method: string,
    serialize: (request: Buffer) => Buffer,
    deserialize: (response: Buffer) => Buffer,
    request: Buffer,
    options: { readonly deadline: number; readonly interceptors: readonly Interceptor[] },
    callback: (error: Error | null, response?: Buffer) => void,
  ): { cancel(): void }
  close(): void
}

type Interceptor = <Options>(options: Options, next: (options: Options) => InterceptedCall) => InterceptedCall

interface InterceptedCall {
  start(metadata: { set(key: string, value: string): void }, listener: unknown): void
}

const HTTPS = 443

interface Client {
  readonly stub: Stub
  readonly project: string
  readonly shared: boolean
}

export async function connect(pubsub: PubsubModule, settings: PubsubSettings): Promise<Connection> {
  const { stub, project, shared } = await makeClient(pubsub, settings)
  const topic = settings.topic.includes('/') ? settings.topic : `projects/${project}/topics/${settings.topic}`
  const interceptors = [routed(topic)]
  return {
    topic,
    call(method, request, signals) {
      return new Promise((resolve, reject) => {
        for (const signal of signals) signal.throwIfAborted()
        const deadline = Date.now() + settings.timeoutMs
        const call = stub.makeUnaryRequest(
          method,
          same,
          same,
          request,
          { deadline, interceptors },
          (error, response) => {
            const aborted = signals.find(signal => signal.aborted)
            for (const signal of signals) signal.removeEventListener('abort', cancel)
            if (error) reject(aborted ? aborted.reason : error)
            else resolve(response!)
          },
        )
        const cancel = (): void => call.cancel()
        for (const signal of signals) signal.addEventListener('abort', cancel)
      })
    },
    close() {
      if (!shared) stub.close()
    },
  }
}

function same(bytes: Buffer): Buffer {
  return bytes
}

/** Google's front ends find by this header the region that a request is for (https://google.aip.dev/client-libraries/4222). */
function routed(topic: string): Interceptor {
  return (options, next) => {
    const call = next(options)
    const start = call.start.bind(call)
    call.start = (metadata, listener) => {
      metadata.set('x-goog-request-params', `topic=${encodeURIComponent(topic)}`)
      start(metadata, listener)
    }
    return call
  }
}

async function makeClient(pubsub: PubsubModule, settings: PubsubSettings): Promise<Client> {
  try {
    const { client = newPubSub(pubsub, settings) } = settings
    if ('initialize' in client) {
      const stub = asStub(await client.initialize())
      return { stub, project: await projectOf(settings, () => client.getProjectId()), shared: true }
    }
    const config = (await client.getClientConfig()) as { readonly projectId?: string; readonly port?: number }
    const project = await projectOf(settings, async () => config.projectId)
    // its settings, but not its connection: that is private to it. An endpoint without a port leaves it as undefined, which counts
    const { port = HTTPS } = config
    // with the tokens that it has already
    const auth = client instanceof pubsub.PubSub ? { auth: client.auth } : {}
    const stub = asStub(await new pubsub.v1.PublisherClient({ ...config, ...auth, port }).initialize())
    return { stub, project, shared: false }
  } catch (error) {
    if (isMillraceError(error)) throw error
    // the error itself may hold requests with credentials, and that of a damaged key file quotes it
    const reason = error instanceof SyntaxError ? 'the key file is not JSON' : messageOf(error)
    throw misconfigured(`cannot make a client: ${reason}`)
  }
}

function newPubSub(
  { PubSub }: PubsubModule,
  { topic, projectId = projectIn(topic), credentials, keyFilename, apiEndpoint }: PubsubSettings,
): Extract<PubsubClient, { getClientConfig: unknown }> {
  return new PubSub({
    // known, it is not looked for in the environment and on the network
    ...(projectId === undefined ? {} : { projectId }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(keyFilename === undefined ? {} : { keyFilename }),
    ...(apiEndpoint === undefined ? {} : { apiEndpoint }),
  })
}

function projectIn(topic: string): string | undefined {
  return /^projects\/([^/]+)\//.exec(topic)?.[1]
}

async function projectOf(
  { topic, projectId }: PubsubSettings,
  find: () => Promise<string | undefined>,
): Promise<string> {
  const project = projectIn(topic) ?? projectId ?? (await find())
  if (project) return project
  throw misconfigured('no project is known: set projectId, or write the topic as projects/<project>/topics/<id>')
}

function asStub(stub: object): Stub {
  if ('makeUnaryRequest' in stub) return stub as Stub
  throw misconfigured('the client does not use gRPC (fallback), which publishing needs')
}

function misconfigured(reason: string): DeliveryError {
  return new DeliveryError(`Pub/Sub: ${reason}`, { code: 'destination_misconfigured' })
}

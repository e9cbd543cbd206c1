/** Who carries the requests: a keep-alive pool that connects to permitted addresses only, one through a proxy, or the host's own. */
import { buildConnector, Pool, ProxyAgent } from 'undici'
import { DeliveryError } from '../../core/errors.ts'
import { within } from '../deadline.ts'
import { asDeliveryError } from './answers.ts'
import { createGuard } from './guard.ts'
import { hostOf, type WebhookSettings } from './options.ts'

/** As much of undici's `Dispatcher` as is used. */
export interface WebhookDispatcher {
  request(options: WebhookRequest): Promise<WebhookResponse>
}

export interface WebhookRequest {
  readonly origin: string
  readonly path: string
  readonly method: 'POST'
  readonly headers: Record<string, string>
  readonly body: Uint8Array
  readonly signal: AbortSignal
  readonly headersTimeout: number
  readonly bodyTimeout: number
}

export interface WebhookResponse {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** `dump` reads it to its end, so that the connection can be used again. */
  readonly body: { dump(): Promise<unknown> }
}

export interface Route {
  readonly dispatcher: WebhookDispatcher
  /** Rejects if the endpoint, or what stands before it, cannot be connected to. Absent where the host connects. */
  readonly probe?: () => Promise<void>
  /** Frees what is not the host's. */
  close(): Promise<void>
}

/** `staticEgressIp`: by the way that is configured for it. */
export function routeTo(settings: WebhookSettings, staticEgressIp: boolean): Route {
  const { dispatcher, egress } = settings
  if (dispatcher) return { dispatcher, close: async () => {} }
  if (staticEgressIp && !egress)
    throw new DeliveryError('no egress is configured', { code: 'destination_misconfigured' })
  if (!staticEgressIp || !egress) return directRoute(settings)
  return 'proxy' in egress ? proxyRoute(settings, egress.proxy) : directRoute(settings, egress.localAddress)
}

/** Connects once, so that what is wrong shows before the first row. */
export async function connectOnce(route: Route, { url, connectTimeoutMs }: WebhookSettings, signal: AbortSignal) {
  if (!route.probe) return
  const where = new URL(url).origin
  const late = () =>
    new DeliveryError(`${where} could not be connected to in time`, { code: 'destination_unavailable' })
  try {
    // names that are looked up for a proxy have no deadline of their own
    await within(2 * timeoutOf({ connectTimeoutMs }), [signal], late, route.probe)
  } catch (error) {
    signal.throwIfAborted()
    throw asDeliveryError(where, error)
  }
}

function directRoute(settings: WebhookSettings, localAddress?: string): Route {
  const url = new URL(settings.url)
  const connect = guardedConnector(settings)
  const pool = new Pool(url.origin, {
    connect,
    connections: settings.concurrency,
    ...(localAddress === undefined ? {} : { localAddress }),
  })
  return {
    dispatcher: pool,
    probe: () => touch(connect, url, localAddress),
    close: () => pool.destroy(),
  }
}

function proxyRoute(settings: WebhookSettings, proxy: string): Route {
  const timeout = timeoutOf(settings)
  const agent = new ProxyAgent({
    uri: proxy,
    connections: settings.concurrency,
    connectTimeout: timeout,
    allowH2: false,
    requestTls: { ...settings.tls, timeout, allowH2: false },
  })
  const guard = createGuard(settings.allowNetworks)
  return {
    dispatcher: agent,
    async probe() {
      await guard.check(hostOf(new URL(settings.url)))
      await touch(buildConnector({ timeout, allowH2: false }), new URL(proxy))
    },
    close: () => agent.destroy(),
  }
}

function timeoutOf({ connectTimeoutMs = 10_000 }: Pick<WebhookSettings, 'connectTimeoutMs'>): number {
  return connectTimeoutMs
}

/**
 * HTTP/1.1 only: one request at a time on a connection, so that one that breaks fails no other. A host that is an address is not looked
 * up: `readOptions` has judged it.
 */
function guardedConnector(settings: WebhookSettings): buildConnector.connector {
  const { lookup } = createGuard(settings.allowNetworks)
  return buildConnector({ ...settings.tls, timeout: timeoutOf(settings), allowH2: false, lookup })
}

/** Opens a connection, with its TLS handshake, and closes it. */
function touch(connect: buildConnector.connector, url: URL, localAddress?: string): Promise<void> {
  const { protocol, port, host } = url
  const target = {
    protocol,
    port,
    host,
    hostname: hostOf(url),
    ...(localAddress === undefined ? {} : { localAddress }),
  }
  return new Promise((resolve, reject) => {
    connect(target, (error, socket) => {
      socket?.on('error', () => {}).destroy()
      if (error) reject(error)
      else resolve()
    })
  })
}

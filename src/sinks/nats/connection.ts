import type { Authenticator, NatsConnection } from '@nats-io/transport-node'
import type { Credential, NatsAuth, NatsSettings } from './options.ts'

export type Nats = typeof import('@nats-io/transport-node')

const RECONNECT_MS = 500
const CLOSE_GRACE_MS = 1_000

/** The host's own, or a new one that reconnects for as long as it is open. */
export async function connectTo(nats: Nats, settings: NatsSettings, signal: AbortSignal): Promise<NatsConnection> {
  const { connection: given, servers, auth, tls, inboxPrefix, clientName, timeoutMs, deadlineMs } = settings
  if (given) return given
  const connection = await nats.connect({
    servers: servers!,
    name: clientName,
    inboxPrefix,
    // it cannot be called off
    timeout: Math.min(timeoutMs, deadlineMs),
    // a connection that hangs is found out as an answer that does not come is
    pingInterval: timeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    noAsyncTraces: true,
    ...(auth ? { authenticator: authenticatorOf(nats, auth) } : {}),
    ...(tls ? { tls: tls === true ? {} : tls } : {}),
  })
  if (signal.aborted) await closeConnection(settings, connection)
  signal.throwIfAborted()
  return connection
}

/** A host's own stays open. */
export async function closeConnection({ connection: given }: NatsSettings, connection: NatsConnection): Promise<void> {
  if (given) return
  let grace: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    grace = setTimeout(resolve, CLOSE_GRACE_MS)
  })
  await Promise.race([connection.close(), late])
  clearTimeout(grace)
}

function authenticatorOf(nats: Nats, auth: NatsAuth): Authenticator {
  if ('token' in auth) return nats.tokenAuthenticator(auth.token)
  if ('nkey' in auth) return nats.nkeyAuthenticator(bytesOf(auth.nkey))
  if ('credentials' in auth) return nats.credsAuthenticator(bytesOf(auth.credentials))
  return nats.usernamePasswordAuthenticator(auth.user, auth.password)
}

function bytesOf(credential: Credential): () => Uint8Array {
  return () => new TextEncoder().encode((typeof credential === 'function' ? credential() : credential).trim())
}

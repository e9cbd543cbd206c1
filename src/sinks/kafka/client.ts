import type { Base, BaseOptions } from '@platformatic/kafka'
import type { KafkaSettings } from './options.ts'

const CLOSE_GRACE_MS = 1_000
const REQUEST_TIMEOUT_MS = 30_000

/**
 * The options that an admin client and a producer have in common. `onFailure` hears of every attempt that failed and will
 * be made again: the client retries an idempotent producer's requests for ever and tells nobody else why.
 */
export function clientOptions(settings: KafkaSettings, onFailure: (error: unknown) => void): BaseOptions {
  const { brokers, clientId, tls, sasl, deadlineMs } = settings
  const requestTimeout = Math.min(REQUEST_TIMEOUT_MS, deadlineMs)
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    connectTimeout: Math.min(settings.connectTimeoutMs, deadlineMs),
    requestTimeout,
    // how long a broker may wait for its replicas: less, so that its answer comes before nobody waits for it any more
    timeout: Math.ceil(requestTimeout / 2),
    // its default too, but asking for a topic in a probe must never make it
    autocreateTopics: false,
    retryDelay(_client, _operation, attempt, _retries, error) {
      onFailure(error)
      return Math.random() * Math.min(1_000, 50 * 2 ** attempt)
    },
    ...(tls ? { tls: tls === true ? {} : tls } : {}),
    ...(sasl ? { sasl: saslOptions(sasl) } : {}),
  }
}

function saslOptions(sasl: NonNullable<KafkaSettings['sasl']>): NonNullable<BaseOptions['sasl']> {
  if (sasl.mechanism !== 'OAUTHBEARER') return sasl
  const { mechanism, token, extensions } = sasl
  return { mechanism, token, ...(extensions ? { oauthBearerExtensions: extensions } : {}) }
}

/**
 * Keeps a broken connection from ending the process: the client listens for one `error` of a connection, and a second one
 * (a refused login, then the reset that follows) would be an uncaught exception.
 */
export function guarded<Client extends Base>(client: Client): Client {
  client.connections.on('connecting', ({ connection }) => {
    connection.on('error', () => {})
  })
  return client
}

/** Closes every connection; one whose other side no longer reads is cut. What is still being retried fails. */
export async function closeClient(client: Base): Promise<void> {
  const sockets = [...client.connections].map(([, connection]) => connection.socket)
  const cut = setTimeout(() => {
    for (const socket of sockets) socket?.destroy()
  }, CLOSE_GRACE_MS)
  try {
    await client.close()
  } finally {
    clearTimeout(cut)
  }
}

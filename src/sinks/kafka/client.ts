import type { Base, BaseOptions, ConnectionOptions, ConnectionPool } from '@platformatic/kafka'
import type { KafkaSettings } from './options.ts'

export type Kafka = typeof import('@platformatic/kafka')

const CLOSE_GRACE_MS = 1_000
const REQUEST_TIMEOUT_MS = 30_000
/** A question about the cluster is answered at once, or by another broker. */
const QUESTION_TIMEOUT_MS = 5_000
const ADDITIONAL_ATTEMPTS = 2

/** How connections to brokers are made, and how long an answer may take: there is time for a second attempt before the deadline. */
export function connectionOptions(settings: KafkaSettings): ConnectionOptions {
  const { tls, sasl, deadlineMs } = settings
  return {
    connectTimeout: Math.min(settings.connectTimeoutMs, deadlineMs),
    requestTimeout: Math.min(REQUEST_TIMEOUT_MS, Math.ceil(deadlineMs / 2)),
    ...(tls ? { tls: tls === true ? {} : tls } : {}),
    ...(sasl ? { sasl: saslOptions(sasl) } : {}),
  }
}

/** How long a broker may wait for its replicas: less than for its answer, so that this comes before nobody waits for it any more. */
export function replicaTimeoutMs(settings: KafkaSettings): number {
  return Math.ceil(connectionOptions(settings).requestTimeout! / 2)
}

/** A client for questions. `onFailure` hears of every attempt that failed and will be made again, at another broker. */
export function makeClient<Client extends Base>(
  Client: new (options: BaseOptions) => Client,
  settings: KafkaSettings,
  onFailure: (error: unknown) => void,
): Client {
  const connecting = connectionOptions(settings)
  const client = new Client({
    ...connecting,
    requestTimeout: Math.min(QUESTION_TIMEOUT_MS, connecting.requestTimeout!),
    clientId: settings.clientId,
    bootstrapBrokers: [...settings.brokers],
    // its default too, but asking for a topic in a probe must never make it
    autocreateTopics: false,
    retries: settings.brokers.length === 1 ? 0 : ADDITIONAL_ATTEMPTS,
    retryDelay(_client, _operation, _attempt, _retries, error) {
      onFailure(error)
      return 0
    },
  })
  guardConnections(client.connections)
  return client
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
export function guardConnections(pool: ConnectionPool): void {
  pool.on('connecting', ({ connection }) => {
    connection.on('error', () => {})
  })
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

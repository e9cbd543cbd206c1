/** Streams of the test server: made, changed and read back with the client, by none of the sink's code. */
import { randomUUID } from 'node:crypto'
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

export interface StoredMessage {
  readonly sequence: number
  readonly subject: string
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

export type Streams = Awaited<ReturnType<typeof streamsOf>>

export async function streamsOf(servers: string, auth: { readonly user?: string; readonly pass?: string } = {}) {
  const connection = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 100, ...auth })
  const manager = await jetstreamManager(connection)

  return {
    connection,
    manager,

    /** A stream that takes `<name>.>`, unless the configuration says otherwise. */
    async create(config: Partial<StreamConfig> = {}): Promise<string> {
      const name = `s${randomUUID().slice(0, 8)}`
      await manager.streams.add({ name, subjects: [`${name}.>`], ...config })
      return name
    },

    /** All that it holds, in its order. */
    async read(name: string): Promise<StoredMessage[]> {
      const { state } = await manager.streams.info(name)
      const stored: StoredMessage[] = []
      if (state.messages === 0) return stored
      const consumer = await manager.jetstream().consumers.get(name)
      const messages = await consumer.consume({ max_messages: 5_000 })
      for await (const message of messages) {
        const { seq: sequence, subject, headers } = message
        const names = headers?.keys() ?? []
        stored.push({
          sequence,
          subject,
          value: message.string(),
          headers: Object.fromEntries(names.map(key => [key, headers!.get(key)])),
        })
        if (sequence >= state.last_seq) break
      }
      return stored
    },

    close: () => connection.close(),
  }
}

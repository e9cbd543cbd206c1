/** The publisher of `@google-cloud/pubsub` with rows that are ready, its batches as large as Pub/Sub takes them. */
import { PubSub } from '@google-cloud/pubsub'
import { measured, print, settings } from '../child.ts'
import type { StagedTable } from '../data.ts'
import { encodedRows } from '../encoded-rows.ts'
import { PUBSUB_SETTINGS } from '../settings.ts'

export interface PublisherSettings {
  readonly table: StagedTable
  readonly host: string
  readonly project: string
  readonly topic: string
  readonly warmupTopic: string
  readonly rows: number
  readonly warmupRows: number
}

const { table, host, project, topic, warmupTopic, rows, warmupRows } = settings<PublisherSettings>()
const { batchRows, batchBytes, inFlight } = PUBSUB_SETTINGS
const values = await encodedRows(table, Math.min(2 * inFlight * batchRows, table.rows))
const client = new PubSub({ apiEndpoint: host, projectId: project })

await send(warmupTopic, warmupRows)
print(await measured(() => send(topic, rows)))
await client.close()

/** As many full batches in flight as the sink has: the publisher itself takes whatever it is given. */
async function send(name: string, rows: number): Promise<number> {
  const to = client.topic(name, {
    batching: { maxMessages: batchRows, maxBytes: batchBytes, maxMilliseconds: 10 },
  })
  let sent = 0
  const one = async (): Promise<void> => {
    while (sent < rows) {
      const first = sent
      sent += Math.min(batchRows, rows - first)
      const messages = Array.from({ length: sent - first }, (_, at) => ({
        data: values[(first + at) % values.length]!,
      }))
      await Promise.all(messages.map(message => to.publishMessage(message)))
    }
  }
  await Promise.all(Array.from({ length: inFlight }, one))
  return rows
}

/** `producer.send` of `@platformatic/kafka` with rows that are ready: the ceiling of whatever goes through it. */
import { Producer } from '@platformatic/kafka'
import { measured, print, settings } from '../child.ts'
import type { StagedTable } from '../data.ts'
import { encodedRows } from '../encoded-rows.ts'
import { KAFKA_SETTINGS } from '../settings.ts'

export interface PlatformaticSettings {
  readonly table: StagedTable
  readonly brokers: readonly string[]
  readonly topic: string
  readonly warmupTopic: string
  readonly rows: number
  readonly warmupRows: number
}

const { table, brokers, topic, warmupTopic, rows, warmupRows } = settings<PlatformaticSettings>()
const { batchRows, partitions } = KAFKA_SETTINGS
const values = await encodedRows(table, Math.min(8 * batchRows * partitions, table.rows))
const producer = new Producer({ clientId: 'bench', bootstrapBrokers: [...brokers], idempotent: true, acks: -1 })

await send(warmupTopic, warmupRows)
print(await measured(() => send(topic, rows)))
await producer.close()

/** One request after the other, with a batch for each partition: an idempotent producer of this client has one in flight. */
async function send(topic: string, rows: number): Promise<number> {
  for (let sent = 0; sent < rows; ) {
    const count = Math.min(batchRows * partitions, rows - sent)
    const messages = Array.from({ length: count }, (_, index) => ({
      topic,
      partition: index % partitions,
      value: values[(sent + index) % values.length]!,
    }))
    await producer.send({ messages })
    sent += count
  }
  return rows
}

/**
 * A client that only sends: record batches of the same rows, ready in memory, over bare sockets, 4 in flight per partition. It does
 * what an idempotent producer cannot do beforehand: sequence numbers and CRC. So its rate is what the broker takes on this machine,
 * and its CPU what sending costs at the least.
 */
import { Admin, Producer } from '@platformatic/kafka'
import { measured, print, settings } from '../child.ts'
import type { StagedTable } from '../data.ts'
import { encodedRows } from '../encoded-rows.ts'
import { ProduceLine } from '../produce.ts'
import { type ReadyBatch, recordBatch, stamp } from '../record-batch.ts'
import { KAFKA_SETTINGS } from '../settings.ts'

export interface PreencodedSettings {
  readonly table: StagedTable
  readonly brokers: readonly string[]
  readonly topic: string
  readonly warmupTopic: string
  readonly rows: number
  readonly warmupRows: number
}

const IN_FLIGHT_PER_PARTITION = 4
/** Sent again and again: more than are ever in flight, and few enough to stay out of the way. */
const READY_BATCHES = 64

const { table, brokers, topic, warmupTopic, rows, warmupRows } = settings<PreencodedSettings>()
const { batchRows } = KAFKA_SETTINGS
const { ready, warmupRest, rest } = await readyBatches()
const bootstrapBrokers = [...brokers]
const admin = new Admin({ clientId: 'bench', bootstrapBrokers })
const producer = new Producer({ clientId: 'bench', bootstrapBrokers, idempotent: true })
const lines = new Map<number, ProduceLine>()

await send(warmupTopic, warmupRows, warmupRest)
print(await measured(() => send(topic, rows, rest)))
for (const line of lines.values()) line.close()
await Promise.all([producer.close(), admin.close()])

/** In a function of its own, so that the single rows are garbage before anything is measured. */
async function readyBatches() {
  const values = await encodedRows(table, Math.min(READY_BATCHES * batchRows, table.rows))
  const batchOf = (first: number, count: number) => recordBatch(values.slice(first, first + count))
  return {
    ready: Array.from({ length: Math.floor(values.length / batchRows) }, (_, batch) =>
      batchOf(batch * batchRows, batchRows),
    ),
    warmupRest: batchOf(0, warmupRows % batchRows),
    rest: batchOf(0, rows % batchRows),
  }
}

/** Whole batches, one of them again as soon as it is acknowledged, and then the rest. */
async function send(topic: string, rows: number, rest: ReadyBatch): Promise<number> {
  const { producerId, producerEpoch } = await producer.initIdempotentProducer({})
  const leaders = await leadersOf(topic)
  let left = Math.floor(rows / batchRows)
  const last = rest.records > 0 ? [rest] : []
  const take = (): ReadyBatch | undefined => (left-- > 0 ? ready.shift()! : last.shift())
  await Promise.all(
    leaders.map(async (line, partition) => {
      let sequence = 0
      const one = async (): Promise<void> => {
        for (let batch = take(); batch !== undefined; batch = take()) {
          stamp(batch, { producerId, producerEpoch, sequence })
          sequence += batch.records
          await line.produce(topic, partition, batch.bytes)
          if (batch !== rest) ready.push(batch)
        }
      }
      await Promise.all(Array.from({ length: IN_FLIGHT_PER_PARTITION }, one))
    }),
  )
  return rows
}

/** A connection to the leader of each partition; partitions with the same leader share one. */
async function leadersOf(topic: string): Promise<readonly ProduceLine[]> {
  const { brokers, topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
  return topics.get(topic)!.partitions.map(({ leader }) => {
    const line = lines.get(leader) ?? new ProduceLine(brokers.get(leader)!)
    lines.set(leader, line)
    return line
  })
}

/** The broker of a run: `KAFKA_BROKERS`, or Redpanda in a container, or the local Kafka that the tests start. */
import { randomUUID } from 'node:crypto'
import { Admin, ListOffsetTimestamps } from '@platformatic/kafka'
import { kafka } from '../test/servers/kafka.ts'
import { CannotStart } from '../test/servers/server.ts'
import type { Measurement } from './child.ts'
import { KAFKA_SETTINGS } from './settings.ts'

export interface Topics {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly warmupTopic: string
}

export interface Broker {
  /** A run of its own topics, removed behind it. Throws when the topic then holds another number of rows than the run says. */
  deliver(run: (topics: Topics) => Promise<Measurement>): Promise<Measurement>
  close(): Promise<void>
}

/** Where there is none to be had, the reason. */
export async function startBroker(): Promise<Broker | { readonly missing: string }> {
  try {
    const { facts, stop } = await kafka.start()
    const broker = brokerAt(facts.brokers)
    return {
      ...broker,
      async close() {
        await broker.close()
        await stop()
      },
    }
  } catch (error) {
    if (error instanceof CannotStart) return { missing: error.message }
    throw error
  }
}

export function brokerAt(brokers: readonly string[]): Broker {
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [...brokers] })
  return {
    async deliver(run) {
      const topic = `millrace-bench-${randomUUID()}`
      const warmupTopic = `${topic}-warmup`
      const topics = [topic, warmupTopic]
      await create(admin, topics)
      try {
        const measurement = await run({ brokers, topic, warmupTopic })
        const stored = await countRows(admin, topic)
        if (stored === measurement.rows) return measurement
        throw new Error(`the topic holds ${stored} rows, and ${measurement.rows} were acknowledged`)
      } finally {
        await admin.deleteTopics({ topics })
      }
    },
    close: async () => admin.close(),
  }
}

/** Files go at once with their topic: each run leaves a gigabyte. */
const CONFIGURATION = { 'file.delete.delay.ms': '1000' }

async function create(admin: Admin, topics: string[]): Promise<void> {
  const { partitions } = KAFKA_SETTINGS
  const configs = Object.entries(CONFIGURATION).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ topics, partitions, replicas: 1, configs })
  // a topic is known before its leaders are at work: whoever was measured would wait for them
  for (const deadline = performance.now() + LEADERS_MS; ; ) {
    try {
      for (const topic of topics) await countRows(admin, topic)
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
  }
}

const LEADERS_MS = 20_000

async function countRows(admin: Admin, topic: string): Promise<number> {
  const partitions = Array.from({ length: KAFKA_SETTINGS.partitions }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: ListOffsetTimestamps.LATEST,
  }))
  const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
  return listed!.partitions.reduce((sum, { offset }) => sum + Number(offset), 0)
}

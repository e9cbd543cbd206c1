/** Topics of the test broker, made, looked at and read back with kafkajs: a client that shares no code with the sink's. */
import { randomUUID } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs, { type Admin, type Kafka as Client, type KafkaMessage } from 'kafkajs'

// Node itself, without a bundler, does not see all of its names
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs

// kafkajs reads gzip by itself and takes a codec for the rest; Node has only this one
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { readonly buffer: Buffer }) => zstdCompressSync(encoder.buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
})

export interface ReadRecord {
  readonly partition: number
  readonly offset: string
  readonly key: string | null
  readonly value: string
  readonly timestamp: number
  readonly headers: Readonly<Record<string, string>>
}

export interface Topics {
  newName(): string
  create(options?: {
    /** Default: a new name. */
    readonly topic?: string
    readonly partitions?: number
    readonly replicas?: number
    readonly config?: Readonly<Record<string, string>>
  }): Promise<string>
  exists(topic: string): Promise<boolean>
  partitions(topic: string): Promise<number>
  config(topic: string, name: string): Promise<string | undefined>
  /** Resolves when a broker that is alone goes by it. All that is not named goes back to its default. */
  setConfig(topic: string, name: string, value: string): Promise<void>
  addPartitions(topic: string, count: number): Promise<void>
  /** All records that are there now, by partition and offset; none where there is no topic. */
  read(topic: string): Promise<ReadRecord[]>
}

export function topicsOf(brokers: readonly string[]): Topics {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'millrace-tests', logLevel: logLevel.NOTHING })

  async function asAdmin<T>(use: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = kafka.admin()
    await admin.connect()
    try {
      return await use(admin)
    } finally {
      await admin.disconnect()
    }
  }

  // not by asking for the topic: kafkajs lets the broker create what it asks for
  const exists = (topic: string) => asAdmin(async admin => (await admin.listTopics()).includes(topic))

  /** A new topic is known before its leaders are at work. */
  const endsOf = (topic: string) =>
    asAdmin(async admin => {
      for (;;) {
        try {
          return await admin.fetchTopicOffsets(topic)
        } catch (error) {
          if (!(error as { retriable?: boolean }).retriable) throw error
        }
      }
    })

  const create: Topics['create'] = async ({ topic = newName(), partitions = 4, replicas = 1, config = {} } = {}) => {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await asAdmin(admin =>
      admin.createTopics({
        // kafkajs's own waiting gives up where the broker does not know the topic yet
        waitForLeaders: false,
        topics: [{ topic, numPartitions: partitions, replicationFactor: replicas, configEntries }],
      }),
    )
    await endsOf(topic)
    return topic
  }

  const configOf: Topics['config'] = (topic, name) =>
    asAdmin(async admin => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: topic, configNames: [name] }],
      })
      return resources[0]?.configEntries.find(entry => entry.configName === name)?.configValue
    })

  return {
    create,
    exists,
    newName,
    partitions: async topic => (await endsOf(topic)).length,
    config: configOf,
    async setConfig(topic, name, value) {
      await asAdmin(admin => {
        const resources = [{ type: 2, name: topic, configEntries: [{ name, value }] }]
        return admin.alterConfigs({ validateOnly: false, resources })
      })
      while ((await configOf(topic, name)) !== value);
      // a broker tells of what it has read before it goes by it, and reads on only then
      await create({ partitions: 1 })
    },
    addPartitions: (topic, count) =>
      asAdmin(async admin => void (await admin.createPartitions({ topicPartitions: [{ topic, count }] }))),
    async read(topic) {
      if (!(await exists(topic))) return []
      const offsets = await endsOf(topic)
      const ends = offsets
        .filter(({ high, low }) => high !== low)
        .map(({ partition, high }) => [partition, Number(high)] as const)
      return ends.length === 0 ? [] : consume(kafka, topic, new Map(ends))
    },
  }
}

function newName(): string {
  return `millrace-${randomUUID()}`
}

/** `ends`: of each partition that holds anything. */
async function consume(kafka: Client, topic: string, ends: ReadonlyMap<number, number>): Promise<ReadRecord[]> {
  // ending it waits for what is being fetched
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 200 })
  const done = Promise.withResolvers<void>()
  let records: ReadRecord[] = []
  let unread = new Map(ends)
  consumer.on('consumer.crash', ({ payload }) => {
    if (!payload.restart) done.reject(payload.error)
    // it begins again, with nothing committed
    records = []
    unread = new Map(ends)
  })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      async eachBatch({ batch: { partition, messages } }) {
        records.push(...messages.map(message => asRecord(partition, message)))
        if (Number(messages.at(-1)?.offset ?? -1) + 1 >= unread.get(partition)!) unread.delete(partition)
        if (unread.size === 0) done.resolve()
      },
    })
    await done.promise
  } finally {
    await consumer.disconnect()
  }
  return records.sort((a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset))
}

function asRecord(partition: number, message: KafkaMessage): ReadRecord {
  const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)])
  return {
    partition,
    offset: message.offset,
    key: message.key?.toString() ?? null,
    value: message.value!.toString(),
    timestamp: Number(message.timestamp),
    headers: Object.fromEntries(headers),
  }
}

/** Who leads the partitions of a topic, and moving that about. */
import { Admin, createAPI, type Reader, Writer } from '@platformatic/kafka'

const ELECT_LEADERS = 43
const PREFERRED = 0

/** One partition's error code. Source: Kafka's protocol guide, "ElectLeaders API", version 1. */
const electLeader = createAPI<[topic: string, partition: number], number>(
  ELECT_LEADERS,
  1,
  (topic, partition) =>
    Writer.create()
      .appendInt8(PREFERRED)
      .appendArray(
        [topic],
        (writer, name) => writer.appendString(name, false).appendArray([partition], appendInt32, false, false),
        false,
        false,
      )
      .appendInt32(10_000),
  (_correlationId, _apiKey, _apiVersion, reader) => {
    reader.readInt32() // throttling
    reader.readInt16() // of all
    const [[result] = []] = reader.readArray(readTopic, false, false)
    return result!
  },
  false,
  false,
)

export interface Leaders {
  of(topic: string, partition: number): Promise<number>
  /** Makes a broker the leader; it has to be a replica in sync. */
  move(topic: string, partition: number, to: number): Promise<void>
  close(): Promise<void>
}

export function leadersAt(brokers: readonly string[]): Leaders {
  const admin = new Admin({ clientId: 'millrace-tests', bootstrapBrokers: [...brokers], retries: 20, retryDelay: 250 })

  async function partitionOf(topic: string, partition: number) {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    return topics.get(topic)!.partitions[partition]!
  }

  return {
    of: async (topic, partition) => (await partitionOf(topic, partition)).leader,
    async move(topic, partition, to) {
      const { replicas } = await partitionOf(topic, partition)
      const { alterPartitionReassignmentsV0 } = await import('@platformatic/kafka')
      const connections = await admin.connectToBrokers()
      const [connection] = connections.values()
      const order = [to, ...replicas.filter(replica => replica !== to)]
      await alterPartitionReassignmentsV0.api.async(connection!, 10_000, true, [
        { name: topic, partitions: [{ partitionIndex: partition, replicas: order }] },
      ])
      await electLeader.async(connection!, topic, partition)
      while ((await partitionOf(topic, partition)).leader !== to) await new Promise(resolve => setTimeout(resolve, 50))
    },
    close: () => admin.close(),
  }
}

function appendInt32(writer: Writer, value: number): void {
  writer.appendInt32(value)
}

function readTopic(reader: Reader): number[] {
  reader.readString(false)
  return reader.readArray(
    partition => {
      partition.readInt32()
      const errorCode = partition.readInt16()
      partition.readNullableString(false)
      return errorCode
    },
    false,
    false,
  )
}

import { type API, createAPI, type Reader, Writer } from '@platformatic/kafka'

/**
 * One record batch for one partition, acks=all: Produce, version 7 (https://kafka.apache.org/protocol#The_Messages_Produce), which
 * brokers of Kafka 2.1 and later know, and Redpanda. Rejects with the broker's error code.
 */
export const produce: API<[topic: string, partition: number, batch: Buffer], void> = createAPI<
  [topic: string, partition: number, batch: Buffer],
  void
>(
  0,
  7,
  (topic: string, partition: number, batch: Buffer) =>
    Writer.create()
      .appendString(null, false) // transactional id
      .appendInt16(-1) // acks: all
      .appendInt32(30_000)
      .appendInt32(1)
      .appendString(topic, false)
      .appendInt32(1)
      .appendInt32(partition)
      .appendInt32(batch.length)
      .append(batch),
  (_correlation, _key, _version, reader: Reader) => {
    reader.readInt32() // topics
    reader.readString(false)
    reader.readInt32() // partitions
    const partition = reader.readInt32()
    const error = reader.readInt16()
    if (error !== 0) throw new Error(`partition ${partition} answered with error ${error}`)
    reader.skip(3 * 8 + 4) // base offset, append time, log start offset, throttle time
  },
  false,
  false,
)

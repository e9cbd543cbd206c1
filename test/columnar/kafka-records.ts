/** Record batches as other people's code reads them. */
import { createRequire } from 'node:module'
import { compressionsAlgorithms, Reader, readRecordsBatch } from '@platformatic/kafka'
import { CompressionCodecs, CompressionTypes } from 'kafkajs'

export interface ReadRecord {
  readonly key: string | null
  readonly value: string
  readonly timestamp: bigint
  readonly offset: number
  readonly headers: Readonly<Record<string, string>>
}

export interface ReadBatch {
  readonly baseOffset: bigint
  readonly leaderEpoch: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly records: readonly ReadRecord[]
}

/** By the decoder of kafkajs, which has no name outside of its package. */
export async function readWithKafkajs(batch: Uint8Array): Promise<ReadBatch> {
  const { records, ...header } = await decodeBatch(new Decoder(Buffer.from(batch)))
  return {
    baseOffset: BigInt(header.firstOffset),
    leaderEpoch: header.partitionLeaderEpoch,
    lastOffsetDelta: header.lastOffsetDelta,
    baseTimestamp: BigInt(header.firstTimestamp),
    maxTimestamp: BigInt(header.maxTimestamp),
    producerId: BigInt(header.producerId),
    producerEpoch: header.producerEpoch,
    baseSequence: header.firstSequence,
    records: records.map(({ key, value, timestamp, offset, headers }) => ({
      key: key === null ? null : key.toString(),
      value: value.toString(),
      timestamp: BigInt(timestamp),
      offset: Number(offset),
      headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, text.toString()])),
    })),
  }
}

/** By `@platformatic/kafka`. */
export function readWithPlatformatic(batch: Uint8Array): ReadBatch {
  const { records, ...header } = readRecordsBatch(Reader.from(Buffer.from(batch)))
  return {
    baseOffset: header.firstOffset,
    leaderEpoch: header.partitionLeaderEpoch,
    lastOffsetDelta: header.lastOffsetDelta,
    baseTimestamp: header.firstTimestamp,
    maxTimestamp: header.maxTimestamp,
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    baseSequence: header.firstSequence,
    records: records.map(({ key, value, timestampDelta, offsetDelta, headers }) => ({
      key: key === null ? null : key.toString(),
      value: value!.toString(),
      timestamp: header.firstTimestamp + timestampDelta,
      offset: offsetDelta,
      headers: Object.fromEntries([...headers].map(([name, text]) => [String(name), String(text)])),
    })),
  }
}

interface KafkajsBatch {
  readonly firstOffset: string
  readonly partitionLeaderEpoch: number
  readonly lastOffsetDelta: number
  readonly firstTimestamp: string
  readonly maxTimestamp: string
  readonly producerId: string
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly records: readonly {
    readonly key: Buffer | null
    readonly value: Buffer
    readonly timestamp: string
    readonly offset: string
    readonly headers: Readonly<Record<string, Buffer>>
  }[]
}

const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => unknown
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder.js') as (
  decoder: unknown,
) => Promise<KafkajsBatch>

// of these kafkajs knows only the names
for (const [type, { decompressSync }] of [
  [CompressionTypes.Snappy, compressionsAlgorithms.snappy],
  [CompressionTypes.LZ4, compressionsAlgorithms.lz4],
  [CompressionTypes.ZSTD, compressionsAlgorithms.zstd],
] as const) {
  CompressionCodecs[type] = () => ({
    compress: () => Promise.reject(new Error('only for reading')),
    decompress: async (bytes: Buffer) => decompressSync(bytes),
  })
}

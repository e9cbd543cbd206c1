/** The Produce request, with one record batch that is ready as it is: `@platformatic/kafka`'s own takes an object a record. */
import type { API, Reader, Writer } from '@platformatic/kafka'
import type { Kafka } from './client.ts'

export interface ProduceRequest {
  readonly topic: string
  readonly partition: number
  /** One of `ProduceAcks`; with 0 there is no answer. */
  readonly acks: number
  /** How long the leader may wait for its replicas. */
  readonly timeoutMs: number
  /** Read before `Connection.send` returns: the client copies a request once, into the buffer that goes to the socket. */
  readonly recordBatch: Uint8Array
}

export interface ProduceAnswer {
  /** The broker reads nothing from this connection for so long (KIP-219). */
  readonly throttleMs: number
  readonly partition: PartitionAnswer
}

export interface PartitionAnswer {
  /** As in `protocolErrorsCodesById`; 0 for none. */
  readonly errorCode: number
  /** Of the first record. */
  readonly offset: bigint
  /** Positions of the records that are to blame, where the broker names them. */
  readonly records: readonly number[]
}

export type Produce = API<[ProduceRequest], ProduceAnswer>

const API_KEY = 0
/** From 7 on zstd, from 8 on the culprits of a refusal, from 9 on compact; what came later is for transactions and topic ids. */
const VERSIONS = { least: 5, most: 9 }
const COMPACT_FROM = 9
const RECORD_ERRORS_FROM = 8

/** In the latest version that both sides know; undefined where there is none. Source: Kafka's protocol guide, "Produce API". */
export function produceApi(kafka: Kafka, offered: { minVersion: number; maxVersion: number }): Produce | undefined {
  const version = Math.min(VERSIONS.most, offered.maxVersion)
  if (version < Math.max(VERSIONS.least, offered.minVersion)) return undefined
  const compact = version >= COMPACT_FROM
  return kafka.createAPI<[ProduceRequest], ProduceAnswer>(
    API_KEY,
    version,
    request => writeRequest(kafka.Writer.create(), request, compact),
    (_correlationId, _apiKey, _apiVersion, reader) => readAnswer(reader, version, compact),
    compact,
    compact,
  )
}

function writeRequest(
  writer: Writer,
  { topic, partition, acks, timeoutMs, recordBatch }: ProduceRequest,
  compact: boolean,
): Writer {
  writer
    .appendString(null, compact) // transactional id
    .appendInt16(acks)
    .appendInt32(timeoutMs)
    .appendArray(
      [topic],
      (topics, name) =>
        topics
          .appendString(name, compact)
          .appendArray(
            [partition],
            (partitions, index) => partitions.appendInt32(index).appendBytes(asBuffer(recordBatch), compact),
            compact,
            compact,
          ),
      compact,
      compact,
    )
  if (compact) writer.appendTaggedFields()
  if (acks === 0) writer.context['noResponse'] = true
  return writer
}

/** Of the one partition that the request named. */
function readAnswer(reader: Reader, version: number, compact: boolean): ProduceAnswer {
  const [[partition] = []] = reader.readArray(
    topic => {
      topic.readString(compact)
      return topic.readArray(answer => readPartition(answer, version, compact), compact, compact)
    },
    compact,
    compact,
  )
  if (partition === undefined) throw new Error('the answer to a produce request names no partition')
  return { partition, throttleMs: reader.readInt32() }
}

function readPartition(reader: Reader, version: number, compact: boolean): PartitionAnswer {
  reader.readInt32() // partition
  const errorCode = reader.readInt16()
  const offset = reader.readInt64()
  reader.readInt64() // time of appending
  reader.readInt64() // start of the log
  if (version < RECORD_ERRORS_FROM) return { errorCode, offset, records: [] }
  const records = reader.readArray(
    error => {
      const record = error.readInt32()
      error.readNullableString(compact) // may quote the record
      return record
    },
    compact,
    compact,
  )
  reader.readNullableString(compact) // likewise
  return { errorCode, offset, records }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

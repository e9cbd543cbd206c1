/** The Produce request, around one record batch that is ready as it is: `@platformatic/kafka`'s own takes an object a record. */
import type { Reader, Writer } from '@platformatic/kafka'
import type { Kafka } from './client.ts'
import type { Wire } from './wire.ts'

export interface ProduceRequest {
  readonly topic: string
  readonly partition: number
  /** -1: of all replicas in sync; 1: of the leader; 0: none. */
  readonly acks: number
  /** How long the leader may wait for its replicas. */
  readonly timeoutMs: number
  /** Sent as it is, without a copy: it must stay so until the answer. */
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

/** Undefined where no answer was asked for. */
export type Produce = (wire: Wire, request: ProduceRequest) => Promise<ProduceAnswer | undefined>

const API_KEY = 0
/** From 7 on zstd, from 8 on the culprits of a refusal, from 9 on compact; what came later is for transactions and topic ids. */
const VERSIONS = { least: 5, most: 9 }
const COMPACT_FROM = 9
const RECORD_ERRORS_FROM = 8

export interface VersionRange {
  readonly minVersion: number
  readonly maxVersion: number
}

/** The latest version that both sides know; undefined where there is none. */
export function produceVersion({ minVersion, maxVersion }: VersionRange): number | undefined {
  const version = Math.min(VERSIONS.most, maxVersion)
  return version < Math.max(VERSIONS.least, minVersion) ? undefined : version
}

/** Source: Kafka's protocol guide, "Protocol Request Headers" and "Produce API". */
export function producing(kafka: Kafka, version: number, clientId: string): Produce {
  const compact = version >= COMPACT_FROM
  const tags = compact ? 1 : 0

  function headOf(id: number, { topic, partition, acks, timeoutMs, recordBatch }: ProduceRequest): Buffer {
    const one = (writer: Writer): Writer => (compact ? writer.appendUnsignedVarInt(2) : writer.appendInt32(1))
    const writer = kafka.Writer.create()
    writer.appendInt16(API_KEY).appendInt16(version).appendInt32(id).appendString(clientId, false)
    if (compact) writer.appendTaggedFields()
    writer.appendString(null, compact) // transactional id
    writer.appendInt16(acks).appendInt32(timeoutMs)
    one(writer).appendString(topic, compact)
    one(writer).appendInt32(partition)
    const { length } = recordBatch
    if (compact) writer.appendUnsignedVarInt(length + 1)
    else writer.appendInt32(length)
    // behind the batch come the tags of the partition, the topic and the request
    return writer.appendInt32(writer.length + length + 3 * tags, false).buffer
  }

  const tail = Buffer.alloc(3 * tags)

  return async (wire, request) => {
    const id = wire.nextId()
    const parts = [headOf(id, request), request.recordBatch, tail]
    const answer = await wire.ask(id, parts, request.acks !== 0)
    if (answer === undefined) return undefined
    const reader = kafka.Reader.from(answer)
    if (compact) reader.readTaggedFields()
    return readAnswer(reader, version, compact)
  }
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

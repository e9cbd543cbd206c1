/** From the rows of a batch to Kafka records, sorted by partition and cut to what the topic takes at once. */
import type { MessageToProduce } from '@platformatic/kafka'
import { readTimestamp } from '../../columnar/calendar.ts'
import { DeliveryError, MillraceError } from '../../core/errors.ts'
import { type MessageBatch, rowBytes, type TextColumn, textBytes } from '../sink.ts'
import { partitionOf } from '../../columnar/murmur2.ts'

export type Message = MessageToProduce<Buffer, Buffer, Buffer, Buffer>

export interface KafkaRecord {
  /** Position of its row in the batch. */
  readonly row: number
  readonly message: Message
  /** Upper bound of its size in a record batch before compression. */
  readonly bytes: number
}

/** Records of one partition that fit into one record batch, in the order of their rows. */
export interface Part {
  readonly partition: number
  readonly records: readonly KafkaRecord[]
}

export interface RecordPlan {
  readonly topic: string
  readonly partitions: number
  readonly key?: string | undefined
  readonly timestamp: 'now' | { readonly column: string }
  readonly headers: Readonly<Record<string, string>>
  /** A record of more payload than this is not even sent. */
  readonly maxRecordBytes: number | undefined
}

export interface Records {
  readonly byPartition: ReadonlyMap<number, readonly KafkaRecord[]>
  /** Rows that no record can be made of. */
  readonly refused: ReadonlyMap<number, DeliveryError>
}

/**
 * Of a record: its length, attributes, timestamp delta (32 bits), offset delta, and the lengths of key and
 * value and number of headers, all as variable-length integers (KIP-98, "Message Format").
 */
const RECORD_OVERHEAD = 5 + 1 + 5 + 3 + 5 + 5 + 1
/** The header of a record batch of version 2. */
const BATCH_OVERHEAD = 61

/**
 * Farthest that a record's timestamp may be from that of the first in its record batch, in milliseconds: the client writes
 * the difference right only in 32 bits (`int64ZigZagEncode` of @platformatic/dynamic-buffer 0.3.1 shifts by 31, not 63).
 */
const MAX_TIMESTAMP_DELTA = 2n ** 31n - 1n

const MILLI_NANOS = 1_000_000n

/** `sticky`: the partition of the records without a key. */
export function recordsOf(batch: MessageBatch, plan: RecordPlan, sticky: number): Records {
  const keys = plan.key === undefined ? undefined : columnOf(batch, plan.key)
  const timestamps = plan.timestamp === 'now' ? undefined : columnOf(batch, plan.timestamp.column)
  const headers = new Map(Object.entries(plan.headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]))
  const headerBytes = [...headers].reduce((sum, [name, value]) => sum + name.length + value.length + 10, 0)
  const now = BigInt(Date.now())
  const byPartition = new Map<number, KafkaRecord[]>()
  const refused = new Map<number, DeliveryError>()

  for (let row = 0; row < batch.rows; row++) {
    const key = keys && textBytes(keys, row)
    const timestamp = timestamps && (timestampOf(timestamps, row) ?? now)
    if (timestamp !== undefined && timestamp < 0n) {
      refused.set(row, refusal('its timestamp is before 1970, which a Kafka record cannot carry'))
      continue
    }
    const partition = key ? partitionOf(key, plan.partitions) : sticky
    const value = asBuffer(rowBytes(batch, row))
    const payload = value.length + (key?.length ?? 0)
    if (payload > (plan.maxRecordBytes ?? Number.POSITIVE_INFINITY)) {
      refused.set(row, tooLarge(payload, plan.maxRecordBytes!))
      continue
    }
    const message: Message = { topic: plan.topic, partition, value }
    if (key) message.key = asBuffer(key)
    if (timestamp !== undefined) message.timestamp = timestamp
    if (headers.size > 0) message.headers = headers
    const bytes = RECORD_OVERHEAD + headerBytes + (key?.length ?? 0) + value.length
    const records = byPartition.get(partition)
    if (records) records.push({ row, message, bytes })
    else byPartition.set(partition, [{ row, message, bytes }])
  }
  return { byPartition, refused }
}

/**
 * Cuts a partition's records into parts of at most `maxBytes`, near enough to each other in time; a single larger record
 * comes alone, for the broker to judge.
 */
export function cutParts(partition: number, records: readonly KafkaRecord[], maxBytes: number): Part[] {
  const parts: Part[] = []
  let part: KafkaRecord[] = []
  let bytes = BATCH_OVERHEAD
  for (const record of records) {
    const [first] = part
    if (first && (bytes + record.bytes > maxBytes || farApart(first.message, record.message))) {
      parts.push({ partition, records: part })
      part = []
      bytes = BATCH_OVERHEAD
    }
    part.push(record)
    bytes += record.bytes
  }
  if (part.length > 0) parts.push({ partition, records: part })
  return parts
}

function farApart({ timestamp: first = 0n }: Message, { timestamp = 0n }: Message): boolean {
  const delta = timestamp - first
  return delta > MAX_TIMESTAMP_DELTA || delta < -MAX_TIMESTAMP_DELTA
}

function tooLarge(bytes: number, maxBytes: number): DeliveryError {
  return refusal(`a record of ${bytes} bytes is more than the topic takes (max.message.bytes = ${maxBytes})`)
}

export function refusal(reason: string): DeliveryError {
  return new DeliveryError(reason, { retryable: false })
}

function columnOf(batch: MessageBatch, name: string): TextColumn {
  const column = batch.columns?.[name]
  if (column === undefined) throw new MillraceError('internal', `batch ${batch.name} lacks the column ${name}`)
  return column
}

/** Milliseconds since the epoch, cut towards the past; undefined for NULL. */
function timestampOf(column: TextColumn, row: number): bigint | undefined {
  const text = textBytes(column, row)
  if (text === null) return undefined
  const nanos = readTimestamp(asBuffer(text).toString('latin1'))
  if (nanos === undefined) throw new MillraceError('internal', 'a timestamp column holds something else')
  return nanos >= 0n ? nanos / MILLI_NANOS : -1n
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

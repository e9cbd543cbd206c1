/** Rows out of batches that were framed already, for the rare batch that a destination refuses in part. */
import { streamOf, streamRows } from './arrow-stream.ts'
import { compressBatch, decompressRecords, loadCompression } from './compress.ts'
import { framePayloads, payloadAt } from './framing.ts'
import type { Encoding, FilledBatch, KafkaEncoding } from './read-plan.ts'
import { type KafkaRecord, RecordBatchWriter, readRecords } from './record-batch.ts'
import { memberText } from './row-members.ts'

/** A row as it was before it was framed. */
export interface OpenedRow {
  /** Of the record, for an encoding that has keys. */
  readonly key: string | null
  readonly payload: Uint8Array<ArrayBuffer>
  /** The record's, where the encoding has an `idHeader`. */
  readonly id: string | null
}

/** What of a batch says where its rows are. `bytes` may have been completed by the sender. */
export interface FramedRows {
  readonly encoding: Encoding
  readonly rows: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
  /** The column whose value is the key of a row, where the framing has none. */
  readonly key?: string
}

/** How a batch lies in memory: one of refused rows is not framed as the encoding says. */
export function framedRows(
  { rows, bytes, ends, refusal }: Pick<FilledBatch, 'rows' | 'bytes' | 'ends' | 'refusal'>,
  encoding: Encoding,
): FramedRows {
  if (refusal === undefined) return { encoding, rows, bytes, ends }
  const key = encoding.kind === 'kafka-batch' ? encoding.key : undefined
  return { encoding: { kind: 'rows' }, rows, bytes, ends, ...(key === undefined ? {} : { key }) }
}

/** The rows at these positions of the batch; copies. */
export async function openRows(framed: FramedRows, positions: readonly number[]): Promise<OpenedRow[]> {
  const { encoding, key: column } = framed
  if (encoding.kind === 'arrow-stream')
    return streamRows(framed.bytes, positions).map(row => ({
      key: null,
      payload: new Uint8Array(Buffer.from(row)),
      id: null,
    }))
  if (encoding.kind !== 'kafka-batch')
    return positions.map(position => {
      const payload = new Uint8Array(payloadAt(framed, position, encoding))
      const key = column === undefined ? null : memberText(Buffer.from(payload).toString(), column)
      return { key, payload, id: null }
    })
  const records = readRecords(framed.bytes, await decompressRecords(framed.bytes), encoding)
  return positions.map(position => {
    const { key, value, id } = records[position]!
    return { key: textOf(key), payload: new Uint8Array(value), id: textOf(id) }
  })
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes).toString()
}

/** One batch, framed alike, for each group of positions (ascending). Fields that the sender completes are as in a new batch. */
export async function reframe(framed: FramedRows, groups: readonly (readonly number[])[]): Promise<FramedRows[]> {
  const { encoding } = framed
  if (encoding.kind === 'kafka-batch') return reframeRecords(framed.bytes, encoding, groups)
  if (encoding.kind === 'arrow-stream')
    return groups.map(positions => {
      const bytes = new Uint8Array(streamOf(framed.bytes, positions))
      return { encoding, rows: positions.length, bytes, ends: new Uint32Array(0) }
    })
  return groups.map(positions => {
    const payloads = positions.map(position => payloadAt(framed, position, encoding))
    return { encoding, rows: positions.length, ...framePayloads(payloads, encoding) }
  })
}

async function reframeRecords(
  batch: Uint8Array<ArrayBuffer>,
  encoding: KafkaEncoding,
  groups: readonly (readonly number[])[],
): Promise<FramedRows[]> {
  await loadCompression(encoding.compression)
  const records = readRecords(batch, await decompressRecords(batch), encoding)
  const writer = new RecordBatchWriter(encoding)
  return groups.map(positions => {
    for (const position of positions) writer.append(asNew(records[position]!, encoding))
    const bytes = compressBatch(writer.finish(), encoding.compression, length => new Uint8Array(length))
    return { encoding, rows: positions.length, bytes, ends: new Uint32Array(0) }
  })
}

/** Where the sender writes the time, it may have done so already. */
function asNew(record: KafkaRecord, { timestamp }: KafkaEncoding): KafkaRecord {
  return timestamp === 'now' ? { ...record, timestamp: 0n } : record
}

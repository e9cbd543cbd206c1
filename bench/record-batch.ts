/**
 * Kafka record batches of version 2 (https://kafka.apache.org/documentation/#recordbatch), written apart from the engine's, so that
 * what it is compared with does not follow its mistakes.
 */
import crc32 from '@node-rs/crc32'

export interface ReadyBatch {
  readonly bytes: Buffer
  readonly records: number
}

const HEADER_BYTES = 61

/** Without keys and headers; offsets and timestamps of the records are all relative to the batch's. */
export function recordBatch(values: readonly Uint8Array[]): ReadyBatch {
  const records = values.map((value, offset) => {
    // attributes, timestamp delta, offset delta, key length -1, value length
    const head = [0, 0, ...varint(offset), ...varint(-1), ...varint(value.length)]
    const length = head.length + value.length + 1
    return Buffer.concat([Buffer.from([...varint(length), ...head]), value, Buffer.of(0)])
  })
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...records])
  const now = BigInt(Date.now())
  bytes.writeInt32BE(bytes.length - 12, 8) // what follows
  bytes.writeInt32BE(-1, 12) // leader epoch
  bytes[16] = 2 // magic
  bytes.writeInt32BE(values.length - 1, 23) // last offset delta
  bytes.writeBigInt64BE(now, 27)
  bytes.writeBigInt64BE(now, 35)
  bytes.writeInt32BE(values.length, 57)
  return { bytes, records: values.length }
}

export interface Stamp {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly sequence: number
}

/** What an idempotent producer has to write into each batch before it sends it. */
export function stamp({ bytes }: ReadyBatch, { producerId, producerEpoch, sequence }: Stamp): void {
  bytes.writeBigInt64BE(producerId, 43)
  bytes.writeInt16BE(producerEpoch, 51)
  bytes.writeInt32BE(sequence, 53)
  bytes.writeUInt32BE(crc32.crc32c(bytes.subarray(21)), 17)
}

/** Zigzag, seven bits a byte. */
function varint(value: number): number[] {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  const bytes: number[] = []
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return [...bytes, rest]
}

/** Completes a record batch in place: what only its sender knows (see `columnar/record-batch.ts` for the layout). */
import type { Checksum } from './crc32c.ts'

export interface Stamp {
  /** -1, as the epoch and the sequence, for a producer that is not idempotent. */
  readonly producerId: bigint
  readonly epoch: number
  /** Of the first record. */
  readonly sequence: number
  /** Milliseconds since 1970, of all records; undefined to leave their own. */
  readonly timestamp: number | undefined
}

const CRC_AT = 17
const CRC_FROM = 21
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const EPOCH_AT = 51
const SEQUENCE_AT = 53

export function stampBatch(bytes: Uint8Array, stamp: Stamp, crc32c: Checksum): void {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (stamp.timestamp !== undefined) {
    header.setBigInt64(BASE_TIMESTAMP_AT, BigInt(stamp.timestamp))
    header.setBigInt64(MAX_TIMESTAMP_AT, BigInt(stamp.timestamp))
  }
  header.setBigInt64(PRODUCER_ID_AT, stamp.producerId)
  header.setInt16(EPOCH_AT, stamp.epoch)
  header.setInt32(SEQUENCE_AT, stamp.sequence)
  header.setUint32(CRC_AT, crc32c(bytes.subarray(CRC_FROM)))
}

/**
 * Kafka record batches of version 2, written and read. Integers of the header have fixed sizes, most significant byte
 * first; those of records are variable-length with zigzag signs. Source: KIP-98, "Message Format", and the Kafka
 * documentation, "Record Batch" and "Record".
 *
 *     offset  bytes                        offset  bytes
 *          0  8  base offset                   27  8  base timestamp
 *          8  4  length of what follows        35  8  largest timestamp
 *         12  4  partition leader epoch        43  8  producer id
 *         16  1  magic: 2                      51  2  producer epoch
 *         17  4  CRC-32C of what follows       53  4  base sequence
 *         21  2  attributes                    57  4  records
 *         23  4  offset delta of the last      61     the records
 */
import { MillraceError } from '../core/errors.ts'
import { GrowingBytes } from './growing-bytes.ts'
import type { KafkaEncoding } from './read-plan.ts'

export interface KafkaRecord {
  readonly key: Uint8Array<ArrayBuffer> | null
  readonly value: Uint8Array<ArrayBuffer>
  /** Milliseconds since 1970, not negative; 0 where the sender writes it. */
  readonly timestamp: bigint
  /** The value of the encoding's `idHeader`; null where it has none. */
  readonly id: Uint8Array<ArrayBuffer> | null
}

type Headers = Pick<KafkaEncoding, 'headers' | 'idHeader'>

/** Bytes in front of the records. */
export const HEADER_BYTES = 61
export const LENGTH_AT = 8
/** What the length counts begins behind it. */
export const LENGTH_FROM = 12
export const ATTRIBUTES_AT = 21

const LAST_OFFSET_DELTA_AT = 23
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const RECORDS_AT = 57

/** Writes one batch after the other. Attributes are 0; what the sender completes is as `KafkaEncoding` says. */
export class RecordBatchWriter {
  readonly #headers: Uint8Array
  readonly #out = new GrowingBytes()
  #rows = 0
  #baseTimestamp = 0n
  #maxTimestamp = 0n

  constructor(headers: Headers) {
    this.#headers = headersOf(headers)
    this.#out.length = HEADER_BYTES
  }

  get rows(): number {
    return this.#rows
  }

  /** How long the batch would be with this record at its end. */
  lengthWith(record: KafkaRecord): number {
    const bytes = this.#recordBytes(record)
    return this.#out.length + sizeOf(bytes) + bytes
  }

  append(record: KafkaRecord): void {
    const { key, value, timestamp, id } = record
    if (this.#rows === 0) this.#baseTimestamp = this.#maxTimestamp = timestamp
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    this.#writeInteger(this.#recordBytes(record))
    this.#out.reserve(1)
    this.#out.bytes[this.#out.length++] = 0 // attributes, of which there are none
    this.#writeInteger(timestamp - this.#baseTimestamp)
    this.#writeInteger(this.#rows)
    this.#writeInteger(key === null ? -1 : key.length)
    if (key !== null) this.#out.append(key)
    this.#writeInteger(value.length)
    this.#out.append(value)
    this.#out.append(this.#headers)
    if (id !== null) {
      this.#writeInteger(id.length)
      this.#out.append(id)
    }
    this.#rows++
  }

  /** The batch so far; a view, good until the next record, which begins a new batch. */
  finish(): Uint8Array<ArrayBuffer> {
    const { bytes, length } = this.#out
    bytes.fill(0, 0, HEADER_BYTES)
    bytes.writeInt32BE(length - LENGTH_FROM, LENGTH_AT)
    bytes.writeInt32BE(-1, 12)
    bytes.writeInt8(2, 16)
    bytes.writeInt32BE(this.#rows - 1, LAST_OFFSET_DELTA_AT)
    bytes.writeBigInt64BE(this.#baseTimestamp, BASE_TIMESTAMP_AT)
    bytes.writeBigInt64BE(this.#maxTimestamp, MAX_TIMESTAMP_AT)
    bytes.fill(0xff, 43, RECORDS_AT) // producer id, epoch and base sequence: -1
    bytes.writeInt32BE(this.#rows, RECORDS_AT)
    this.#rows = 0
    this.#out.length = HEADER_BYTES
    return new Uint8Array(bytes.buffer, 0, length)
  }

  /** Of the record behind its length. */
  #recordBytes({ key, value, timestamp, id }: KafkaRecord): number {
    const timestampDelta = this.#rows === 0 ? 0n : timestamp - this.#baseTimestamp
    const keyBytes = key === null ? sizeOf(-1) : sizeOf(key.length) + key.length
    const valueBytes = sizeOf(value.length) + value.length
    const headerBytes = this.#headers.length + (id === null ? 0 : sizeOf(id.length) + id.length)
    return 1 + sizeOf(timestampDelta) + sizeOf(this.#rows) + keyBytes + valueBytes + headerBytes
  }

  #writeInteger(value: number | bigint): void {
    this.#out.reserve(MOST_INTEGER_BYTES)
    this.#out.length = writeInteger(this.#out.bytes, this.#out.length, value)
  }
}

/** The records of a batch. `records`: all behind its header, uncompressed. Views, not copies. */
export function readRecords(
  header: Uint8Array,
  records: Uint8Array<ArrayBuffer>,
  { idHeader }: Pick<KafkaEncoding, 'idHeader'>,
): KafkaRecord[] {
  const fields = new DataView(header.buffer, header.byteOffset, HEADER_BYTES)
  const baseTimestamp = fields.getBigInt64(BASE_TIMESTAMP_AT)
  const input = new IntegerReader(records)
  return Array.from({ length: fields.getInt32(RECORDS_AT) }, () => {
    const length = Number(input.next())
    const end = input.position + length
    input.position++ // attributes
    const timestamp = baseTimestamp + input.next()
    input.next() // offset delta
    const key = input.bytes()
    const value = input.bytes()!
    const id = idHeader === undefined ? null : lastHeader(input)
    input.position = end // the other headers are the same in all records
    return { key, value, timestamp, id }
  })
}

function lastHeader(input: IntegerReader): Uint8Array<ArrayBuffer> | null {
  let value: Uint8Array<ArrayBuffer> | null = null
  for (let left = Number(input.next()); left > 0; left--) {
    input.bytes() // its name
    value = input.bytes()
  }
  return value
}

/** What follows a record's value: the number of headers and each, all but the value of `idHeader`. */
export function headersOf({ headers, idHeader }: Headers): Uint8Array {
  const entries = Object.entries(headers)
  const out = new GrowingBytes()
  const write = (value: number): void => {
    out.reserve(MOST_INTEGER_BYTES)
    out.length = writeInteger(out.bytes, out.length, value)
  }
  write(entries.length + (idHeader === undefined ? 0 : 1))
  for (const text of [...entries.flat(), ...(idHeader === undefined ? [] : [idHeader])]) {
    write(Buffer.byteLength(text))
    out.appendText(text)
  }
  return out.bytes.subarray(0, out.length)
}

const MOST_INTEGER_BYTES = 10

/** Seven bits a byte, the least significant first; the eighth says that more follow. Returns where the next byte goes. */
function writeInteger(bytes: Uint8Array, at: number, value: number | bigint): number {
  const int = asInt32(value)
  if (int === undefined) return writeLong(bytes, at, BigInt(value))
  let left = ((int << 1) ^ (int >> 31)) >>> 0
  for (; left > 0x7f; left >>>= 7) bytes[at++] = (left & 0x7f) | 0x80
  bytes[at++] = left
  return at
}

/** How many bytes that would be. */
function sizeOf(value: number | bigint): number {
  const int = asInt32(value)
  if (int === undefined) return writeLong(new Uint8Array(MOST_INTEGER_BYTES), 0, BigInt(value))
  return Math.ceil((32 - Math.clz32(((int << 1) ^ (int >> 31)) | 1)) / 7)
}

/** Nearly all integers are small, and bigint takes many times as long. */
function asInt32(value: number | bigint): number | undefined {
  if (typeof value === 'number') return value
  const int = Number(BigInt.asIntN(32, value))
  return BigInt(int) === value ? int : undefined
}

function writeLong(bytes: Uint8Array, at: number, value: bigint): number {
  let left = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; left > 0x7fn; left >>= 7n) bytes[at++] = Number(left & 0x7fn) | 0x80
  bytes[at++] = Number(left)
  return at
}

class IntegerReader {
  readonly #bytes: Uint8Array<ArrayBuffer>
  position = 0

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes
  }

  next(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#bytes[this.position++]
      if (byte === undefined) throw new MillraceError('internal', 'a record batch ends inside of a record')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n)
    }
  }

  /** Bytes behind their length; null where that is -1. */
  bytes(): Uint8Array<ArrayBuffer> | null {
    const length = Number(this.next())
    if (length < 0) return null
    this.position += length
    return this.#bytes.subarray(this.position - length, this.position)
  }
}

// A row as a record of a Kafka record batch (KIP-98, "Message Format"). Two varints stand before what they count: the length
// of the value and that of the record. Their widths are taken to be those of the record before, which they nearly always
// are; where not, what was written moves. So a row is written once, at its place, and no varint is longer than it must be.
import {
  COLUMN_PARAMETER, COLUMN_VALUES, ENCODER_HEADERS, ENCODER_HEADERS_BYTES, ENCODER_ID_HEADER, ENCODER_KEY, ENCODER_KEY_CAPACITY,
  ENCODER_KEY_COLUMN, ENCODER_LENGTH_WIDTH, ENCODER_NOW, ENCODER_PARTITIONS, ENCODER_SLOTS, ENCODER_STICKY_SLOT,
  ENCODER_TIMESTAMP_COLUMN, ENCODER_VALUE_WIDTH, RECORDS_HEAD, SLOT_BASE_TIMESTAMP, SLOT_BYTES, SLOT_LENGTH,
  SLOT_MAX_TIMESTAMP, SLOT_RECORD_BYTES, SLOT_ROWS,
} from '../kernel-layout'
import { xxh64 } from './checksum'
import { floorDivide, hasText, isNull, writePlain } from './column'
import { idBytes, idStart } from './id'
import { allocate, copyBlocks, free } from './memory'
import { murmur2 } from './murmur2'
import { writeObject } from './object'
import { payload } from './payload'
import { varintWidth, writeVarint, zigzag } from './varint'

/** The key of the record that is being made: its bytes at ENCODER_KEY, or -1 for none. */
let keyBytes: i32 = -1
let timestamp: i64 = 0

/** Finds out the row's key, and with it its slot. */
export function slotOfRow(encoder: usize, row: usize): usize {
  readKey(encoder, row)
  if (keyBytes < 0) return load<usize>(encoder, ENCODER_STICKY_SLOT)
  const hash = murmur2(load<usize>(encoder, ENCODER_KEY), keyBytes) & 0x7fffffff
  return load<usize>(encoder, ENCODER_SLOTS) + (hash % load<u32>(encoder, ENCODER_PARTITIONS)) * SLOT_RECORD_BYTES
}

function readKey(encoder: usize, row: usize): void {
  const column = load<usize>(encoder, ENCODER_KEY_COLUMN)
  keyBytes = -1
  if (column == 0 || !hasText(column, row)) return
  for (;;) {
    const start = load<usize>(encoder, ENCODER_KEY)
    const capacity = load<u32>(encoder, ENCODER_KEY_CAPACITY)
    const end: usize = capacity == 0 ? 0 : writePlain(column, row, start, start + capacity - KEY_RESERVE)
    if (end != 0) {
      keyBytes = <i32>(end - start)
      return
    }
    const larger = max(2 * capacity, 2 * KEY_RESERVE)
    free(start)
    store<usize>(encoder, allocate(larger), ENCODER_KEY)
    store<u32>(encoder, larger, ENCODER_KEY_CAPACITY)
  }
}

/** What a value takes at most that is not of unbounded length. */
const KEY_RESERVE: u32 = 128

/** Finds out the row's timestamp. Returns whether Kafka has such a one: it counts milliseconds since 1970. */
export function readTimestamp(encoder: usize, row: usize): bool {
  const column = load<usize>(encoder, ENCODER_TIMESTAMP_COLUMN)
  timestamp = 0
  if (column == 0) return true
  timestamp = isNull(column, row) ? load<i64>(encoder, ENCODER_NOW) : millis(column, row)
  return timestamp >= 0
}

const MOST_SECONDS: i64 = i64.MAX_VALUE / 1000

/** Cut towards the past; negative where there is no such number. */
function millis(column: usize, row: usize): i64 {
  const value = load<i64>(load<usize>(column, COLUMN_VALUES) + (row << 3))
  switch (load<u32>(column, COLUMN_PARAMETER)) {
    case 0:
      return value > MOST_SECONDS ? -1 : value < 0 ? value : value * 1000
    case 3:
      return value
    case 6:
      return floorDivide(value, 1000)
    default:
      return floorDivide(value, 1_000_000)
  }
}

/** Returns the end of what was written, or 0 where it may not fit into [dst, room). Tells where its value is. */
export function writeRecord(encoder: usize, slot: usize, row: usize, dst: usize, room: usize): usize {
  if (keyBytes > 0 && dst + keyBytes > room) return 0
  const rows = load<u32>(slot, SLOT_ROWS)
  const base = rows == 0 ? timestamp : load<i64>(slot, SLOT_BASE_TIMESTAMP)
  let lengthWidth = load<u32>(encoder, ENCODER_LENGTH_WIDTH)
  const start = dst + lengthWidth
  store<u8>(start, 0)
  let at = writeVarint(zigzag(timestamp - base), start + 1)
  at = writeVarint(<u64>rows << 1, at)
  at = writeKey(encoder, at)

  const valueAt = at
  let value = at + load<u32>(encoder, ENCODER_VALUE_WIDTH)
  let end = writeObject(encoder, row, value, room)
  if (end == 0) return 0
  const length = end - value
  const valueWidth = varintWidth(<u64>length << 1)
  if (valueAt + valueWidth != value) {
    store<u32>(encoder, valueWidth, ENCODER_VALUE_WIDTH)
    memory.copy(valueAt + valueWidth, value, length)
    value = valueAt + valueWidth
  }
  writeVarint(<u64>length << 1, valueAt)
  end = writeHeaders(encoder, value + length)

  const recordBytes = end - start
  const recordWidth = varintWidth(<u64>recordBytes << 1)
  if (recordWidth != lengthWidth) {
    store<u32>(encoder, recordWidth, ENCODER_LENGTH_WIDTH)
    memory.copy(dst + recordWidth, start, recordBytes)
    value = value - lengthWidth + recordWidth
  }
  writeVarint(<u64>recordBytes << 1, dst)
  payload(value, value + length)
  return dst + recordWidth + recordBytes
}

@inline
function writeKey(encoder: usize, dst: usize): usize {
  if (keyBytes < 0) {
    store<u8>(dst, 1)
    return dst + 1
  }
  dst = writeVarint(<u64>keyBytes << 1, dst)
  copyBlocks(dst, load<usize>(encoder, ENCODER_KEY), keyBytes)
  return dst + keyBytes
}

@inline
function writeHeaders(encoder: usize, dst: usize): usize {
  const length = load<u32>(encoder, ENCODER_HEADERS_BYTES)
  copyBlocks(dst, load<usize>(encoder, ENCODER_HEADERS), length)
  dst += length
  if (!load<u32>(encoder, ENCODER_ID_HEADER)) return dst
  dst = writeVarint(<u64>idBytes << 1, dst)
  copyBlocks(dst, idStart, idBytes)
  return dst + idBytes
}

/** The seed of the row's checksum, with the key of the record that was made last in it, if that has one. */
export function keySeed(encoder: usize, seed: u64): u64 {
  if (keyBytes < 0) return seed
  const key = load<usize>(encoder, ENCODER_KEY)
  return xxh64(key, key + keyBytes, seed)
}

/** Notes the record's timestamp in its batch, before the record is counted. */
export function noteTimestamp(slot: usize): void {
  const isFirst = load<u32>(slot, SLOT_ROWS) == 0
  if (isFirst) store<i64>(slot, timestamp, SLOT_BASE_TIMESTAMP)
  if (isFirst || timestamp > load<i64>(slot, SLOT_MAX_TIMESTAMP)) store<i64>(slot, timestamp, SLOT_MAX_TIMESTAMP)
}

/** Writes what stands in front of the records. Integers are big-endian; what is for the sender to complete is -1 or 0. */
export function finishRecords(slot: usize): void {
  const at = load<usize>(slot, SLOT_BYTES)
  const rows = load<u32>(slot, SLOT_ROWS)
  memory.fill(at, 0, RECORDS_HEAD)
  store<u32>(at, bswap<u32>(load<u32>(slot, SLOT_LENGTH) - 12), 8)
  store<i32>(at, -1, 12)
  store<u8>(at, 2, 16)
  store<u32>(at, bswap<u32>(rows - 1), 23)
  store<u64>(at, bswap<u64>(load<u64>(slot, SLOT_BASE_TIMESTAMP)), 27)
  store<u64>(at, bswap<u64>(load<u64>(slot, SLOT_MAX_TIMESTAMP)), 35)
  memory.fill(at + 43, 0xff, 14)
  store<u32>(at, bswap<u32>(rows), 57)
}

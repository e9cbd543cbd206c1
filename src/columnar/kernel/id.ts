// The id of a row, as `row-ids.ts` has it: a prefix and the row's number, or a hash of the values of a unique key. It is made
// once a row, at a place of its own, for whoever needs it: the texts beside the payload, a record's header, the checksum.
import {
  COLUMN_BYTES, ENCODER_ID, ENCODER_ID_CAPACITY, ENCODER_ID_COLUMNS, ENCODER_ID_COLUMNS_END, ENCODER_ID_PREFIX,
  ENCODER_ID_PREFIX_BYTES, ENCODER_IDS, IDS_BY_ROW,
} from '../kernel-layout'
import { xxh64 } from './checksum'
import { hasText, writePlain } from './column'
import { writeU32 } from './integer'
import { allocate, copyBlocks, free } from './memory'

/** The id that was made last. */
export let idStart: usize = 0
export let idBytes: u32 = 0

/** What a value takes at most that is not of unbounded length, with its own length and the id behind it. */
const RESERVE: u32 = 256
const NO_VALUE: u32 = 0xffffffff

/** `number`: of the row in its chunk. */
export function makeId(encoder: usize, row: usize, number: u32): void {
  for (;;) {
    const start = load<usize>(encoder, ENCODER_ID)
    const capacity = load<u32>(encoder, ENCODER_ID_CAPACITY)
    const prefix = load<u32>(encoder, ENCODER_ID_PREFIX_BYTES)
    if (prefix + RESERVE <= capacity) {
      copyBlocks(start, load<usize>(encoder, ENCODER_ID_PREFIX), prefix)
      if (load<u32>(encoder, ENCODER_IDS) == IDS_BY_ROW) return setId(start, writeU32(number, start + prefix))
      const end = writeKey(encoder, row, start + prefix, start + capacity - RESERVE)
      if (end != 0) return setId(end, writeHash(xxh64(start, end, 1), writeHash(xxh64(start, end, 0), end)))
    }
    const larger = max(2 * capacity, prefix + 2 * RESERVE)
    free(start)
    store<usize>(encoder, allocate(larger), ENCODER_ID)
    store<u32>(encoder, larger, ENCODER_ID_CAPACITY)
  }
}

@inline
function setId(start: usize, end: usize): void {
  idStart = start
  idBytes = <u32>(end - start)
}

/** Each value behind its length. Returns the end of what was written, or 0 where it may not fit into [dst, room). */
function writeKey(encoder: usize, row: usize, dst: usize, room: usize): usize {
  const end = load<usize>(encoder, ENCODER_ID_COLUMNS_END)
  for (let column = load<usize>(encoder, ENCODER_ID_COLUMNS); column < end; column += COLUMN_BYTES) {
    if (dst > room) return 0
    const value = dst + 4
    const isValue = hasText(column, row)
    const valueEnd = isValue ? writePlain(column, row, value, room) : value
    if (valueEnd == 0) return 0
    store<u32>(dst, isValue ? <u32>(valueEnd - value) : NO_VALUE)
    dst = valueEnd
  }
  return dst
}

/** 16 hexadecimal digits. */
function writeHash(hash: u64, dst: usize): usize {
  for (let shift = 60; shift >= 0; shift -= 4) {
    const digit = <u8>((hash >> shift) & 15)
    store<u8>(dst++, digit + (digit < 10 ? 0x30 : 0x57))
  }
  return dst
}

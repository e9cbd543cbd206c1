// A row as a JSON object. Every column brings its key as it stands in the row, with what separates it from the column
// before; it is copied in blocks of 16 bytes. A row with a shape of its own has a loop of its own, so that others do not pay
// for what it may leave out or put in quotes.
import {
  COLUMN_BYTES, COLUMN_KEY, COLUMN_KEY_BYTES, COLUMN_QUOTED, ENCODER_COLUMNS, ENCODER_COLUMNS_END, ENCODER_EVENT_BETWEEN,
  ENCODER_EVENT_BETWEEN_BYTES, ENCODER_EVENT_COLUMNS, ENCODER_EVENT_COLUMNS_END, ENCODER_EVENT_HEAD,
  ENCODER_EVENT_HEAD_BYTES, ENCODER_OMIT_NULLS, ENCODER_SHAPED,
} from '../kernel-layout'
import { hasText, writeJson, writeNull, writePlain } from './column'
import { idBytes, idStart } from './id'
import { copyBlocks } from './memory'

/** Returns the end of what was written, or 0 where it may not fit into [dst, room). */
export function writeObject(encoder: usize, row: usize, dst: usize, room: usize): usize {
  if (load<u32>(encoder, ENCODER_SHAPED)) return writeShaped(encoder, row, dst, room)
  const end = load<usize>(encoder, ENCODER_COLUMNS_END)
  let column = load<usize>(encoder, ENCODER_COLUMNS)
  if (column == end) store<u8>(dst++, 0x7b)
  for (; column < end; column += COLUMN_BYTES) {
    dst = copyKey(column, dst)
    dst = writeJson(column, row, dst, room)
    if (dst == 0) return 0
  }
  store<u8>(dst, 0x7d)
  return dst + 1
}

@inline
function copyKey(column: usize, dst: usize): usize {
  const bytes = load<u32>(column, COLUMN_KEY_BYTES)
  copyBlocks(dst, load<usize>(column, COLUMN_KEY), bytes)
  return dst + bytes
}

function writeShaped(encoder: usize, row: usize, dst: usize, room: usize): usize {
  const head = load<usize>(encoder, ENCODER_EVENT_HEAD)
  if (head == 0) return writeRow(encoder, row, dst, room)
  const headBytes = load<u32>(encoder, ENCODER_EVENT_HEAD_BYTES)
  copyBlocks(dst, head, headBytes)
  dst += headBytes
  copyBlocks(dst, idStart, idBytes)
  dst += idBytes
  store<u8>(dst++, 0x22)
  const columns = load<usize>(encoder, ENCODER_EVENT_COLUMNS)
  dst = writeMembers(columns, load<usize>(encoder, ENCODER_EVENT_COLUMNS_END), true, row, dst, room)
  if (dst == 0) return 0
  const betweenBytes = load<u32>(encoder, ENCODER_EVENT_BETWEEN_BYTES)
  copyBlocks(dst, load<usize>(encoder, ENCODER_EVENT_BETWEEN), betweenBytes)
  const end = writeRow(encoder, row, dst + betweenBytes, room)
  if (end == 0) return 0
  store<u8>(end, 0x7d)
  return end + 1
}

function writeRow(encoder: usize, row: usize, dst: usize, room: usize): usize {
  const columns = load<usize>(encoder, ENCODER_COLUMNS)
  const omitNulls = load<u32>(encoder, ENCODER_OMIT_NULLS) != 0
  let end = writeMembers(columns, load<usize>(encoder, ENCODER_COLUMNS_END), omitNulls, row, dst, room)
  if (end == 0) return 0
  // in the place of the comma in front of the first member
  store<u8>(dst, 0x7b)
  if (end == dst) end++
  store<u8>(end, 0x7d)
  return end + 1
}

/** Each behind a comma. */
function writeMembers(column: usize, end: usize, omitNulls: bool, row: usize, dst: usize, room: usize): usize {
  for (; column < end; column += COLUMN_BYTES) {
    const isNull = !hasText(column, row)
    if (isNull && omitNulls) continue
    dst = copyKey(column, dst)
    if (isNull) dst = writeNull(dst)
    else if (load<u32>(column, COLUMN_QUOTED)) {
      store<u8>(dst, 0x22)
      dst = writePlain(column, row, dst + 1, room)
      if (dst == 0) return 0
      store<u8>(dst++, 0x22)
    } else {
      dst = writeJson(column, row, dst, room)
      if (dst == 0) return 0
    }
  }
  return dst
}

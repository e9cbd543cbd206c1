// A row as a JSON object. Every column brings its key as it stands in the row, with what separates it from the column
// before; it is copied in blocks of 16 bytes, of which the last reaches beyond it.
import {
  COLUMN_BYTES, COLUMN_KEY, COLUMN_KEY_BYTES, ENCODER_COLUMNS, ENCODER_COLUMNS_END,
} from '../kernel-layout'
import { writeJson } from './column'

/** Returns the end of what was written, or 0 where it may not fit into [dst, room). */
export function writeObject(encoder: usize, row: usize, dst: usize, room: usize): usize {
  const end = load<usize>(encoder, ENCODER_COLUMNS_END)
  let column = load<usize>(encoder, ENCODER_COLUMNS)
  if (column == end) store<u8>(dst++, 0x7b)
  for (; column < end; column += COLUMN_BYTES) {
    dst = writeKey(load<usize>(column, COLUMN_KEY), load<u32>(column, COLUMN_KEY_BYTES), dst)
    dst = writeJson(column, row, dst, room)
    if (dst == 0) return 0
  }
  store<u8>(dst, 0x7d)
  return dst + 1
}

@inline
function writeKey(key: usize, length: usize, dst: usize): usize {
  v128.store(dst, v128.load(key))
  for (let at: usize = 16; at < length; at += 16) v128.store(dst + at, v128.load(key + at))
  return dst + length
}

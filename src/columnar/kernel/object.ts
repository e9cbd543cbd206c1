// A row as a JSON object. Every column brings its key as it stands in the row, with what separates it from the column
// before; it is copied in blocks of 16 bytes.
import {
  COLUMN_BYTES, COLUMN_KEY, COLUMN_KEY_BYTES, ENCODER_COLUMNS, ENCODER_COLUMNS_END,
} from '../kernel-layout'
import { writeJson } from './column'
import { copyBlocks } from './memory'

/** Returns the end of what was written, or 0 where it may not fit into [dst, room). */
export function writeObject(encoder: usize, row: usize, dst: usize, room: usize): usize {
  const end = load<usize>(encoder, ENCODER_COLUMNS_END)
  let column = load<usize>(encoder, ENCODER_COLUMNS)
  if (column == end) store<u8>(dst++, 0x7b)
  for (; column < end; column += COLUMN_BYTES) {
    const keyBytes = load<u32>(column, COLUMN_KEY_BYTES)
    copyBlocks(dst, load<usize>(column, COLUMN_KEY), keyBytes)
    dst += keyBytes
    dst = writeJson(column, row, dst, room)
    if (dst == 0) return 0
  }
  store<u8>(dst, 0x7d)
  return dst + 1
}

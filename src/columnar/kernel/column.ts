// One value of a column, as the JSON of a row has it or as plain text. Where its kind says how its bytes lie, they are read
// in place; nothing is unpacked or converted for a whole column first.
//
// Room: most kinds have values of a bounded length, and the caller sees to it that one of each column fits (`reserve`).
// Strings, binary values and fragments do not; for these the room is compared with the longest that the value can become,
// before a byte is written. The comparison is in 64 bits, which a hostile length cannot wrap around.
import {
  COLUMN_BYTES, COLUMN_KIND, COLUMN_NULL_BIT, COLUMN_NULLS, COLUMN_OFFSETS, COLUMN_PARAMETER, COLUMN_PIECES, COLUMN_ROWS,
  COLUMN_VALUES, KIND_BINARY, KIND_BINARY_VIEW, KIND_BOOL, KIND_DATE32, KIND_DATE64, KIND_DECIMAL128, KIND_DICTIONARY,
  KIND_FIXED_BINARY, KIND_FLOAT32, KIND_FLOAT64, KIND_FRAGMENT, KIND_INT16, KIND_INT32, KIND_INT64, KIND_INT8,
  KIND_LARGE_BINARY, KIND_LARGE_UTF8, KIND_NULL, KIND_TIME32, KIND_TIME64, KIND_TIMESTAMP, KIND_UINT16, KIND_UINT32,
  KIND_UINT64, KIND_UINT8, KIND_UTF8, KIND_UTF8_VIEW,
} from '../kernel-layout'
import { writeBase64 } from './base64'
import { writeDecimal128 } from './decimal'
import { writeF64 } from './double'
import { writeF32 } from './float'
import { writeI32, writeI64, writeU32, writeU64 } from './integer'
import { copyBlocks } from './memory'
import { writeJsonString, writeText } from './string'
import { writeDate, writeTime, writeTimestamp } from './time'

/** Bytes of JSON that a byte of a string takes at most: `\u001f`. */
const MOST_ESCAPED: u64 = 6
/** Of U+FFFD, which a byte that is no UTF-8 becomes. */
const REPLACEMENT_BYTES: u64 = 3
const MILLIS_A_DAY: i64 = 86_400_000

@inline
export function isNull(column: usize, row: usize): bool {
  const nulls = load<usize>(column, COLUMN_NULLS)
  if (nulls == 0) return false
  const bit = row + load<u32>(column, COLUMN_NULL_BIT)
  return ((load<u8>(nulls + (bit >> 3)) >> <u8>(bit & 7)) & 1) == 0
}

/** The value as JSON, or `null`. Returns the end of what was written, or 0 where it may not fit into [dst, room). */
@inline
export function writeJson(column: usize, row: usize, dst: usize, room: usize): usize {
  if (isNull(column, row)) return writeNull(dst)
  const kind = load<u32>(column, COLUMN_KIND)
  return kind == KIND_DICTIONARY ? writeJsonEntry(column, row, dst, room) : writeValue(kind, column, row, dst, room, true)
}

function writeJsonEntry(column: usize, row: usize, dst: usize, room: usize): usize {
  const index = dictionaryIndex(column, row)
  const piece = pieceOf(column, index)
  const entry = index - pieceStart
  if (isNull(piece, entry)) return writeNull(dst)
  return writeValue(load<u32>(piece, COLUMN_KIND), piece, entry, dst, room, true)
}

@inline
export function writeNull(dst: usize): usize {
  store<u32>(dst, 0x6c6c756e)
  return dst + 4
}

/** Whether a row has text: it is not NULL, and no number that has no JSON form. */
export function hasText(column: usize, row: usize): bool {
  if (isNull(column, row)) return false
  const values = load<usize>(column, COLUMN_VALUES)
  switch (load<u32>(column, COLUMN_KIND)) {
    case KIND_NULL:
      return false
    case KIND_FLOAT32:
      return isFinite(load<f32>(values + (row << 2)))
    case KIND_FLOAT64:
      return isFinite(load<f64>(values + (row << 3)))
    case KIND_DICTIONARY: {
      const index = dictionaryIndex(column, row)
      return hasText(pieceOf(column, index), index - pieceStart)
    }
    default:
      return true
  }
}

/** As `writeJson`, without quotes and escapes, of a row that has text. */
export function writePlain(column: usize, row: usize, dst: usize, room: usize): usize {
  if (load<u32>(column, COLUMN_KIND) == KIND_DICTIONARY) {
    const index = dictionaryIndex(column, row)
    column = pieceOf(column, index)
    row = index - pieceStart
  }
  return writeValue(load<u32>(column, COLUMN_KIND), column, row, dst, room, false)
}

/** A value that is not NULL, of any kind but dictionaries. */
@inline
function writeValue(kind: u32, column: usize, row: usize, dst: usize, room: usize, isJson: bool): usize {
  const values = load<usize>(column, COLUMN_VALUES)
  switch (kind) {
    case KIND_NULL:
      return writeNull(dst)
    case KIND_BOOL:
      return writeBool(values, row + load<u32>(column, COLUMN_PARAMETER), dst)
    case KIND_INT8:
      return writeI32(load<i8>(values + row), dst)
    case KIND_INT16:
      return writeI32(load<i16>(values + (row << 1)), dst)
    case KIND_INT32:
      return writeI32(load<i32>(values + (row << 2)), dst)
    case KIND_INT64:
      return writeI64(load<i64>(values + (row << 3)), dst)
    case KIND_UINT8:
      return writeU32(load<u8>(values + row), dst)
    case KIND_UINT16:
      return writeU32(load<u16>(values + (row << 1)), dst)
    case KIND_UINT32:
      return writeU32(load<u32>(values + (row << 2)), dst)
    case KIND_UINT64:
      return writeU64(load<u64>(values + (row << 3)), dst)
    case KIND_FLOAT32:
      return writeF32(load<f32>(values + (row << 2)), dst)
    case KIND_FLOAT64:
      return writeF64(load<f64>(values + (row << 3)), dst)
    case KIND_DECIMAL128: {
      const at = values + (row << 4)
      return writeDecimal128(load<u64>(at), load<i64>(at, 8), load<i32>(column, COLUMN_PARAMETER), dst)
    }
    case KIND_DATE32:
      return closeQuote(writeDate(load<i32>(values + (row << 2)), openQuote(dst, isJson)), isJson)
    case KIND_DATE64:
      return closeQuote(writeDate(floorDivide(load<i64>(values + (row << 3)), MILLIS_A_DAY), openQuote(dst, isJson)), isJson)
    case KIND_TIME32: {
      const value = load<i32>(values + (row << 2))
      return closeQuote(writeTime(value, load<u32>(column, COLUMN_PARAMETER), openQuote(dst, isJson)), isJson)
    }
    case KIND_TIME64: {
      const value = load<i64>(values + (row << 3))
      return closeQuote(writeTime(value, load<u32>(column, COLUMN_PARAMETER), openQuote(dst, isJson)), isJson)
    }
    case KIND_TIMESTAMP: {
      const value = load<i64>(values + (row << 3))
      return closeQuote(writeTimestamp(value, load<u32>(column, COLUMN_PARAMETER), openQuote(dst, isJson)), isJson)
    }
    case KIND_UTF8: {
      const at = load<usize>(column, COLUMN_OFFSETS) + (row << 2)
      const start = load<u32>(at)
      return writeString(values + start, load<u32>(at, 4) - start, dst, room, isJson)
    }
    case KIND_LARGE_UTF8: {
      const at = load<usize>(column, COLUMN_OFFSETS) + (row << 3)
      const start = <u32>load<u64>(at)
      return writeString(values + start, <u32>load<u64>(at, 8) - start, dst, room, isJson)
    }
    case KIND_UTF8_VIEW: {
      const view = values + (row << 4)
      return writeString(viewBytes(column, view), load<u32>(view), dst, room, isJson)
    }
    case KIND_BINARY: {
      const at = load<usize>(column, COLUMN_OFFSETS) + (row << 2)
      const start = load<u32>(at)
      return writeBinary(values + start, load<u32>(at, 4) - start, dst, room, isJson)
    }
    case KIND_LARGE_BINARY: {
      const at = load<usize>(column, COLUMN_OFFSETS) + (row << 3)
      const start = <u32>load<u64>(at)
      return writeBinary(values + start, <u32>load<u64>(at, 8) - start, dst, room, isJson)
    }
    case KIND_BINARY_VIEW: {
      const view = values + (row << 4)
      return writeBinary(viewBytes(column, view), load<u32>(view), dst, room, isJson)
    }
    case KIND_FIXED_BINARY: {
      const width = load<u32>(column, COLUMN_PARAMETER)
      return writeBinary(values + row * width, width, dst, room, isJson)
    }
    case KIND_FRAGMENT: {
      const at = load<usize>(column, COLUMN_OFFSETS) + (row << 2)
      const start = load<u32>(at)
      return copyText(values + start, load<u32>(at, 4) - start, dst, room)
    }
    default:
      return unreachable()
  }
}

@inline
function openQuote(dst: usize, isJson: bool): usize {
  if (!isJson) return dst
  store<u8>(dst, 0x22)
  return dst + 1
}

@inline
function closeQuote(dst: usize, isJson: bool): usize {
  return openQuote(dst, isJson)
}

function writeBool(bits: usize, bit: usize, dst: usize): usize {
  if ((load<u8>(bits + (bit >> 3)) >> <u8>(bit & 7)) & 1) {
    store<u32>(dst, 0x65757274)
    return dst + 4
  }
  store<u32>(dst, 0x736c6166)
  store<u8>(dst, 0x65, 4)
  return dst + 5
}

@inline
function writeString(src: usize, length: u32, dst: usize, room: usize, isJson: bool): usize {
  if (<u64>dst + MOST_ESCAPED * <u64>length > <u64>room && !fitsEscaped(src, length, dst, room)) return 0
  return isJson ? writeJsonString(src, length, dst) : writeText(src, length, dst)
}

/**
 * A closer look at a string that is long, or not far from the end of its room: else one of 100 MB would take a buffer of
 * 600 MB. Characters beyond ASCII are still taken for ill-formed ones.
 */
function fitsEscaped(src: usize, length: u32, dst: usize, room: usize): bool {
  let bytes: u64 = length
  // found out at once where a buffer that grows by doubling is still far too small
  if (<u64>dst + bytes > <u64>room) return false
  for (let at = src; at < src + length; at++) {
    const byte = load<u8>(at)
    bytes += byte < 0x20 ? MOST_ESCAPED - 1 : byte >= 0x80 ? REPLACEMENT_BYTES - 1 : byte == 0x22 || byte == 0x5c ? 1 : 0
  }
  return <u64>dst + bytes <= <u64>room
}

function writeBinary(src: usize, length: u32, dst: usize, room: usize, isJson: bool): usize {
  if (<u64>dst + 2 * <u64>length > <u64>room) return 0
  return closeQuote(writeBase64(src, length, openQuote(dst, isJson)), isJson)
}

function copyText(src: usize, length: u32, dst: usize, room: usize): usize {
  if (<u64>dst + <u64>length > <u64>room) return 0
  copyBlocks(dst, src, length)
  return dst + length
}

/** The bytes of a view of 16 bytes: its length, then the bytes themselves if at most 12, else buffer and offset in it. */
@inline
function viewBytes(column: usize, view: usize): usize {
  if (load<u32>(view) <= 12) return view + 4
  const buffers = load<usize>(column, COLUMN_OFFSETS)
  const offset = load<usize>(view, 12)
  return buffers == 0 ? offset : load<usize>(buffers + (load<u32>(view, 8) << 2)) + offset
}

function dictionaryIndex(column: usize, row: usize): usize {
  const values = load<usize>(column, COLUMN_VALUES)
  switch (load<u32>(column, COLUMN_PARAMETER)) {
    case KIND_INT8:
    case KIND_UINT8:
      return load<u8>(values + row)
    case KIND_INT16:
    case KIND_UINT16:
      return load<u16>(values + (row << 1))
    case KIND_INT32:
    case KIND_UINT32:
      return load<u32>(values + (row << 2))
    default:
      return <usize>load<u64>(values + (row << 3))
  }
}

/** Index of the first entry of the piece that was found last. */
let pieceStart: usize = 0

/** The piece of a dictionary that has the entry: Arrow IPC can append to a dictionary. */
function pieceOf(column: usize, index: usize): usize {
  let piece = load<usize>(column, COLUMN_PIECES)
  pieceStart = 0
  for (let rows = load<u32>(piece, COLUMN_ROWS); index - pieceStart >= rows; rows = load<u32>(piece, COLUMN_ROWS)) {
    pieceStart += rows
    piece += COLUMN_BYTES
  }
  return piece
}

/** Divides towards negative infinity. */
@inline
export function floorDivide(value: i64, by: i64): i64 {
  const quotient = value / by
  return value % by < 0 ? quotient - 1 : quotient
}

/**
 * Runs of repeated and of bit-packed numbers: definition levels, dictionary indexes, booleans.
 * Source: apache/parquet-format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid".
 *
 * A run begins with a varint. Its lowest bit is 0 for a value that repeats (the rest is how often; the value follows in as
 * many whole bytes as its bits need) and 1 for bit-packed values (the rest is how many groups of eight; they follow, lowest
 * bits first). The last group may hold more values than there are.
 *
 * Runs are never expanded into numbers: levels, of which a flat column has one bit, become bits of a null bitmap, and an
 * index becomes the element of the dictionary that it stands for.
 */
import { copyBits, setBits } from './bits'
import { afterVarint, readVarint } from './varint'

/**
 * Definition levels of `rows` rows into the bitmap's bits from `first` on, which are 0 so far. How many are set; -1 where
 * the levels are damaged.
 */
export function parquetLevels(at: usize, end: usize, rows: u32, bitmap: usize, first: u32): i32 {
  let values: u32 = 0
  for (let row: u32 = 0; row < rows; ) {
    const header = readVarint(at, end)
    at = afterVarint
    if (at == 0) return -1
    const left = <u64>(rows - row)
    if (header & 1) {
      const count = <u32>min(left, (header >> 1) * 8)
      const bytes = <usize>(count + 7) >> 3
      if (bytes > end - at) return -1
      values += copyBits(bitmap, first + row, at, count)
      at += bytes
      row += count
    } else {
      if (at >= end) return -1
      const level = load<u8>(at++)
      if (level > 1) return -1
      const count = <u32>min(left, header >> 1)
      if (level == 1) {
        setBits(bitmap, first + row, count)
        values += count
      }
      row += count
    }
  }
  return values
}

/**
 * The dictionary's elements (`size` of them, `bytes` each) that `count` indexes of `width` bits stand for, to `to`. Whether
 * the indexes are whole and none lies outside.
 */
export function parquetGather(
  at: usize, end: usize, width: u32, count: u32, elements: usize, size: u32, bytes: u32, to: usize,
): bool {
  if (width > 32) return false
  const valueBytes = <usize>(width + 7) >> 3
  const mask = <u32>((<u64>1 << width) - 1)
  while (count > 0) {
    const header = readVarint(at, end)
    at = afterVarint
    if (at == 0) return false
    let done: u32
    if (header & 1) {
      // a run that claims more than there is left ends early, at a byte's end
      done = <u32>min(<u64>count, (header >> 1) * 8)
      const packed = (<u64>done * width + 7) >> 3
      if (packed > end - at) return false
      if (!unpack(at, width, done, elements, size, bytes, to)) return false
      at += <usize>packed
    } else {
      if (valueBytes > end - at) return false
      // four bytes can be read: there is slack behind the page
      const index = load<u32>(at) & mask
      at += valueBytes
      done = <u32>min(<u64>count, header >> 1)
      if (index >= size) return false
      repeat(elements + <usize>index * bytes, bytes, done, to)
    }
    count -= done
    to += <usize>done * bytes
  }
  return true
}

function unpack(at: usize, width: u32, count: u32, elements: usize, size: u32, bytes: u32, to: usize): bool {
  if (bytes == 16) return unpackAs<v128>(at, width, count, elements, size, to)
  if (bytes == 8) return unpackAs<u64>(at, width, count, elements, size, to)
  if (bytes == 4) return unpackAs<u32>(at, width, count, elements, size, to)
  if (bytes == 2) return unpackAs<u16>(at, width, count, elements, size, to)
  if (bytes == 1) return unpackAs<u8>(at, width, count, elements, size, to)
  const mask = ((<u64>1) << width) - 1
  let bit: u64 = 0
  for (let i: u32 = 0; i < count; i++, bit += width) {
    const index = <u32>((load<u64>(at + <usize>(bit >> 3)) >> (bit & 7)) & mask)
    if (index >= size) return false
    memory.copy(to, elements + <usize>index * bytes, bytes)
    to += bytes
  }
  return true
}

// @ts-ignore: decorator
@inline
function unpackAs<T>(at: usize, width: u32, count: u32, elements: usize, size: u32, to: usize): bool {
  const mask = ((<u64>1) << width) - 1
  let bit: u64 = 0
  for (let i: u32 = 0; i < count; i++, bit += width) {
    const index = <u32>((load<u64>(at + <usize>(bit >> 3)) >> (bit & 7)) & mask)
    if (index >= size) return false
    store<T>(to, load<T>(elements + <usize>index * sizeof<T>()))
    to += sizeof<T>()
  }
  return true
}

function repeat(element: usize, bytes: u32, count: u32, to: usize): void {
  if (bytes == 16) {
    const value = v128.load(element)
    for (const end = to + <usize>count * 16; to < end; to += 16) v128.store(to, value)
  } else {
    for (const end = to + <usize>count * bytes; to < end; to += bytes) memory.copy(to, element, bytes)
  }
}

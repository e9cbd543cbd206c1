/**
 * Integers as differences to the one before. Source: apache/parquet-format, Encodings.md, "Delta Encoding"
 * (DELTA_BINARY_PACKED).
 *
 * The header has, as varints, the values of a block, its number of miniblocks, the number of values, and the first value. A
 * block has its least difference, a byte for each miniblock with the bits of a difference there, and the miniblocks:
 * differences less the least one, bit-packed. A miniblock that would hold no value is not there. Sums wrap around.
 */
import { afterVarint, readVarint } from './varint'

/** `count` integers of `bytes` bytes (4 or 8) to `to`. The end of what was read; 0 where that is damaged. */
export function parquetDelta(at: usize, end: usize, count: u32, bytes: u32, to: usize): usize {
  const blockValues = readVarint(at, end)
  if (afterVarint == 0) return 0
  const miniblocks = readVarint(afterVarint, end)
  if (afterVarint == 0) return 0
  const total = readVarint(afterVarint, end)
  if (afterVarint == 0) return 0
  let value = readZigZag(afterVarint, end)
  at = afterVarint
  if (at == 0 || total != count) return 0
  if (miniblocks == 0 || miniblocks > blockValues || blockValues > MOST_BLOCK_VALUES) return 0
  const miniblockValues = <u32>(blockValues / miniblocks)
  if (miniblockValues % 8 != 0 || <u64>miniblockValues * miniblocks != blockValues) return 0
  let left = count
  if (left > 0) {
    storeInteger(to, bytes, value)
    to += bytes
    left--
  }
  while (left > 0) {
    const least = readZigZag(at, end)
    at = afterVarint
    if (at == 0 || miniblocks > end - at) return 0
    let widths = at
    at += <usize>miniblocks
    for (const widthsEnd = at; widths < widthsEnd && left > 0; widths++) {
      const width = <u32>load<u8>(widths)
      const size = (<u64>miniblockValues * width) >> 3
      const taken = min(left, miniblockValues)
      // the last one need not be padded
      if (width > 64 || (<u64>taken * width + 7) >> 3 > end - at) return 0
      for (let i: u32 = 0; i < taken; i++, to += bytes) {
        value += least + <i64>bitsAt(at, <u64>i * width, width)
        storeInteger(to, bytes, value)
      }
      at = <usize>min(<u64>at + size, end)
      left -= taken
    }
  }
  return at
}

/** Far above what anybody writes (128), and far below where sizes in bits would overflow. */
const MOST_BLOCK_VALUES: u64 = 1 << 24

function readZigZag(at: usize, end: usize): i64 {
  const value = readVarint(at, end)
  return <i64>(value >> 1) ^ -(<i64>value & 1)
}

// @ts-ignore: decorator
@inline
function bitsAt(at: usize, bit: u64, width: u32): u64 {
  if (width == 0) return 0
  const byte = at + <usize>(bit >> 3)
  const shift = bit & 7
  let value = load<u64>(byte) >> shift
  if (shift + width > 64) value |= <u64>load<u8>(byte, 8) << (64 - shift)
  return value & (u64.MAX_VALUE >> (64 - width))
}

// @ts-ignore: decorator
@inline
function storeInteger(to: usize, bytes: u32, value: i64): void {
  if (bytes == 8) store<i64>(to, value)
  else store<i32>(to, <i32>value)
}

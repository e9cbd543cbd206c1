/** Decimals: an integer of 128 bits with a point at a fixed place, every digit written. */
import { eightDigits, ZEROS } from './digits'
import { writeU64 } from './integer'

const ZERO: u8 = 0x30
const POINT: u8 = 0x2e
const GROUP: u64 = 100_000_000

/**
 * high * 2^64 + low over 10^scale: at most 42 bytes, or the scale's size more than 42 where that is beyond 0 to 38. A negative
 * scale appends zeros, except to 0. Writes up to 16 bytes behind what it returns.
 */
export function writeDecimal128(low: u64, high: i64, scale: i32, dst: usize): usize {
  if (high < 0) {
    store<u8>(dst++, 0x2d)
    low = -low
    high = ~high + i64(low == 0)
  }
  if (scale <= 0) {
    const end = writeInteger(low, high, dst)
    if (scale == 0 || (low | high) == 0) return end
    memory.fill(end, ZERO, -scale)
    return end - scale
  }
  return withPoint(dst, writeInteger(low, high, dst), scale)
}

/** `end`: behind the digits that stand at `dst`. */
function withPoint(dst: usize, end: usize, scale: usize): usize {
  const count = end - dst
  if (count <= scale) {
    // "0." and zeros in front
    const lead = scale - count + 2
    memory.copy(dst + lead, dst, count)
    memory.fill(dst, ZERO, lead)
    store<u8>(dst + 1, POINT)
    return end + lead
  }
  const at = end - scale
  // most scales are small, and a vector costs a fraction of a call
  if (scale <= 16) v128.store(at + 1, v128.load(at))
  else memory.copy(at + 1, at, scale)
  store<u8>(at, POINT)
  return end + 1
}

function writeInteger(low: u64, high: u64, dst: usize): usize {
  if (high == 0) return writeU64(low, dst)
  // words of 32 bits, the highest first, divided by 10^8 one after the other
  const a = high >> 32
  const b = ((a % GROUP) << 32) | (high & 0xffff_ffff)
  const c = ((b % GROUP) << 32) | (low >> 32)
  const d = ((c % GROUP) << 32) | (low & 0xffff_ffff)
  const restHigh = ((a / GROUP) << 32) | (b / GROUP)
  const restLow = ((c / GROUP) << 32) | (d / GROUP)
  const at = writeInteger(restLow, restHigh, dst)
  store<u64>(at, eightDigits(<u32>(d % GROUP)) | ZEROS)
  return at + 8
}

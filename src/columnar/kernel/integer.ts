/**
 * Integers as decimal text. Every function returns the address behind what it wrote and may write up to 8 bytes further.
 *
 * A number is cut into groups of eight digits (`digits.ts`). Those behind the first are stored as they are; the first is
 * shifted until its leading zeros are gone, so that nothing depends on how many digits there are.
 */
import { eightDigits, ZEROS } from './digits'

/** At most 11 bytes. */
export function writeI32(value: i32, dst: usize): usize {
  store<u8>(dst, 0x2d)
  const isNegative = value < 0
  return writeU32(isNegative ? -value : value, dst + usize(isNegative))
}

/** At most 10 bytes. */
export function writeU32(value: u32, dst: usize): usize {
  if (value < 100_000_000) return writeLeading(value, dst)
  const high = value / 100_000_000
  const at = writeLeading(high, dst)
  store<u64>(at, eightDigits(value - high * 100_000_000) | ZEROS)
  return at + 8
}

/** At most 20 bytes. */
export function writeI64(value: i64, dst: usize): usize {
  store<u8>(dst, 0x2d)
  const isNegative = value < 0
  return writeU64(isNegative ? -value : value, dst + usize(isNegative))
}

/** At most 20 bytes. */
export function writeU64(value: u64, dst: usize): usize {
  if (value < 100_000_000) return writeLeading(<u32>value, dst)
  const high = value / 100_000_000
  const at = high < 100_000_000 ? writeLeading(<u32>high, dst) : writeMiddle(high, dst)
  store<u64>(at, eightDigits(<u32>(value - high * 100_000_000)) | ZEROS)
  return at + 8
}

function writeMiddle(value: u64, dst: usize): usize {
  const high = value / 100_000_000
  const at = writeLeading(<u32>high, dst)
  store<u64>(at, eightDigits(<u32>(value - high * 100_000_000)) | ZEROS)
  return at + 8
}

/** A number below 100,000,000 without zeros in front; 0 as `0`. */
// @ts-ignore: decorator
@inline
function writeLeading(value: u32, dst: usize): usize {
  const digits = eightDigits(value)
  // the sentinel in the last byte lets a lone 0 be written
  const zeros = ctz(digits | (1 << 56)) & ~7
  store<u64>(dst, (digits | ZEROS) >> zeros)
  return dst + 8 - <usize>(zeros >> 3)
}

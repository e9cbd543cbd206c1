/**
 * Float32 in the shortest decimal that reads back as the same float32, in the notation of `JSON.stringify`. The algorithm is
 * that of `double.ts` with numbers half as wide.
 */
import { writeU32 } from './integer'
import { writeNumber } from './notation'
import { powerHigh } from './powers'

const NULL: u32 = 0x6c6c756e
const FRACTION: u32 = (1 << 23) - 1
/**
 * Its shortest decimal is 7.038531e-26, so close to the middle to the float above it that readers which take a float by way
 * of a double get that one. It keeps one digit more.
 */
const DELICATE: u32 = 363_742_205

/** At most 15 bytes; writes up to 24 behind what it returns. NaN and the infinities are `null`, -0 is `0`. */
export function writeF32(value: f32, dst: usize): usize {
  const bits = reinterpret<u32>(value)
  const exponent = (bits >> 23) & 0xff
  if (exponent == 0xff) {
    store<u32>(dst, NULL)
    return dst + 4
  }
  const size = abs(value)
  store<u8>(dst, 0x2d)
  dst += usize(value < 0)
  // up to 2^24 an integer is the only one that reads back as it
  if (size < 16777216) {
    const integer = <u32>size
    if (<f32>integer == size) return writeU32(integer, dst)
  }
  if (reinterpret<u32>(size) == DELICATE) return writeNumber(70385307, -33, dst)
  return writeShortest(bits & FRACTION, exponent, dst)
}

/** `fraction` and `exponent`: as stored, of a finite float other than zero. The names are those of `double.ts`. */
function writeShortest(fraction: u32, exponent: i32, dst: usize): usize {
  const c = exponent == 0 ? fraction : fraction | (1 << 23)
  const q = exponent == 0 ? -149 : exponent - 150
  const isPower = fraction == 0 && exponent > 1
  const isOdd = c & 1
  const k = (q * 1262611 - (isPower ? 524031 : 0)) >> 22
  const h = ((-k * 1741647) >> 19) + q + 1
  // 64 bits do here; rounded up, as all 128 are
  const power = powerHigh(-k) + 1
  const middle = scaled(power, (c << 2) << h)
  const lower = scaled(power, ((c << 2) - (isPower ? 1 : 2)) << h) + isOdd
  const upper = scaled(power, ((c << 2) + 2) << h) - isOdd
  const digits = middle >> 2
  const tens = digits / 10
  const isTenBelow = lower <= tens * 40
  const isTenAbove = tens * 40 + 40 <= upper
  if (isTenBelow != isTenAbove) return writeNumber(tens + u32(isTenAbove), k + 1, dst)
  const isBelow = lower <= digits << 2
  const isAbove = (digits << 2) + 4 <= upper
  if (isBelow != isAbove) return writeNumber(digits + u32(isAbove), k, dst)
  const half = (digits << 2) + 2
  const up = middle > half || (middle == half && (digits & 1) != 0)
  return writeNumber(digits + u32(up), k, dst)
}

/** power * factor / 2^64, rounded as in `double.ts`. */
// @ts-ignore: decorator
@inline
function scaled(power: u64, factor: u32): u32 {
  const low = (power & 0xffff_ffff) * factor
  const high = (power >> 32) * factor + (low >> 32)
  return <u32>(high >> 32) | u32(<u32>high > 1)
}

/**
 * Doubles as `JSON.stringify` prints them: of the decimals that read back as the same double one with the fewest digits, of
 * these the nearest, of two equally near the even one (ECMA-262, Number::toString).
 *
 * The algorithm is R. Giulietti, "The Schubfach way to render doubles" (2020). A double is c * 2^q; what lies between the
 * middles to its neighbours reads back as it. k is chosen such that at least one multiple of 10^k lies there and at most one
 * of 10^(k+1): the latter is the shortest if there is one, else the nearest of the former is. Both are found by comparing
 * with the two middles and the double itself, scaled by 10^-k * 4, of which the integer part and whether anything is behind
 * it suffice ("rounding to odd"). AssemblyScript's own `dtoa` (Grisu2) was the alternative: it reads back, but in a quarter
 * of all cases its digits are not the nearest.
 */
import { writeU64 } from './integer'
import { writeNumber } from './notation'
import { powerHigh, powerLow } from './powers'

const NULL: u32 = 0x6c6c756e
const SIGN: u64 = 1 << 63
const FRACTION: u64 = (1 << 52) - 1

/** At most 25 bytes; writes up to 16 behind what it returns. NaN and the infinities are `null`, -0 is `0`. */
export function writeF64(value: f64, dst: usize): usize {
  const bits = reinterpret<u64>(value)
  const exponent = <i32>((bits >> 52) & 0x7ff)
  if (exponent == 0x7ff) {
    store<u32>(dst, NULL)
    return dst + 4
  }
  const size = abs(value)
  store<u8>(dst, 0x2d)
  dst += usize(value < 0)
  // up to 2^53 an integer is the only one that reads back as it
  if (size < 9007199254740992) {
    const integer = <u64>size
    if (<f64>integer == size) return writeU64(integer, dst)
  }
  return writeShortest(bits & FRACTION, exponent, dst)
}

/** `fraction` and `exponent`: as stored, of a finite double other than zero. */
function writeShortest(fraction: u64, exponent: i32, dst: usize): usize {
  const c = exponent == 0 ? fraction : fraction | (1 << 52)
  const q = exponent == 0 ? -1074 : exponent - 1075
  // the neighbour below a power of two is only half as far away
  const isPower = fraction == 0 && exponent > 1
  const isOdd = c & 1
  // floor(log10(2^q)), or of 3/4 of it
  const k = (q * 1262611 - (isPower ? 524031 : 0)) >> 22
  // 1 to 4: floor(log2(10^-k)) + q + 1
  const h = ((-k * 1741647) >> 19) + q + 1
  const high = powerHigh(-k)
  const low = powerLow(-k)
  const middle = scaled(high, low, (c << 2) << h)
  const lower = scaled(high, low, ((c << 2) - (isPower ? 1 : 2)) << h) + isOdd
  const upper = scaled(high, low, ((c << 2) + 2) << h) - isOdd
  const digits = middle >> 2
  const tens = digits / 10
  const isTenBelow = lower <= tens * 40
  const isTenAbove = tens * 40 + 40 <= upper
  if (isTenBelow != isTenAbove) return writeNumber(tens + u64(isTenAbove), k + 1, dst)
  const isBelow = lower <= digits << 2
  const isAbove = (digits << 2) + 4 <= upper
  if (isBelow != isAbove) return writeNumber(digits + u64(isAbove), k, dst)
  const half = (digits << 2) + 2
  const up = middle > half || (middle == half && (digits & 1) != 0)
  return writeNumber(digits + u64(up), k, dst)
}

/** g * factor / 2^128, rounded down, and to odd where anything that counts is behind the point. */
// @ts-ignore: decorator
@inline
function scaled(high: u64, low: u64, factor: u64): u64 {
  const behind = high * factor
  const sum = behind + multiplyHigh(low, factor)
  const whole = multiplyHigh(high, factor) + u64(sum < behind)
  return whole | u64(sum > 1)
}

/** The upper 64 bits of a product. */
// @ts-ignore: decorator
@inline
function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffff_ffff
  const aHigh = a >> 32
  const bLow = b & 0xffff_ffff
  const bHigh = b >> 32
  const cross = aHigh * bLow + ((aLow * bLow) >> 32)
  const other = aLow * bHigh + (cross & 0xffff_ffff)
  return aHigh * bHigh + (cross >> 32) + (other >> 32)
}

/**
 * Doubles as `JSON.stringify` prints them: of the decimals that read back as the same double one with the fewest digits, of
 * these the nearest, of two equally near the even one (ECMA-262, Number::toString).
 *
 * The algorithm is R. Giulietti, "The Schubfach way to render doubles" (2020). A double is c * 2^q; what lies between the
 * middles to its neighbours reads back as it. k is chosen such that at least one multiple of 10^k lies there and at most one
 * of 10^(k+1): the latter is the shortest if there is one, else the nearest of the former is. Both are found by comparing
 * with the two middles and the double itself, scaled by 10^-k * 4, of which the integer part and whether anything is behind
 * it suffice ("rounding to odd").
 *
 * Most columns hold decimals of at most 15 digits, for which less will do: no two of these read back as the same double, so
 * the one that does is the shortest. Whether one does is told by a product or a quotient with a power of ten up to 10^22,
 * which is exact and so rounds as reading does (W. Clinger, "How to Read Floating Point Numbers Accurately", 1990).
 *
 * AssemblyScript's own `dtoa` (Grisu2) was the alternative: what it writes reads back, but in a quarter of all cases its
 * digits are not the nearest.
 */
import { writeU64 } from './integer'
import { writeNumber } from './notation'
import { powerHigh, powerLow } from './powers'

const NULL: u32 = 0x6c6c756e
const FRACTION: u64 = (1 << 52) - 1
/** 10^0 to 10^22 */
const TENS = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
], 8)

/** At most 25 bytes; writes up to 24 behind what it returns. NaN and the infinities are `null`, -0 is `0`. */
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
  const scale = scaleOf(exponent)
  if (scale >= 0 && scale <= 22) {
    const power = load<f64>(TENS + (<usize>scale << 3))
    const digits = nearest(size * power)
    if (digits / power == size) return writeNumber(<u64>digits, -scale, dst)
  } else if (scale < 0 && scale >= -22) {
    const power = load<f64>(TENS + (<usize>-scale << 3))
    const digits = nearest(size / power)
    if (digits * power == size) return writeNumber(<u64>digits, -scale, dst)
  }
  return writeShortest(bits & FRACTION, exponent, dst)
}

/** The greatest power of ten that surely leaves a double with this exponent, as stored, below 10^15. */
// @ts-ignore: decorator
@inline
function scaleOf(exponent: i32): i32 {
  return 14 - (((exponent - 1022) * 78913) >> 18)
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
  // 4c * 2^h * g as three words; the middle to a neighbour is 2 * 2^h * g away, so that one product does for all three
  const factor = c << (h + 2)
  const first = low * factor
  const part = high * factor
  const second = part + multiplyHigh(low, factor)
  const third = multiplyHigh(high, factor) + u64(second < part)
  const middle = toOdd(third, second)
  const upper = plus(third, second, first, high, low, h + 1) - isOdd
  const lower = minus(third, second, first, high, low, h + 1 - i32(isPower)) + isOdd
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

/** The upper of three words, as an odd number where anything that counts is in those below it. */
// @ts-ignore: decorator
@inline
function toOdd(third: u64, second: u64): u64 {
  return third | u64(second > 1)
}

/** Three words and (high, low) * 2^shift, {@link toOdd}. `shift`: 1 to 63. */
// @ts-ignore: decorator
@inline
function plus(third: u64, second: u64, first: u64, high: u64, low: u64, shift: u64): u64 {
  const more = (high << shift) | (low >> (64 - shift))
  const carry = u64(first + (low << shift) < first)
  const sum = second + more
  const carried = sum + carry
  return toOdd(third + (high >> (64 - shift)) + u64(sum < second) + u64(carried < sum), carried)
}

/** Three words less (high, low) * 2^shift, {@link toOdd}. */
// @ts-ignore: decorator
@inline
function minus(third: u64, second: u64, first: u64, high: u64, low: u64, shift: u64): u64 {
  const less = (high << shift) | (low >> (64 - shift))
  const borrow = u64(first < low << shift)
  const difference = second - less
  const borrowed = difference - borrow
  return toOdd(third - (high >> (64 - shift)) - u64(second < less) - u64(difference < borrow), borrowed)
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

/**
 * Decimal digits, several at once.
 *
 * A register of 64 bits is taken as lanes that each hold a number: two of 0-9999 become four of 0-99, and these become
 * eight digits, one a byte, the first digit in the lowest byte, as it is stored. Divisions by 100 and by 10 are
 * multiplications by a rounded reciprocal, exact for numbers of that size. The method is P. Khuong, "How to print integers
 * really fast" (2017). A table of digit pairs was the alternative: more loads, and digits one cannot count without a loop.
 */

/** '0' in every byte. */
export const ZEROS: u64 = 0x3030303030303030

/** The eight digits of a number below 100,000,000, zeros in front included, as bytes 0 to 9. */
// @ts-ignore: decorator
@inline
export function eightDigits(value: u32): u64 {
  const fours = foursOf(value)
  const hundreds = ((fours * 5243) >> 19) & 0x0000_007f_0000_007f
  return pairDigits(hundreds | ((fours - hundreds * 100) << 16), 0x000f_000f_000f_000f)
}

/** Tens and units of numbers below 100, the tens where the number began. `mask`: 0xf at the beginning of each number. */
// @ts-ignore: decorator
@inline
export function pairDigits(pairs: u64, mask: u64): u64 {
  const tens = ((pairs * 103) >> 10) & mask
  return tens | ((pairs - tens * 10) << 8)
}

/**
 * The sixteen digits of high * 10^8 + low, both below 100,000,000, as bytes 0 to 9: {@link eightDigits} of both at once. Of
 * two neighbouring lanes of 16 bits the upper is empty, so that `dot` is the cheap multiplication into 32 bits.
 */
// @ts-ignore: decorator
@inline
export function sixteenDigits(high: u32, low: u32): v128 {
  const fours = i64x2.replace_lane(i64x2.splat(foursOf(high)), 1, foursOf(low))
  const hundreds = i32x4.shr_u(i32x4.dot_i16x8_s(fours, i32x4.splat(5243)), 19)
  const rests = i32x4.sub(fours, i32x4.dot_i16x8_s(hundreds, i32x4.splat(100)))
  const pairs = v128.or(hundreds, i32x4.shl(rests, 16))
  const tens = i16x8.shr_u(i16x8.mul(pairs, i16x8.splat(103)), 10)
  return v128.or(tens, i16x8.shl(i16x8.sub(pairs, i16x8.mul(tens, i16x8.splat(10))), 8))
}

/** A number below 100,000,000 as two of 0-9999 in 32 bits each. */
// @ts-ignore: decorator
@inline
function foursOf(value: u32): u64 {
  const high = value / 10_000
  return <u64>high | (<u64>(value - high * 10_000) << 32)
}

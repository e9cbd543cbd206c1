/**
 * The notation of ECMA-262, Number::toString, for digits that `double.ts` and `float.ts` found.
 *
 * Sixteen digits are made at once, whatever there are. Zeros on either side are counted in them, and one shuffle of the
 * vector drops those in front and makes room for the point.
 */
import { sixteenDigits, ZEROS } from './digits'
import { writeU32 } from './integer'

const ZERO: u8 = 0x30
const POINT: u8 = 0x2e
/** `0.000000` */
const SMALL: u64 = 0x3030_3030_3030_2e30
/** Behind all digits. */
const NO_POINT = 127

/**
 * digits * 10^exponent; digits from 1 to below 10^17. Zeros at their end are dropped. Writes up to 24 bytes behind what it
 * returns.
 */
export function writeNumber(digits: u64, exponent: i32, dst: usize): usize {
  const upper = digits / 100_000_000
  const lead = <u32>upper / 100_000_000
  const rest = sixteenDigits(<u32>upper - lead * 100_000_000, <u32>(digits - upper * 100_000_000))
  const nonZero = i8x16.bitmask(i8x16.ne(rest, i8x16.splat(0)))
  const isLong = i32(lead != 0)
  const skipped = isLong ? 0 : ctz(nonZero)
  const count = 32 - clz(nonZero) - skipped + isLong
  /** Where the point belongs, counted from the first digit. */
  const point = 16 - skipped + isLong + exponent

  const text = v128.or(rest, i8x16.splat(ZERO))
  if (point > 0 && point <= 21) {
    store<u8>(dst, ZERO + <u8>lead)
    if (point < count) {
      spread(text, skipped, point - isLong, dst + isLong)
      store<u8>(dst + point, POINT)
      return dst + count + 1
    }
    spread(text, skipped, NO_POINT, dst + isLong)
    v128.store(dst + count, i8x16.splat(ZERO))
    store<u32>(dst + count + 16, <u32>ZEROS)
    return dst + point
  }
  if (point <= 0 && point > -6) {
    store<u64>(dst, SMALL)
    const at = dst + 2 - point
    store<u8>(at, ZERO + <u8>lead)
    spread(text, skipped, NO_POINT, at + isLong)
    return at + count
  }
  store<u8>(dst, ZERO + <u8>lead)
  spread(text, skipped, 1 - isLong, dst + isLong)
  store<u8>(dst + 1, POINT)
  return writeExponent(point - 1, dst + count + i32(count > 1))
}

/** Stores the digits behind the `skipped` ones, those from the place `point` on one byte further. */
// @ts-ignore: decorator
@inline
function spread(text: v128, skipped: i32, point: i32, dst: usize): void {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  const behind = i8x16.gt_s(places, i8x16.splat(<i8>point))
  v128.store(dst, i8x16.swizzle(text, i8x16.add(i8x16.add(places, i8x16.splat(<i8>skipped)), behind)))
  // the point may push the last digit out of the vector
  v128.store_lane<u8>(dst + 16, text, 15)
}

/** `e+21`, `e-7` */
// @ts-ignore: decorator
@inline
function writeExponent(exponent: i32, dst: usize): usize {
  store<u16>(dst, exponent < 0 ? 0x2d65 : 0x2b65)
  return writeU32(abs(exponent), dst + 2)
}

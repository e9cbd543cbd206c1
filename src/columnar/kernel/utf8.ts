/**
 * Which bytes are well-formed UTF-8 (The Unicode Standard, chapter 3, table 3-7).
 *
 * Sixteen bytes at once: J. Keiser and D. Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte" (2021). Every
 * error but one shows in two neighbouring bytes, and of these in three of their four halves. Each half looks up the errors
 * that it leaves possible, one a bit; what all three leave is one. The last error, a third or fourth byte that is missing
 * or too many, shows where two continuations follow one another.
 */

/** A leading byte, and no continuation behind it. */
const SHORT: u8 = 1 << 0
/** A continuation behind ASCII. */
const LONG: u8 = 1 << 1
const OVERLONG_3: u8 = 1 << 2
/** Beyond U+10FFFF, the second byte from 0x90. */
const LARGE: u8 = 1 << 3
const SURROGATE: u8 = 1 << 4
const OVERLONG_2: u8 = 1 << 5
/** Beyond U+13FFFF, the second byte below 0x90. Such a byte behind 0xf0 is overlong, which shares the bit. */
const LARGER: u8 = 1 << 6
const OVERLONG_4: u8 = 1 << 6
/** Two continuations: right where a leading byte of three or four is two or three places in front. */
const TWO: u8 = 1 << 7
const ANY: u8 = SHORT | LONG | TWO
const BEYOND: u8 = ANY | LARGE | LARGER
const SECOND: u8 = LONG | OVERLONG_2 | TWO

/** By the upper half of the first byte, by its lower half, by the upper half of the second. */
const FIRST_UPPER = memory.data<u8>([
  LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO,
  SHORT | OVERLONG_2, SHORT, SHORT | OVERLONG_3 | SURROGATE, SHORT | LARGE | LARGER | OVERLONG_4,
])
const FIRST_LOWER = memory.data<u8>([
  ANY | OVERLONG_2 | OVERLONG_3 | OVERLONG_4, ANY | OVERLONG_2, ANY, ANY, ANY | LARGE,
  BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND | SURROGATE, BEYOND, BEYOND,
])
const SECOND_UPPER = memory.data<u8>([
  SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
  SECOND | OVERLONG_3 | OVERLONG_4 | LARGER, SECOND | OVERLONG_3 | LARGE, SECOND | SURROGATE | LARGE, SECOND | SURROGATE | LARGE,
  SHORT, SHORT, SHORT, SHORT,
])

/** Whether the bytes are characters one after the other, the last perhaps cut off. The first byte begins one. */
// @ts-ignore: decorator
@inline
export function isWellFormed(bytes: v128): bool {
  const zeros = i8x16.splat(0)
  const one = i8x16.shuffle(zeros, bytes, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)
  const two = i8x16.shuffle(zeros, bytes, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29)
  const three = i8x16.shuffle(zeros, bytes, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
  const firstUpper = i8x16.swizzle(v128.load(FIRST_UPPER), i8x16.shr_u(one, 4))
  const firstLower = i8x16.swizzle(v128.load(FIRST_LOWER), v128.and(one, i8x16.splat(15)))
  const secondUpper = i8x16.swizzle(v128.load(SECOND_UPPER), i8x16.shr_u(bytes, 4))
  const errors = v128.and(v128.and(firstUpper, firstLower), secondUpper)
  // 0x80 and more where a leading byte of three stands two places in front, or one of four three places
  const due = v128.or(i8x16.sub_sat_u(two, i8x16.splat(0x60)), i8x16.sub_sat_u(three, i8x16.splat(0x70)))
  return !v128.any_true(v128.xor(errors, v128.and(due, i8x16.splat(-128))))
}

/** The top bit of the byte that begins a character which reaches beyond the vector. */
// @ts-ignore: decorator
@inline
export function cutOff(bytes: v128): v128 {
  return i8x16.gt_u(bytes, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -17, -33, -65))
}

/** The bytes of the well-formed character beyond ASCII at `src`; 0 where there is none. */
// @ts-ignore: decorator
@inline
export function characterSize(src: usize, end: usize): usize {
  let word = load<u32>(src)
  const left = end - src
  // what lies behind the end is no continuation of anything
  if (left < 4) word &= (1 << (<u32>left << 3)) - 1
  if ((word & 0xc0e0) == 0x80c0) return (word & 0x1e) != 0 ? 2 : 0
  if ((word & 0xc0c0f0) == 0x8080e0) {
    // neither overlong nor a surrogate: of the first four bits and the next one, not 0 0 and not d 1
    const top = word & 0x200f
    return top != 0 && top != 0x200d ? 3 : 0
  }
  if ((word & 0xc0c0c0f8) == 0x808080f0) {
    const plane = ((word & 7) << 2) | ((word >> 12) & 3)
    return plane - 1 < 16 ? 4 : 0
  }
  return 0
}

/**
 * How many bytes of the ill-formed sequence at `src` one U+FFFD stands for: as many as could have begun a character, at least
 * one. What follows the end of the text may be counted in.
 */
export function subpart(src: usize): usize {
  const lead = load<u8>(src)
  if (lead < 0xe0 || lead > 0xf4) return 1
  const second = load<u8>(src + 1)
  const least: u8 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80
  const most: u8 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf
  if (second < least || second > most) return 1
  return lead < 0xf0 || (load<u8>(src + 2) & 0xc0) != 0x80 ? 2 : 3
}

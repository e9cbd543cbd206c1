/**
 * UTF-8 as JSON text or as it is, 32 bytes at a time and then 16.
 *
 * A vector is copied before it is looked at; a comparison then tells its first byte that cannot stay as it is. Up to there
 * the copy counts, and what stands there is dealt with by itself: a character to escape, or a run of characters beyond
 * ASCII, which are checked first (`utf8.ts`): vectors that begin and end with whole characters need nothing from one to the
 * next. The last vector reaches beyond the string; bytes there never count. So there is no loop for a rest, which at 42 or
 * 66 bytes a value would cost more than the vectors.
 *
 * Ill-formed UTF-8 becomes U+FFFD, one for each maximal subpart of a character (The Unicode Standard, chapter 3, "U+FFFD
 * Substitution of Maximal Subparts"; the WHATWG Encoding Standard's decoder does the same).
 */
import { characterSize, cutOff, isWellFormed, subpart } from './utf8'

const QUOTE: u8 = 0x22
const BACKSLASH: u8 = 0x5c
const VECTOR = 16
/** U+FFFD in UTF-8. */
const REPLACEMENT: u32 = 0xbdbfef

/**
 * A JSON string, quotes included, escaped as `JSON.stringify` escapes: at most 6 * length + 2 bytes. Reads up to 16 bytes
 * behind the source and writes up to 16 behind what it returns.
 */
export function writeJsonString(src: usize, length: usize, dst: usize): usize {
  store<u8>(dst, QUOTE)
  const end = writeCharacters(src, length, dst + 1, true)
  store<u8>(end, QUOTE)
  return end + 1
}

/** The text alone, nothing escaped: at most 3 * length bytes. Reads and writes beyond as {@link writeJsonString}. */
export function writeText(src: usize, length: usize, dst: usize): usize {
  return writeCharacters(src, length, dst, false)
}

// @ts-ignore: decorator
@inline
function writeCharacters(src: usize, length: usize, dst: usize, escapes: bool): usize {
  const end = src + length
  while (src + 32 <= end) {
    const first = v128.load(src)
    const second = v128.load(src, 16)
    v128.store(dst, first)
    v128.store(dst, second, 16)
    if (i8x16.bitmask(v128.or(special(first, escapes), special(second, escapes))) != 0) break
    src += 32
    dst += 32
  }
  while (src < end) {
    const bytes = v128.load(src)
    v128.store(dst, bytes)
    const plain = <usize>ctz(i8x16.bitmask(special(bytes, escapes)) | (1 << VECTOR))
    src += plain
    dst += plain
    if (src >= end) return dst - (src - end)
    if (plain == VECTOR) continue
    if (escapes && load<i8>(src) >= 0) {
      dst = writeEscape(load<u8>(src++), dst)
      continue
    }
    // characters beyond ASCII mostly come together: stay here as long as they do
    do {
      const left = min(end - src, VECTOR)
      const vector = firstBytes(v128.load(src), left)
      if (isWellFormed(vector)) {
        v128.store(dst, vector)
        const stops = v128.or(cutOff(vector), v128.andnot(special(vector, escapes), vector))
        const kept = min(<usize>ctz(i8x16.bitmask(stops) | (1 << VECTOR)), left)
        src += kept
        dst += kept
      } else {
        const size = characterSize(src, end)
        store<u32>(dst, size == 0 ? REPLACEMENT : load<u32>(src))
        src += size == 0 ? subpart(src) : size
        dst += size == 0 ? 3 : size
      }
    } while (src < end && load<i8>(src) < 0)
  }
  return dst
}

/**
 * The top bit of each byte that cannot stay as it is: those beyond ASCII and, in JSON, those to escape. As a signed number
 * the former are below 0x20 too.
 */
// @ts-ignore: decorator
@inline
function special(bytes: v128, escapes: bool): v128 {
  if (!escapes) return bytes
  const low = i8x16.lt_s(bytes, i8x16.splat(0x20))
  const marks = v128.or(i8x16.eq(bytes, i8x16.splat(QUOTE)), i8x16.eq(bytes, i8x16.splat(BACKSLASH)))
  return v128.or(low, marks)
}

/** Zeros behind the first `count` bytes. */
// @ts-ignore: decorator
@inline
function firstBytes(bytes: v128, count: usize): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  return v128.and(bytes, i8x16.lt_s(places, i8x16.splat(<i8>count)))
}

/** `\b \t \n \f \r` by their second character; 0 where `\u00xx` is the only form. */
const SHORT = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0x62, 0x74, 0x6e, 0, 0x66, 0x72, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
])

function writeEscape(byte: u8, dst: usize): usize {
  const letter = byte >= 0x20 ? byte : load<u8>(SHORT + byte)
  if (letter != 0) {
    store<u16>(dst, <u16>BACKSLASH | (<u16>letter << 8))
    return dst + 2
  }
  // "\u00", then two hexadecimal digits
  store<u32>(dst, 0x3030755c)
  const low = byte & 15
  store<u8>(dst + 4, 0x30 + (byte >> 4))
  store<u8>(dst + 5, low + (low < 10 ? 0x30 : 0x57))
  return dst + 6
}

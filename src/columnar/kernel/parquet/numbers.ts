/**
 * Numbers whose form in Parquet is not the one in Arrow. Source: apache/parquet-format, LogicalTypes.md and Encodings.md.
 *
 * - Integers of 8 and 16 bits are stored in 32.
 * - Decimals are stored as integers of 32 or 64 bits, or as big-endian bytes; Arrow has 128 bits, little-endian.
 * - With "Byte Stream Split" the first bytes of all values come first, then the second ones, and so on.
 */

/** The lower 8 or 16 bits (`bytes`: 1 or 2) of integers of 32 bits. */
export function parquetNarrow(from: usize, count: u32, bytes: u32, to: usize): void {
  const end = from + (<usize>count << 2)
  if (bytes == 1) for (; from < end; from += 4, to++) store<u8>(to, load<u8>(from))
  else for (; from < end; from += 4, to += 2) store<u16>(to, load<u16>(from))
}

/** Integers of 32 or 64 bits (`bytes`: 4 or 8) as 128 bits. */
export function parquetWiden(from: usize, count: u32, bytes: u32, to: usize): void {
  const end = from + <usize>count * bytes
  for (; from < end; from += bytes, to += 16) {
    const value = bytes == 4 ? <i64>load<i32>(from) : load<i64>(from)
    store<i64>(to, value)
    store<i64>(to, value >> 63, 8)
  }
}

/** Integers of 1 to 16 bytes, big-endian, as 128 bits, little-endian. Up to 15 bytes before `from` are read. */
export function parquetReverse(from: usize, count: u32, bytes: u32, to: usize): void {
  const end = from + <usize>count * bytes
  for (; from < end; from += bytes, to += 16) storeReversed(from, bytes, to)
}

/** The same for values of lengths of their own, PLAIN, in [at, end). Whether they all lie in there and are of 1 to 16 bytes. */
export function parquetReversePlain(at: usize, end: usize, count: u32, to: usize): bool {
  for (const toEnd = to + (<usize>count << 4); to < toEnd; to += 16) {
    if (end - at < 4) return false
    const bytes = <usize>load<u32>(at)
    at += 4
    if (bytes == 0 || bytes > 16 || bytes > end - at) return false
    storeReversed(at, bytes, to)
    at += bytes
  }
  return true
}

// @ts-ignore: decorator
@inline
function storeReversed(from: usize, bytes: usize, to: usize): void {
  const last = v128.load(from + bytes - 16)
  // prettier-ignore
  const reversed = i8x16.shuffle(last, last, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
  // lanes whose number is below `bytes` are the value's, the rest is its sign
  const own = i8x16.lt_u(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>bytes))
  v128.store(to, v128.bitselect(reversed, i8x16.splat(load<i8>(from) >> 7), own))
}

/** `count` values of `bytes` bytes whose bytes are split into as many streams. */
export function parquetJoin(from: usize, count: u32, bytes: u32, to: usize): void {
  for (let byte: u32 = 0; byte < bytes; byte++) {
    let at = to + byte
    for (let i: u32 = 0; i < count; i++, at += bytes) store<u8>(at, load<u8>(from++))
  }
}

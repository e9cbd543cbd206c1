/**
 * Strings and binary values as views: nothing of a value is copied but its first bytes.
 * Sources: apache/parquet-format, Encodings.md, "Plain" and "Delta-length byte array"; Apache Arrow, Columnar format,
 * "Variable-size Binary View Layout".
 *
 * In a page a value is its length (four bytes, little-endian) and its bytes. A view is 16 bytes: the length; then the whole
 * value, padded with zeros, if it has at most 12 bytes, else its first four bytes, the number of a buffer, and where in the
 * buffer it lies. The first 16 bytes of a page's value therefore are its view already, but for the padding or the last eight
 * bytes. The one buffer is the kernel's memory, and the place an address.
 */

const INLINE: usize = 12

/** Row n keeps the length and n bytes of a view. */
// prettier-ignore
const KEPT: usize = memory.data<u8>([
  255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
])

/** `head`: the length and the first 12 bytes that lie at `value`, or whatever lies behind it. */
// @ts-ignore: decorator
@inline
function storeView(to: usize, head: v128, length: usize, value: usize): void {
  v128.store(
    to,
    length <= INLINE
      ? v128.and(head, v128.load(KEPT + (length << 4)))
      : i64x2.replace_lane(head, 1, <i64>value << 32),
  )
}

/** Views of `count` PLAIN values in [at, end). Whether they all lie in there. */
export function parquetViews(at: usize, end: usize, count: u32, to: usize): bool {
  for (const toEnd = to + (<usize>count << 4); to < toEnd; to += 16) {
    if (end - at < 4) return false
    const head = v128.load(at)
    const length = <usize><u32>i32x4.extract_lane(head, 0)
    at += 4
    if (length > end - at) return false
    storeView(to, head, length, at)
    at += length
  }
  return true
}

/**
 * Views of `count` values that lie in [at, end) without their lengths. The lengths, four bytes each, are at the end of the
 * memory for the views: a view is written only over lengths that were used.
 */
export function parquetLengthViews(at: usize, end: usize, count: u32, to: usize): bool {
  let lengths = to + <usize>count * 12
  for (const toEnd = to + (<usize>count << 4); to < toEnd; to += 16, lengths += 4) {
    const length = <usize>load<u32>(lengths)
    if (length > end - at) return false
    storeView(to, i32x4.replace_lane(v128.load(at - 4), 0, <i32>length), length, at)
    at += length
  }
  return true
}

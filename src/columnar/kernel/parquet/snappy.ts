/**
 * Snappy without framing. Source: "Snappy compressed format description" (google/snappy, format_description.txt).
 *
 * First the length when decompressed, as a varint. Then elements, each of which begins with a tag, whose lower two bits are
 * its kind: 0 is a literal; 1, 2 and 3 are copies of what came earlier, with an offset of 11, 16 and 32 bits.
 *
 * The input may be damaged: nothing is read before `to`, and nothing behind `end` or `toEnd` counts.
 */
import { copyForward, copyWithin } from './copy'
import { afterVarint, readVarint } from './varint'

/** Decompresses [at, end) to [to, toEnd). Whether it filled just that. */
export function parquetSnappy(at: usize, end: usize, to: usize, toEnd: usize): bool {
  if (readVarint(at, end) != toEnd - to || afterVarint == 0) return false
  at = afterVarint
  const first = to
  while (at < end) {
    const tag = <usize>load<u8>(at++)
    const kind = tag & 3
    // four bytes can be read, if not of this block then of the slack behind it
    const word = <usize>load<u32>(at)
    if (kind == 0) {
      let bytes = (tag >> 2) + 1
      if (bytes > 60) {
        // the length stands in one to four bytes of its own
        const width = bytes - 60
        if (width > end - at) return false
        bytes = (word & (<u32>-1 >>> (32 - <u32>width * 8))) + 1
        at += width
      }
      // 0: a length of 2^32, which is more than there can be
      if (bytes == 0 || bytes > end - at || bytes > toEnd - to) return false
      copyForward(to, at, bytes)
      at += bytes
      to += bytes
    } else {
      // which of the two common kinds comes next cannot be predicted: both are worked out, and one is taken
      const isNear = kind == 1
      const bytes = select<usize>(((tag >> 2) & 7) + 4, (tag >> 2) + 1, isNear)
      let distance = select<usize>(((tag >> 5) << 8) | (word & 0xff), word & 0xffff, isNear)
      let width = kind
      if (kind == 3) {
        distance = word
        width = 4
      }
      if (width > end - at) return false
      if (distance == 0 || distance > to - first || bytes > toEnd - to) return false
      copyWithin(to, distance, bytes)
      at += width
      to += bytes
    }
  }
  return to == toEnd
}

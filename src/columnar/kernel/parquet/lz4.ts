/**
 * The block format of LZ4, which Parquet's codec LZ4_RAW is. Source: "LZ4 Block Format Description" (lz4 project,
 * doc/lz4_Block_format.md).
 *
 * A block is a run of sequences. Each begins with a token: the upper four bits say how many literal bytes follow, the lower
 * four how long the match behind them is, less 4; 15 means that further bytes are added, up to the first that is not 255.
 * Behind the literals stand two bytes, little-endian: how far back the match begins. The last sequence ends with its literals.
 *
 * The input may be damaged: nothing is read before `to`, and nothing behind `end` or `toEnd` counts.
 */
import { copyForward, copyWithin } from './copy'

/** Decompresses [at, end) to [to, toEnd). Whether it filled just that. */
export function parquetLz4(at: usize, end: usize, to: usize, toEnd: usize): bool {
  const first = to
  while (at < end) {
    const token = <usize>load<u8>(at++)
    let literals = token >> 4
    if (literals == 15) {
      let more: usize = 255
      while (more == 255) {
        if (at >= end || literals > toEnd - to) return false
        more = load<u8>(at++)
        literals += more
      }
    }
    if (literals > end - at || literals > toEnd - to) return false
    if (literals > 0) {
      copyForward(to, at, literals)
      to += literals
      at += literals
    }
    if (at == end) return to == toEnd
    if (end - at < 2) return false
    const distance = <usize>load<u16>(at)
    at += 2
    let bytes = (token & 15) + 4
    if (bytes == 19) {
      let more: usize = 255
      while (more == 255) {
        if (at >= end || bytes > toEnd - to) return false
        more = load<u8>(at++)
        bytes += more
      }
    }
    if (distance == 0 || distance > to - first || bytes > toEnd - to) return false
    copyWithin(to, distance, bytes)
    to += bytes
  }
  return false
}

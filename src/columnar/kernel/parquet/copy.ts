/**
 * Copies of LZ4 and Snappy, 16 bytes a step: most are a few bytes long, and a step is cheaper than finding out how few.
 *
 * They write up to 15 bytes behind their end, and read as far behind what they copy. So whoever allocates memory for
 * decompressing leaves some behind each of its regions, input and output: `SLACK_BYTES` in `parquet/kernel-exports.ts`.
 */

/** Row d: 0, 1, ... d - 1, 0, 1, ...: which bytes of a pattern of d bytes come one after the other when it repeats. */
// prettier-ignore
const REPEATS: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
  0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0,
  0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0,
  0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0,
])

/** Copies `bytes` (at least 1) between regions that do not overlap, or whose source begins 16 bytes or more before. */
// @ts-ignore: decorator
@inline
export function copyForward(to: usize, from: usize, bytes: usize): void {
  const end = to + bytes
  do {
    v128.store(to, v128.load(from))
    to += 16
    from += 16
  } while (to < end)
}

/** Copies `bytes` from `distance` bytes before `to`, where what is copied may be what the copy itself has written. */
// @ts-ignore: decorator
@inline
export function copyWithin(to: usize, distance: usize, bytes: usize): void {
  if (distance >= 16) copyForward(to, to - distance, bytes)
  else repeat(to, distance, bytes)
}

function repeat(to: usize, distance: usize, bytes: usize): void {
  const pattern = v128.swizzle(v128.load(to - distance), v128.load(REPEATS + distance * 16))
  // whole repetitions only, so that the next step begins with the pattern's first byte
  const step: usize = 16 - (<usize>16 % distance)
  const end = to + bytes
  do {
    v128.store(to, pattern)
    to += step
  } while (to < end)
}

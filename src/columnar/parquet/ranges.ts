/** Reads that lie close to each other are made as one. */
import type { FileBytes } from '../file-bytes.ts'

/** Bytes [start, end). */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The bytes of each range, in their order. */
export async function readRanges(file: FileBytes, ranges: readonly Range[]): Promise<readonly Uint8Array[]> {
  const found: Uint8Array[] = []
  const inOrder = ranges.map((range, index) => ({ ...range, index })).sort((a, b) => a.start - b.start)
  for (let first = 0; first < inOrder.length; ) {
    const { start } = inOrder[first]!
    let { end } = inOrder[first]!
    let next = first + 1
    for (; next < inOrder.length && inOrder[next]!.start - end <= MOST_GAP_BYTES; next++) {
      end = Math.max(end, inOrder[next]!.end)
    }
    const bytes = await file.read(start, end)
    for (const range of inOrder.slice(first, next)) {
      found[range.index] = bytes.subarray(range.start - start, range.end - start)
    }
    first = next
  }
  return found
}

/** What may be read for nothing, to save a read. */
const MOST_GAP_BYTES = 1 << 16

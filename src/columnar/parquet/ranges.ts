/** Several ranges of a file: those that lie close to each other are read at once, and into memory that was used before. */
import type { FileBytes, Range } from '../file-bytes.ts'
import { newBuffer } from '../memory.ts'

/**
 * Hands the bytes of each range, in their order, to `use`, which must be done with them when it returns. Fresh memory for
 * each row group would cost as much time as decompressing it: page faults, and the collection of what is large.
 */
export async function withRanges<T>(
  file: FileBytes,
  ranges: readonly Range[],
  use: (bytes: readonly Uint8Array[]) => T,
): Promise<T> {
  const reads = mergeRanges(ranges)
  const memory = takeMemory(reads.reduce((sum, { start, end }) => sum + end - start, 0))
  const found: Uint8Array[] = []
  let used = 0
  for (const { start, end, parts } of reads) {
    const bytes = await file.read(start, end, memory?.subarray(used))
    used += end - start
    for (const part of parts) found[part.index] = bytes.subarray(part.start - start, part.end - start)
  }
  // not where a read has failed: it may still be written to
  try {
    return use(found)
  } finally {
    if (memory && kept.length < MOST_KEPT) kept.push(memory)
  }
}

interface Read extends Range {
  readonly parts: readonly (Range & { readonly index: number })[]
}

export function mergeRanges(ranges: readonly Range[]): readonly Read[] {
  const inOrder = ranges.map((range, index) => ({ ...range, index })).sort((a, b) => a.start - b.start)
  const reads: Read[] = []
  for (const part of inOrder) {
    const last = reads.at(-1)
    if (last && part.start - last.end <= MOST_GAP_BYTES)
      reads[reads.length - 1] = { ...last, end: Math.max(last.end, part.end), parts: [...last.parts, part] }
    else reads.push({ ...part, parts: [part] })
  }
  return reads
}

/** What may be read for nothing, to save a read. */
const MOST_GAP_BYTES = 1 << 16

/** Of this thread, between two row groups. */
const kept: Uint8Array<ArrayBuffer>[] = []
/** With one lane, one unit is read while another one is decoded. */
const MOST_KEPT = 2
/** A lane reads small row groups one by one; large ones are few. */
const MOST_KEPT_BYTES = 1 << 24

function takeMemory(bytes: number): Uint8Array<ArrayBuffer> | undefined {
  if (bytes > MOST_KEPT_BYTES) return undefined
  const fitting = kept.findIndex(({ length }) => length >= bytes)
  if (fitting >= 0) return kept.splice(fitting, 1)[0]
  // too short to be of use again
  kept.pop()
  // half as much again, since the next one may be a little larger
  return new Uint8Array(newBuffer(Math.min(MOST_KEPT_BYTES, Math.ceil(bytes * 1.5))))
}

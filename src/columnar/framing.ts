/** The framings that show their rows: what stands between the payloads, written and read back. */
import type { FilledBatch, PlainEncoding } from './read-plan.ts'

/** Single bytes before the first row, before every other row and behind each row, and what follows the last. */
export interface Framing {
  readonly first?: number
  readonly next?: number
  readonly after?: number
  readonly end: readonly number[]
}

export const FRAMINGS: Readonly<Record<PlainEncoding['kind'], Framing>> = {
  rows: { end: [] },
  ndjson: { after: 0x0a, end: [] },
  'json-array': { first: 0x5b, next: 0x2c, end: [0x5d] },
}

type FramedBytes = Pick<FilledBatch, 'bytes' | 'ends'>

/** A batch of these payloads; copies. */
export function framePayloads(payloads: readonly Uint8Array[], { kind }: PlainEncoding): FramedBytes {
  const { first, next, after, end } = FRAMINGS[kind]
  const extra = (first === undefined ? 0 : 1) + (after === undefined ? 0 : 1)
  const bytes = new Uint8Array(payloads.reduce((sum, { length }) => sum + length + extra, end.length))
  const ends = new Uint32Array(payloads.length)
  let at = 0
  payloads.forEach((payload, row) => {
    const before = row === 0 ? first : next
    if (before !== undefined) bytes[at++] = before
    bytes.set(payload, at)
    at += payload.length
    if (after !== undefined) bytes[at++] = after
    ends[row] = at
  })
  bytes.set(end, at)
  return { bytes, ends }
}

/** The payload of a row; a view, not a copy. */
export function payloadAt({ bytes, ends }: FramedBytes, row: number, { kind }: PlainEncoding): Uint8Array<ArrayBuffer> {
  const { first, after } = FRAMINGS[kind]
  const start = row === 0 ? 0 : ends[row - 1]!
  return bytes.subarray(start + (first === undefined ? 0 : 1), ends[row]! - (after === undefined ? 0 : 1))
}

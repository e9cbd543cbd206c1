/**
 * HalfSipHash-1-3: a keyed 32-bit hash of bytes.
 *
 * Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), with words of 32 bits, one round a word
 * and three to finish, which is what Linux hashes its tables with on 32-bit machines. Keyed, because the values come from
 * requests: for MurmurHash and its like anybody can write down millions of values of one hash, whatever the seed, and a
 * table of those is searched for hours.
 */

export interface HashKey {
  readonly low: number
  readonly high: number
}

/** Of bytes [start, start + length) of `view`, as an unsigned integer. */
export function halfSipHash(view: DataView, start: number, length: number, { low, high }: HashKey): number {
  let v0 = low
  let v1 = high
  let v2 = low ^ 0x6c796765
  let v3 = high ^ 0x74656462
  const words = start + (length & ~3)
  // one step more than there are words: what is left over, below the length
  for (let at = start; at <= words; at += 4) {
    const word = at < words ? view.getInt32(at, true) : tailWord(view, at, length & 3) | (length << 24)
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  v2 ^= 0xff
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  return (v1 ^ v3) >>> 0
}

/** Up to three bytes as the low ones of a word. */
export function tailWord(view: DataView, at: number, bytes: number): number {
  if (bytes === 0) return 0
  if (bytes === 1) return view.getUint8(at)
  const two = view.getUint16(at, true)
  return bytes === 2 ? two : two | (view.getUint8(at + 2) << 16)
}

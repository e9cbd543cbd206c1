/**
 * xxHash32: 32 bits of hash from bytes. Source: Y. Collet, "xxHash fast digest algorithm", section "XXH32 algorithm description".
 *
 * In JavaScript and not the `xxhash-wasm` that sums checksums, since that copies what it hashes into a memory of its own. A hash that
 * nobody can make collisions for (HalfSipHash-1-3) takes three times as long; the set guards itself in another way.
 */
const PRIME_1 = 0x9e3779b1 | 0
const PRIME_2 = 0x85ebca77 | 0
const PRIME_3 = 0xc2b2ae3d | 0
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1

/** Of bytes [start, start + length) of `view`, as an unsigned integer. */
export function xxHash32(view: DataView, start: number, length: number, seed: number): number {
  const end = start + length
  let at = start
  let hash = (seed + PRIME_5) | 0
  if (length >= 16) {
    // four sums that do not wait for each other
    let a = (seed + PRIME_1 + PRIME_2) | 0
    let b = (seed + PRIME_2) | 0
    let c = seed | 0
    let d = (seed - PRIME_1) | 0
    for (; at + 16 <= end; at += 16) {
      a = (a + Math.imul(view.getInt32(at, true), PRIME_2)) | 0
      a = Math.imul((a << 13) | (a >>> 19), PRIME_1)
      b = (b + Math.imul(view.getInt32(at + 4, true), PRIME_2)) | 0
      b = Math.imul((b << 13) | (b >>> 19), PRIME_1)
      c = (c + Math.imul(view.getInt32(at + 8, true), PRIME_2)) | 0
      c = Math.imul((c << 13) | (c >>> 19), PRIME_1)
      d = (d + Math.imul(view.getInt32(at + 12, true), PRIME_2)) | 0
      d = Math.imul((d << 13) | (d >>> 19), PRIME_1)
    }
    hash = ((a << 1) | (a >>> 31)) + ((b << 7) | (b >>> 25)) + ((c << 12) | (c >>> 20)) + ((d << 18) | (d >>> 14))
  }
  hash = (hash + length) | 0
  for (; at + 4 <= end; at += 4) {
    hash = (hash + Math.imul(view.getInt32(at, true), PRIME_3)) | 0
    hash = Math.imul((hash << 17) | (hash >>> 15), PRIME_4)
  }
  for (; at < end; at++) {
    hash = (hash + Math.imul(view.getUint8(at), PRIME_5)) | 0
    hash = Math.imul((hash << 11) | (hash >>> 21), PRIME_1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return (hash ^ (hash >>> 16)) >>> 0
}

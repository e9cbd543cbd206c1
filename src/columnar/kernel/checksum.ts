// Sums over rows: XXH64 of a row's bytes, and the hash of the rows' numbers. Both are the ones of `checksum.ts` and
// `batcher.ts` outside of the kernel; here a row is hashed while it is still in the processor's cache.

// Source: "xxHash fast digest algorithm", XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
// Four sums of 8 bytes each run side by side over blocks of 32 bytes; the rest is mixed in by 8, 4 and 1 bytes.
const PRIME_1: u64 = 0x9e3779b185ebca87
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f
const PRIME_3: u64 = 0x165667b19e3779f9
const PRIME_4: u64 = 0x85ebca77c2b2ae63
const PRIME_5: u64 = 0x27d4eb2f165667c5

export function xxh64(start: usize, end: usize, seed: u64): u64 {
  let at = start
  let hash = seed + PRIME_5
  if (end - start >= 32) {
    let a = seed + PRIME_1 + PRIME_2
    let b = seed + PRIME_2
    let c = seed
    let d = seed - PRIME_1
    do {
      a = round(a, load<u64>(at))
      b = round(b, load<u64>(at, 8))
      c = round(c, load<u64>(at, 16))
      d = round(d, load<u64>(at, 24))
      at += 32
    } while (at + 32 <= end)
    hash = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18)
    hash = merge(merge(merge(merge(hash, a), b), c), d)
  }
  hash += <u64>(end - start)
  for (; at + 8 <= end; at += 8) hash = rotl(hash ^ round(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4
  if (at + 4 <= end) {
    hash = rotl(hash ^ (<u64>load<u32>(at) * PRIME_1), 23) * PRIME_2 + PRIME_3
    at += 4
  }
  for (; at < end; at++) hash = rotl(hash ^ (<u64>load<u8>(at) * PRIME_5), 11) * PRIME_1
  hash = (hash ^ (hash >> 33)) * PRIME_2
  hash = (hash ^ (hash >> 29)) * PRIME_3
  return hash ^ (hash >> 32)
}

@inline
function round(sum: u64, input: u64): u64 {
  return rotl(sum + input * PRIME_2, 31) * PRIME_1
}

@inline
function merge(hash: u64, sum: u64): u64 {
  return (hash ^ round(0, sum)) * PRIME_1 + PRIME_4
}

/**
 * Goes on with a 32-bit FNV-1a over 32-bit numbers, each as four bytes, least significant first.
 * Source: G. Fowler, L. C. Noll, K.-P. Vo, "The FNV Non-Cryptographic Hash Algorithm", draft-eastlake-fnv.
 */
export function hashNumbers(hash: u32, start: usize, count: u32): u32 {
  const end = start + (count << 2)
  for (let at = start; at < end; at++) hash = (hash ^ load<u8>(at)) * 0x01000193
  return hash
}

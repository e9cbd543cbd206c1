// The 32-bit MurmurHash2 that Kafka's Java client places keys with (`../murmur2.ts` tells more).
const SEED: u32 = 0x9747b28c
const FACTOR: u32 = 0x5bd1e995

export function murmur2(start: usize, length: u32): u32 {
  const end = start + length
  let hash = SEED ^ length
  let at = start
  for (; at + 4 <= end; at += 4) {
    const word = load<u32>(at) * FACTOR
    hash = (hash * FACTOR) ^ ((word ^ (word >> 24)) * FACTOR)
  }
  if (at < end) {
    for (let shift: u32 = 0; at < end; at++, shift += 8) hash ^= <u32>load<u8>(at) << shift
    hash *= FACTOR
  }
  hash = (hash ^ (hash >> 13)) * FACTOR
  return hash ^ (hash >> 15)
}

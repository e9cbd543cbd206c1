/**
 * The 32-bit MurmurHash2 that Kafka's Java client places keys with: `org.apache.kafka.common.utils.Utils.murmur2` for the
 * constants, Austin Appleby's MurmurHash2 for the algorithm. Other clients differ (librdkafka uses CRC-32 unless told
 * otherwise), and a key must land where the topic's other producers put it. Not the one of `@platformatic/kafka`: that
 * computes the same with BigInt and takes 20 times as long, on the host's event loop.
 */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  let hash = 0x9747b28c ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    const mixed = Math.imul(word, 0x5bd1e995)
    hash = Math.imul(hash, 0x5bd1e995) ^ Math.imul(mixed ^ (mixed >>> 24), 0x5bd1e995)
  }
  if (at < length) {
    for (let tail = length - 1; tail >= at; tail--) hash ^= bytes[tail]! << ((tail - at) * 8)
    hash = Math.imul(hash, 0x5bd1e995)
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x5bd1e995)
  return hash ^ (hash >>> 15)
}

/** Where Java's `BuiltInPartitioner` puts a key. A negative hash loses its sign bit; `Math.abs` would give another partition. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

// Varints of Kafka's records: seven bits a byte, least significant first, signed numbers zigzag.
// Source: Protocol Buffers, "Encoding", which KIP-98 refers to.

@inline
export function zigzag(value: i64): u64 {
  return (value << 1) ^ (value >> 63)
}

/** At most 10 bytes. */
@inline
export function writeVarint(value: u64, dst: usize): usize {
  while (value >= 0x80) {
    store<u8>(dst++, <u8>value | 0x80)
    value >>= 7
  }
  store<u8>(dst, <u8>value)
  return dst + 1
}

export function varintWidth(value: u64): u32 {
  return (70 - <u32>clz(value | 1)) / 7
}

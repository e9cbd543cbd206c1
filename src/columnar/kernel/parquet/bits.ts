/** Bits as Arrow and Parquet both have them: bit i is bit i % 8, from the lowest, of byte i / 8. */

/** Sets `count` bits from `first` on. */
export function setBits(bits: usize, first: u32, count: u32): void {
  let bit = first
  const end = first + count
  for (; bit < end && (bit & 7) != 0; bit++) setBit(bits, bit)
  const bytes = <usize>(end - bit) >> 3
  memory.fill(bits + (bit >> 3), 0xff, bytes)
  for (bit += <u32>bytes << 3; bit < end; bit++) setBit(bits, bit)
}

// @ts-ignore: decorator
@inline
function setBit(bits: usize, bit: u32): void {
  const at = bits + (bit >> 3)
  store<u8>(at, load<u8>(at) | ((<u8>1) << <u8>(bit & 7)))
}

/** Copies `count` bits that begin with a byte at `from` to `first` of `bits`, which are 0 from there on. How many are set. */
export function copyBits(bits: usize, first: u32, from: usize, count: u32): u32 {
  let to = bits + (first >> 3)
  const shift = first & 7
  let set: u32 = 0
  for (let left = count; left > 0; ) {
    const taken = min<u32>(left, 8)
    const byte = <u32>load<u8>(from++) & (0xff >> (8 - taken))
    set += popcnt(byte)
    // what does not fit into the byte goes to the next one, which is there: the bitmap has slack behind it
    store<u16>(to, load<u16>(to) | <u16>(byte << shift))
    to++
    left -= taken
  }
  return set
}

/** A byte (0 or 1) for each of `count` bits. */
export function parquetUnpackBits(from: usize, count: u32, to: usize): void {
  for (let i: u32 = 0; i < count; i++) store<u8>(to + i, (load<u8>(from + (i >> 3)) >> <u8>(i & 7)) & 1)
}

/** A bit for each of `count` bytes that are 0 or 1. Writes whole bytes. */
export function parquetPackBits(from: usize, count: u32, to: usize): void {
  for (let i: u32 = 0; i < count; i += 8, to++) {
    let byte: u32 = 0
    for (let bit: u32 = 0; bit < 8 && i + bit < count; bit++) byte |= <u32>load<u8>(from + i + bit) << bit
    store<u8>(to, <u8>byte)
  }
}

/** Variable-length integers (ULEB-128), as run lengths, deltas and Snappy have them: seven bits a byte, the lowest first. */

/** What lies behind the varint that was read last; 0 where there was none. WebAssembly in AssemblyScript has no second result. */
export let afterVarint: usize = 0

/** Of at most 64 bits. Sets `afterVarint` to 0 where it is longer or goes on behind `end`. */
export function readVarint(at: usize, end: usize): u64 {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) break
    const byte = load<u8>(at++)
    value |= (<u64>byte & 0x7f) << shift
    if (byte < 0x80) {
      afterVarint = at
      return value
    }
  }
  afterVarint = 0
  return 0
}

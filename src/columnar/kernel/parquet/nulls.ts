/**
 * Rows with NULLs. A page holds only the values that are there, one behind the other; the bitmap that came of its definition
 * levels says for which rows. They are moved apart in place, from the last one on, so that none is overwritten unread.
 */

/**
 * `values` elements of `bytes` bytes at `elements` become those of `rows` rows, whose bits begin with `first`. What is NULL
 * becomes zeros.
 */
export function parquetSpread(elements: usize, bytes: u32, values: u32, rows: u32, bitmap: usize, first: u32): void {
  if (bytes == 16) spreadAs<v128>(elements, values, rows, bitmap, first)
  else if (bytes == 8) spreadAs<u64>(elements, values, rows, bitmap, first)
  else if (bytes == 4) spreadAs<u32>(elements, values, rows, bitmap, first)
  else if (bytes == 2) spreadAs<u16>(elements, values, rows, bitmap, first)
  else if (bytes == 1) spreadAs<u8>(elements, values, rows, bitmap, first)
  else {
    let from = elements + <usize>values * bytes
    let to = elements + <usize>rows * bytes
    for (let bit = first + rows; to > from; ) {
      to -= bytes
      bit--
      if (isSet(bitmap, bit)) {
        from -= bytes
        memory.copy(to, from, bytes)
      } else memory.fill(to, 0, bytes)
    }
  }
}

// @ts-ignore: decorator
@inline
function spreadAs<T>(elements: usize, values: u32, rows: u32, bitmap: usize, first: u32): void {
  let from = elements + <usize>values * sizeof<T>()
  let to = elements + <usize>rows * sizeof<T>()
  // where they meet, no NULL is left
  for (let bit = first + rows; to > from; ) {
    to -= sizeof<T>()
    bit--
    if (isSet(bitmap, bit)) {
      from -= sizeof<T>()
      store<T>(to, load<T>(from))
    } else memory.fill(to, 0, sizeof<T>())
  }
}

// @ts-ignore: decorator
@inline
function isSet(bitmap: usize, bit: u32): bool {
  return ((load<u8>(bitmap + (bit >> 3)) >> <u8>(bit & 7)) & 1) != 0
}

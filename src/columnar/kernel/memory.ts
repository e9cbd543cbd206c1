// The kernel's memory. Everything that values are read from or written to is allocated here.

/**
 * What may be read or written beyond the end of anything allocated: values are read and written in blocks of 16 bytes, and
 * looking at the last bytes of a buffer that ends where the memory ends would be a trap.
 */
const BEYOND: usize = 64

export function allocate(bytes: usize): usize {
  return heap.alloc(bytes + BEYOND)
}

/** The first bytes stay as they are. `address` may be 0. */
export function reallocate(address: usize, bytes: usize): usize {
  return address == 0 ? allocate(bytes) : heap.realloc(address, bytes + BEYOND)
}

/** `address` may be 0. */
export function free(address: usize): void {
  if (address != 0) heap.free(address)
}

/**
 * Copies bytes that do not overlap, in blocks of 16, of which the last reaches beyond them. Most of what is copied here is a
 * few dozen bytes long, for which `memory.copy` costs more than the copying.
 */
@inline
export function copyBlocks(to: usize, from: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) v128.store(to + at, v128.load(from + at))
}

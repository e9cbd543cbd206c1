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

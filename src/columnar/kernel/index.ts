/** The kernel's exports. This folder is AssemblyScript, compiled by `npm run build:kernel`; `tsc` and Biome do not read it. */

export function allocate(bytes: usize): usize {
  return heap.alloc(bytes)
}

export function free(address: usize): void {
  heap.free(address)
}

export * from './parquet/index'

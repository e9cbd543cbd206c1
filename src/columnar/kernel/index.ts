// The kernel's exports. This folder is AssemblyScript, compiled by `npm run build:kernel`; `tsc` and Biome do not read it.
export { hashNumbers } from './checksum'
export { allocate, free } from './memory'
export { finishRecords } from './record'
export { encodeRows } from './rows'
export { dropRows, freeSlot } from './slot'
export * from './parquet/index'

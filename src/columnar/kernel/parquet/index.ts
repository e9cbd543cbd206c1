/** Decoding of Parquet pages. Addresses and sizes are in bytes; a boolean result says whether the input was whole. */
export { parquetPackBits, parquetUnpackBits } from './bits'
export { parquetDelta } from './delta'
export { parquetGather, parquetLevels } from './hybrid'
export { parquetLz4 } from './lz4'
export { parquetSpread } from './nulls'
export { parquetJoin, parquetNarrow, parquetReverse, parquetReversePlain, parquetWiden } from './numbers'
export { parquetSnappy } from './snappy'
export { parquetLengthViews, parquetViews } from './strings'

/**
 * What `kernel/parquet/` exports. Addresses and sizes are in bytes, and behind each region that is read or written there must
 * be `SLACK_BYTES` that may be overwritten. Boolean results are 0 or 1 and say whether the input was whole: none of these
 * calls traps on damaged input.
 */
export interface ParquetKernelExports {
  parquetLz4(from: number, fromEnd: number, to: number, toEnd: number): number
  parquetSnappy(from: number, fromEnd: number, to: number, toEnd: number): number
  /** The number of rows that are not NULL; -1 where damaged. */
  parquetLevels(from: number, fromEnd: number, rows: number, bitmap: number, firstBit: number): number
  parquetGather(
    from: number,
    fromEnd: number,
    indexBits: number,
    count: number,
    elements: number,
    elementCount: number,
    elementBytes: number,
    to: number,
  ): number
  parquetSpread(
    elements: number,
    elementBytes: number,
    values: number,
    rows: number,
    bitmap: number,
    firstBit: number,
  ): void
  parquetViews(from: number, fromEnd: number, count: number, to: number): number
  parquetLengthViews(from: number, fromEnd: number, count: number, to: number): number
  /** The end of what was read; 0 where damaged. */
  parquetDelta(from: number, fromEnd: number, count: number, valueBytes: number, to: number): number
  parquetNarrow(from: number, count: number, elementBytes: number, to: number): void
  parquetWiden(from: number, count: number, valueBytes: number, to: number): void
  parquetReverse(from: number, count: number, valueBytes: number, to: number): void
  parquetReversePlain(from: number, fromEnd: number, count: number, to: number): number
  parquetJoin(from: number, count: number, valueBytes: number, to: number): void
  parquetUnpackBits(from: number, count: number, to: number): void
  parquetPackBits(from: number, count: number, to: number): void
}

/** More than any of the calls above oversteps. */
export const SLACK_BYTES = 64

/**
 * The values of a page, without its levels, as elements of an Arrow array. Source: apache/parquet-format, Encodings.md.
 *
 * "Delta" and "byte stream split" values are brought to PLAIN first, so that what makes Arrow's elements of them is there
 * once, for dictionaries too. Only strings are too large for that: their views are made of either encoding.
 */
import type { ColumnPlan } from './column-plan.ts'
import type { FlatColumn } from './flat-columns.ts'
import type { PageMemory, Region } from './page-memory.ts'
import {
  BYTE_STREAM_SPLIT,
  Damaged,
  DELTA_BINARY_PACKED,
  DELTA_LENGTH_BYTE_ARRAY,
  PLAIN,
  PLAIN_DICTIONARY,
  RLE_DICTIONARY,
} from './pages.ts'

/** `count` values of the region, in an encoding that was planned for, to `to`. Throws `Damaged`. */
export function decodeValues(
  memory: PageMemory,
  { column, dictionary }: ColumnPlan,
  encoding: number,
  from: Region,
  count: number,
  to: number,
): void {
  if (count === 0) return
  const { exports } = memory.kernel
  switch (encoding) {
    case PLAIN_DICTIONARY:
    case RLE_DICTIONARY: {
      check(from.start < from.end)
      const bits = memory.view.getUint8(from.start)
      const [elements, size] = [memory.base + dictionary!.elements, dictionary!.page.values]
      check(exports.parquetGather(from.start + 1, from.end, bits, count, elements, size, column.elementBytes, to))
      return
    }
    case DELTA_LENGTH_BYTE_ARRAY: {
      const start = exports.parquetDelta(from.start, from.end, count, 4, to + count * 12)
      check(start && exports.parquetLengthViews(start, from.end, count, to))
      return
    }
    default:
      decodePlain(memory, column, plainValues(memory, column, encoding, from, count), count, to)
  }
}

function plainValues(memory: PageMemory, column: FlatColumn, encoding: number, from: Region, count: number): Region {
  if (encoding === PLAIN) return from
  const { exports } = memory.kernel
  const { plainBytes } = column
  const start = memory.base + memory.plan.plain
  const end = start + count * plainBytes
  switch (encoding) {
    case DELTA_BINARY_PACKED:
      check(exports.parquetDelta(from.start, from.end, count, plainBytes, start))
      return { start, end }
    case BYTE_STREAM_SPLIT:
      check(from.end - from.start === end - start)
      exports.parquetJoin(from.start, count, plainBytes, start)
      return { start, end }
    default:
      return booleanRuns(memory, from, count, start)
  }
}

/** Booleans as runs, with their length in front: like definition levels, they become bits. */
function booleanRuns({ kernel, view, bytes }: PageMemory, from: Region, count: number, start: number): Region {
  const runs = from.start + 4
  check(runs <= from.end)
  const runsEnd = runs + view.getUint32(from.start, true)
  const end = start + Math.ceil(count / 8)
  bytes.fill(0, start, end)
  check(runsEnd <= from.end && kernel.exports.parquetLevels(runs, runsEnd, count, start, 0) >= 0)
  return { start, end }
}

/** PLAIN values of a page or of a dictionary. Throws `Damaged`. */
export function decodePlain(
  { kernel: { exports }, bytes }: PageMemory,
  { form, plainBytes, elementBytes }: FlatColumn,
  { start, end }: Region,
  count: number,
  to: number,
): void {
  check(start + count * plainBytes <= end)
  switch (form) {
    case 'same':
      bytes.copyWithin(to, start, start + count * plainBytes)
      return
    case 'narrow':
      exports.parquetNarrow(start, count, elementBytes, to)
      return
    case 'widen':
      exports.parquetWiden(start, count, plainBytes, to)
      return
    case 'reverse':
      exports.parquetReverse(start, count, plainBytes, to)
      return
    case 'reverse-variable':
      check(exports.parquetReversePlain(start, end, count, to))
      return
    case 'bits':
      check(start + Math.ceil(count / 8) <= end)
      exports.parquetUnpackBits(start, count, to)
      return
    case 'view':
      check(exports.parquetViews(start, end, count, to))
  }
}

function check(isWhole: boolean | number): void {
  if (!isWhole) throw new Damaged('has a page whose values cannot be decoded')
}

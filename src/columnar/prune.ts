/** Which parts of a file hold no row that a predicate could select, by what the file says about the values in them. */
import type { ByteSet } from './byte-set.ts'
import type { ColumnType } from './column-type.ts'
import type { Predicate } from './predicate.ts'
import type { ColumnRange, Prune, ValueRange } from './spans.ts'
import { keyOf, wholeBytes } from './value-keys.ts'

/** `values`: those of the predicate's filter. */
export function pruneBy({ window, filter }: Predicate, values: ByteSet | undefined): Prune {
  const tests = [
    ...(window ? [{ column: window.column, excludes: windowExcludes(window) }] : []),
    ...(filter && values ? [{ column: filter.column, excludes: filterExcludes(filter.type, values) }] : []),
  ]
  return part =>
    tests.some(({ column, excludes }) => {
      const range = part.range?.(column)
      return range !== undefined && excludes(range)
    })
}

type Excludes = (range: ColumnRange) => boolean

function windowExcludes({ type, start, end }: NonNullable<Predicate['window']>): Excludes {
  return ({ type: found, values }) => {
    if (!isOrderedAs(type, found)) return false
    const [first, behind] = [keyOf(start, type, wholeBytes(found)), keyOf(end, type, wholeBytes(found))]
    if (!first || !behind) return false
    return values === 'none' || isBefore(values.max, first) || !isBefore(values.min, behind)
  }
}

/** Columns that a window may be of, and whose keys are its bounds' (`selection.ts` compares floats, too, but these have other keys). */
function isOrderedAs(type: ColumnType, found: ColumnType): boolean {
  if (type.kind === 'integer') return found.kind === 'integer' || (found.kind === 'decimal' && found.scale === 0)
  const isDay = ({ kind }: ColumnType): boolean => kind === 'date' || kind === 'timestamp'
  return isDay(type) && isDay(found)
}

function filterExcludes(type: ColumnType, values: ByteSet): Excludes {
  const has = withinTest(values)
  return ({ type: found, values: range }) =>
    isEqualAs(type, found) && wholeBytes(type) === wholeBytes(found) && (range === 'none' || !has(range))
}

/** Columns whose values may be looked for in a filter's of the type; as in `selection.ts`. */
function isEqualAs(type: ColumnType, found: ColumnType): boolean {
  switch (type.kind) {
    case 'integer':
      return found.kind === 'integer' || (found.kind === 'decimal' && found.scale === 0)
    case 'decimal':
      return found.kind === 'decimal' ? found.scale === type.scale : type.scale === 0 && found.kind === 'integer'
    case 'float':
      return found.kind === 'float' && found.bits === type.bits
    default:
      return type.kind === found.kind && type.kind !== 'other'
  }
}

/** Whether a value of the set may lie in a range. Of a set with many values only the least and the greatest are looked at. */
function withinTest(set: ByteSet): (range: ValueRange) => boolean {
  if (set.count > MOST_SORTED) {
    const { least, greatest } = set.bounds!
    return ({ min, max }) => !isBefore(max, least) && !isBefore(greatest, min)
  }
  const sorted = [...set.keys()].sort(Buffer.compare)
  return ({ min, max }) => {
    const first = sorted[firstFrom(sorted, min)]
    return first !== undefined && !isBefore(max, first)
  }
}

/** Values that are sorted in each thread; of more than that there is one in nearly every range anyway. */
const MOST_SORTED = 4096

function firstFrom(sorted: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(sorted[middle]!, key)) low = middle + 1
    else high = middle
  }
  return low
}

function isBefore(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) < 0
}

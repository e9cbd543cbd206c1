/** Which rows of a record batch a predicate selects. */
import { DataType, DateUnit, Precision, type RecordBatch, TimeUnit } from 'apache-arrow'
import { FormatError } from '../core/errors.ts'
import type { ByteSet } from './byte-set.ts'
import { ceilDivide, DAY_NANOS, readDateNanos, readTimestamp } from './calendar.ts'
import type { ColumnType } from './column-type.ts'
import { corrupt } from './file-errors.ts'
import type { Predicate } from './predicate.ts'
import { pruneBy } from './prune.ts'
import { renderColumn } from './render.ts'
import type { Prune } from './spans.ts'
import { keyOf } from './value-keys.ts'
import { loadSet, type NamedSet } from './value-sets.ts'

/** The selected rows of a batch, ascending; undefined where that is all of them. `name`: of the staged file, for errors. */
export type Select = (batch: RecordBatch, name: string) => Uint32Array | undefined

export interface CompiledPredicate {
  readonly select: Select
  readonly prune?: Prune
}

/**
 * A batch's column may have another type than the predicate names for it, as far as the values mean the same: files say
 * how they hold a value, the predicate says what the value is. Throws `file_corrupt` where a file lacks the column,
 * `unsupported_type` where its type cannot be compared with the predicate's.
 */
export async function compilePredicate(
  predicate: Predicate,
  valueSet: (set: NamedSet) => Promise<ByteSet>,
): Promise<CompiledPredicate> {
  const { window, filter } = predicate
  const values = filter && (await valuesOf(filter, valueSet))
  const selectRows: Select = (batch, name) => {
    const tests = [
      ...(window ? [windowTest(window, columnOf(batch, name, window.column), name)] : []),
      ...(filter && values ? [valuesTest(filter, values, columnOf(batch, name, filter.column), name)] : []),
    ]
    return select(batch.numRows, tests)
  }
  return { select: selectRows, prune: pruneBy(predicate, values) }
}

function valuesOf(
  { type, values }: NonNullable<Predicate['filter']>,
  valueSet: (set: NamedSet) => Promise<ByteSet>,
): Promise<ByteSet> {
  if ('ref' in values) return valueSet({ ...values, type })
  return loadSet({ ...values, type }, [values.inline])
}

type RowTest = (row: number) => boolean

function select(rows: number, tests: readonly RowTest[]): Uint32Array | undefined {
  const selected = new Uint32Array(rows)
  let count = 0
  for (let row = 0; row < rows; row++) if (tests.every(test => test(row))) selected[count++] = row
  return count === rows ? undefined : selected.subarray(0, count)
}

/** A top-level column of a batch. Throws `file_corrupt` where there is none of that name. */
export function columnOf(batch: RecordBatch, name: string, column: string) {
  const index = batch.schema.fields.findIndex(field => field.name === column)
  if (index === -1) throw corrupt(name, `has no column ${JSON.stringify(column)}`)
  return { field: batch.schema.fields[index]!, data: batch.data.children[index]! }
}

type BoundColumn = ReturnType<typeof columnOf>

/** Compares the raw numbers of the column, in its own unit, with the bounds in that unit. */
function windowTest(window: NonNullable<Predicate['window']>, column: BoundColumn, name: string): RowTest {
  const { data } = column
  const bound = boundReader(window.type, data.type)
  if (!bound) throw incomparable(window.column, window.type, data.type, name)
  const [start, end] = [bound(window.start), bound(window.end)]
  const numberOf = rawNumbers(column)
  return row => {
    if (!data.getValid(row)) return false
    const value = numberOf(row)
    return value >= start && value < end
  }
}

/** From a bound's canonical text to the column's unit; a finer bound is rounded up, which leaves a half-open window unchanged. */
function boundReader(type: ColumnType, found: DataType): ((text: string) => bigint) | undefined {
  if (type.kind === 'integer') return isIntegral(found) || DataType.isFloat(found) ? BigInt : undefined
  const unit = unitNanos(found)
  if (unit === undefined) return undefined
  const nanosOf = type.kind === 'date' ? readDateNanos : type.kind === 'timestamp' ? readTimestamp : undefined
  return nanosOf && (text => ceilDivide(nanosOf(text)!, unit))
}

function unitNanos(type: DataType): bigint | undefined {
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? DAY_NANOS : 1_000_000n
  if (!DataType.isTimestamp(type)) return undefined
  return {
    [TimeUnit.SECOND]: 10n ** 9n,
    [TimeUnit.MILLISECOND]: 10n ** 6n,
    [TimeUnit.MICROSECOND]: 1000n,
    [TimeUnit.NANOSECOND]: 1n,
  }[type.unit]
}

function rawNumbers({ field, data }: BoundColumn): (row: number) => number | bigint {
  if (!DataType.isDecimal(data.type)) return row => data.values[row]
  const { text } = renderColumn(field, data)
  return row => BigInt(text(row)!)
}

function valuesTest(
  filter: NonNullable<Predicate['filter']>,
  values: ByteSet,
  { field, data }: BoundColumn,
  name: string,
): RowTest {
  if (!isComparable(filter.type, data.type)) throw incomparable(filter.column, filter.type, data.type, name)
  const { text } = renderColumn(field, data)
  return row => {
    const value = text(row)
    const key = value === null ? undefined : keyOf(value, filter.type)
    return key !== undefined && values.has(new DataView(key.buffer, key.byteOffset), 0, key.length)
  }
}

/** Whether equal values have equal canonical text. Elsewhere nothing would ever match, and the rows be lost in silence. */
function isComparable(type: ColumnType, found: DataType): boolean {
  if (DataType.isDictionary(found)) return isComparable(type, found.dictionary)
  switch (type.kind) {
    case 'boolean':
      return DataType.isBool(found)
    case 'integer':
      return isIntegral(found)
    case 'decimal':
      return DataType.isDecimal(found) ? found.scale === type.scale : type.scale === 0 && DataType.isInt(found)
    case 'float':
      return DataType.isFloat(found) && found.precision === (type.bits === 32 ? Precision.SINGLE : Precision.DOUBLE)
    case 'string':
      return DataType.isUtf8(found) || DataType.isLargeUtf8(found) || DataType.isUtf8View(found)
    case 'binary':
      return [DataType.isBinary, DataType.isLargeBinary, DataType.isBinaryView, DataType.isFixedSizeBinary].some(is =>
        is(found),
      )
    case 'date':
      return DataType.isDate(found)
    case 'time':
      return DataType.isTime(found)
    case 'timestamp':
      return DataType.isTimestamp(found)
    case 'other':
      return false
  }
}

function isIntegral(type: DataType): boolean {
  return DataType.isInt(type) || (DataType.isDecimal(type) && type.scale === 0)
}

function incomparable(column: string, type: ColumnType, found: DataType, name: string): FormatError {
  const where = `column ${JSON.stringify(column)} of the staged file ${JSON.stringify(name)}`
  return new FormatError(
    'unsupported_type',
    `${where} is ${found}, which cannot be compared as ${type.kind}: convert it where it is staged`,
  )
}

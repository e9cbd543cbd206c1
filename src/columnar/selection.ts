/** Which rows of a record batch a predicate selects. */
import { type Data, DataType, type Field, Precision, type RecordBatch } from 'apache-arrow'
import { FormatError } from '../core/errors.ts'
import type { ByteSet } from './byte-set.ts'
import type { ColumnType } from './column-type.ts'
import { corrupt } from './file-errors.ts'
import { rowsInSet } from './membership.ts'
import type { Predicate } from './predicate.ts'
import { pruneBy } from './prune.ts'
import { checkBuffers, nullTest } from './render/buffers.ts'
import type { Prune } from './spans.ts'
import { loadSet, type NamedSet } from './value-sets.ts'
import { isIntegral, windowTest } from './window.ts'

/** The selected rows of a batch, ascending; undefined where that is all of them. `name`: of the staged file, for errors. */
export type Select = (batch: RecordBatch, name: string) => Uint32Array | undefined

export interface CompiledPredicate {
  readonly select: Select
  readonly prune: Prune
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
  return {
    prune: pruneBy(predicate, values),
    select(batch, name) {
      const inWindow = window && selectWindow(window, columnOf(batch, name, window.column), name)
      return filter && values
        ? selectValues(filter, values, columnOf(batch, name, filter.column), inWindow, name)
        : inWindow
    },
  }
}

function valuesOf(
  { type, values }: NonNullable<Predicate['filter']>,
  valueSet: (set: NamedSet) => Promise<ByteSet>,
): Promise<ByteSet> {
  if ('ref' in values) return valueSet({ ...values, type })
  return loadSet({ ...values, type }, [values.inline])
}

/** A top-level column of a batch. Throws `file_corrupt` where there is none of that name. */
export function columnOf(
  batch: RecordBatch,
  name: string,
  column: string,
): { readonly field: Field; readonly data: Data } {
  const index = batch.schema.fields.findIndex(field => field.name === column)
  if (index === -1) throw corrupt(name, `has no column ${JSON.stringify(column)}`)
  return { field: batch.schema.fields[index]!, data: batch.data.children[index]! }
}

type BoundColumn = ReturnType<typeof columnOf>

function selectWindow(
  window: NonNullable<Predicate['window']>,
  { field, data }: BoundColumn,
  name: string,
): Uint32Array | undefined {
  const test = windowTest(window, data)
  if (!test) throw incomparable(window.column, window.type, data.type, name)
  checkBuffers(field.name, data)
  const isNull = nullTest(data)
  const rows = data.length
  const selected = new Uint32Array(rows)
  let count = 0
  for (let row = 0; row < rows; row++) if (!isNull?.(row) && test(row)) selected[count++] = row
  return count === rows ? undefined : selected.subarray(0, count)
}

/** Of `rows`; undefined: of all. */
function selectValues(
  filter: NonNullable<Predicate['filter']>,
  values: ByteSet,
  { field, data }: BoundColumn,
  rows: Uint32Array | undefined,
  name: string,
): Uint32Array | undefined {
  if (!isComparable(filter.type, data.type)) throw incomparable(filter.column, filter.type, data.type, name)
  const selected = rowsInSet(
    values,
    filter.type,
    field,
    data,
    rows ?? Uint32Array.from({ length: data.length }, (_, row) => row),
  )
  return selected.length === data.length ? undefined : selected
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

function incomparable(column: string, type: ColumnType, found: DataType, name: string): FormatError {
  const where = `column ${JSON.stringify(column)} of the staged file ${JSON.stringify(name)}`
  return new FormatError(
    'unsupported_type',
    `${where} is ${found}, which cannot be compared as ${type.kind}: convert it where it is staged`,
  )
}

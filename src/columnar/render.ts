/**
 * Values of Arrow columns as JSON text, in plain JavaScript: what a delivered row looks like is defined here.
 *
 * A column's type is looked at once per batch and becomes closures over its raw buffers; apache-arrow's own getters are
 * not used, because they lose digits (a 64-bit timestamp becomes milliseconds, a decimal words without a scale).
 *
 * Two decoders feed it: `arrow-js-ffi`, whose buffers are views of WebAssembly memory and go stale when that memory grows,
 * and apache-arrow's IPC readers. A renderer must not outlive the batch it was made for.
 */
import { type Data, DataType, type Field, type RecordBatch } from 'apache-arrow'
import { FormatError } from '../core/errors.ts'
import { checkBuffers, nullTest } from './render/buffers.ts'
import {
  dictionaryColumn,
  fixedListText,
  listText,
  objectText,
  pairMapText,
  stringMapText,
  unionColumn,
} from './render/nested.ts'
import { boolText, decimalText, floatText, intText } from './render/numbers.ts'
import { binaryText, binaryViewText, fixedBinaryText, utf8Column, utf8ViewColumn } from './render/text.ts'
import { dateText, durationText, intervalText, timestampText, timeText } from './render/times.ts'

/** One value of a column as text. Rows count from the beginning of the batch. */
export interface ColumnRenderer {
  /** The value as JSON text; `null` where NULL. */
  json(row: number): string
  /**
   * The value's JSON form without quotes (canonical text, comparable with `literal.ts`), or null where NULL, and where the
   * JSON form is `null` (NaN, infinities). Nested types: their JSON text.
   */
  text(row: number): string | null
}

/** A row as a JSON object, keys in column order, no newline. */
export function renderRows(batch: RecordBatch): (row: number) => string {
  const { fields } = batch.schema
  return objectText(
    fields,
    fields.map((field, i) => renderColumn(field, batch.data.children[i]!)),
  )
}

/** Throws FormatError `unsupported_type` for a type without a JSON form, `file_corrupt` for buffers that contradict each other. */
export function renderColumn(field: Field, data: Data): ColumnRenderer {
  return renderData(field.name, data)
}

/** `column`: the top-level column, for errors. The type is the data's own: decoders change it (large lists become lists). */
function renderData(column: string, data: Data): ColumnRenderer {
  checkBuffers(column, data)
  const values = renderValues(column, data)
  const isNull = nullTest(data)
  if (!isNull) return values
  return {
    json: row => (isNull(row) ? 'null' : values.json(row)),
    text: row => (isNull(row) ? null : values.text(row)),
  }
}

/** The rows that are not NULL: the others are not asked for. */
function renderValues(column: string, data: Data): ColumnRenderer {
  const { type, children } = data
  const inner = (child: Data): ColumnRenderer => renderData(column, child)
  if (DataType.isNull(type)) return bare(() => null)
  if (DataType.isBool(type)) return bare(boolText(data))
  if (DataType.isInt(type)) return bare(intText(data, type))
  if (DataType.isFloat(type)) return bare(floatText(data, type))
  if (DataType.isDecimal(type)) return bare(decimalText(data, type))
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return utf8Column(data)
  if (DataType.isUtf8View(type)) return utf8ViewColumn(data)
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return quoted(binaryText(data))
  if (DataType.isBinaryView(type)) return quoted(binaryViewText(data))
  if (DataType.isFixedSizeBinary(type)) return quoted(fixedBinaryText(data))
  if (DataType.isDate(type)) return quoted(dateText(data, type))
  if (DataType.isTime(type)) return quoted(timeText(data, type))
  if (DataType.isTimestamp(type)) return quoted(timestampText(data, type))
  if (DataType.isDuration(type)) return quoted(durationText(data, type))
  if (DataType.isInterval(type)) return quoted(intervalText(data, type))
  if (DataType.isList(type) || DataType.isLargeList(type)) return bare(listText(data, inner(children[0]!)))
  if (DataType.isFixedSizeList(type)) return bare(fixedListText(data, inner(children[0]!)))
  if (DataType.isStruct(type)) return bare(objectText(type.children, children.map(inner)))
  if (DataType.isMap(type)) return bare(mapText(column, data))
  if (DataType.isUnion(type)) return unionColumn(data, type, children.map(inner))
  if (DataType.isDictionary(type)) return dictionaryColumn(data, data.dictionary?.data.map(inner) ?? [])
  throw new FormatError(
    'unsupported_type',
    `column ${JSON.stringify(column)} has the type ${type}, which has no JSON form: convert it where it is staged`,
  )
}

function mapText(column: string, data: Data): (row: number) => string {
  const entries = data.children[0]!
  checkBuffers(column, entries)
  const [keys, values] = entries.children as [Data, Data]
  const [keyColumn, valueColumn] = [renderData(column, keys), renderData(column, values)]
  return isString(keys.type)
    ? stringMapText(column, data, keyColumn, valueColumn)
    : pairMapText(data, keyColumn, valueColumn)
}

function isString(type: DataType): boolean {
  if (DataType.isDictionary(type)) return isString(type.dictionary)
  return DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)
}

/** Types whose JSON is their text: numbers, booleans, nested types. */
function bare(text: (row: number) => string | null): ColumnRenderer {
  return { text, json: row => text(row) ?? 'null' }
}

/** Types whose text stands between quotes and needs no escaping. */
function quoted(text: (row: number) => string): ColumnRenderer {
  return { text, json: row => `"${text(row)}"` }
}

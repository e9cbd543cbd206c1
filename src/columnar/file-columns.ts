/**
 * The columns of a file by name and type, whichever format says so. Two files agree about a column exactly when its `native`
 * texts are equal, so that text says nothing that values do not depend on: how strings lie, or whether there is a dictionary.
 */
import { DataType, type Field, MessageReader, Precision, type Schema, TimeUnit } from 'apache-arrow'
import type { Column, ColumnType } from './column-type.ts'
import { leafType } from './parquet/leaf-types.ts'
import type { ParquetFooter, SchemaElement } from './parquet-footer.ts'

/** Of a column without a value: it agrees with every type. */
export const NO_TYPE = 'null'

/** By the Arrow schema that writers of the Arrow project store beside Parquet's own, where there is one: decoders go by it. */
export function parquetColumns(footer: ParquetFooter): readonly Column[] {
  const elements = topLevel(footer.schema)
  const stored = storedSchema(footer)
  if (stored?.length === elements.length) return stored
  return elements.map(({ name, repetition_type, ...node }) => ({
    name,
    ...parquetType(node),
    nullable: repetition_type !== 'REQUIRED',
  }))
}

export function arrowColumns({ fields }: Schema): readonly Column[] {
  return fields.map(({ name, type, nullable }) => ({ name, ...arrowType(type), nullable }))
}

type Typed = Pick<Column, 'type' | 'native'>

function arrowType(type: DataType): Typed {
  if (DataType.isDictionary(type)) return arrowType(type.dictionary)
  const comparable = comparableType(type)
  if (comparable) return { type: comparable, native: textOf(comparable) }
  return { type: { kind: 'other' }, native: nestedText(type) }
}

function comparableType(type: DataType): ColumnType | undefined {
  if (DataType.isBool(type)) return { kind: 'boolean' }
  if (DataType.isInt(type)) return { kind: 'integer', bits: type.bitWidth, signed: type.isSigned }
  if (DataType.isDecimal(type) && type.scale >= 0)
    return { kind: 'decimal', precision: type.precision, scale: type.scale }
  if (DataType.isFloat(type) && type.precision !== Precision.HALF)
    return { kind: 'float', bits: type.precision === Precision.SINGLE ? 32 : 64 }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return { kind: 'string' }
  const isBinary = DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type)
  if (isBinary || DataType.isFixedSizeBinary(type)) return { kind: 'binary' }
  if (DataType.isDate(type)) return { kind: 'date' }
  if (DataType.isTime(type)) return { kind: 'time', unit: UNITS[type.unit] }
  if (DataType.isTimestamp(type)) return { kind: 'timestamp', unit: UNITS[type.unit], zone: Boolean(type.timezone) }
  return undefined
}

const UNITS = {
  [TimeUnit.SECOND]: 's',
  [TimeUnit.MILLISECOND]: 'ms',
  [TimeUnit.MICROSECOND]: 'us',
  [TimeUnit.NANOSECOND]: 'ns',
} as const

/** `int64`, `decimal(38,0)`, `timestamp(us, UTC)` */
export function textOf(type: ColumnType): string {
  switch (type.kind) {
    case 'integer':
      return `${type.signed ? 'int' : 'uint'}${type.bits}`
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'float':
      return `float${type.bits}`
    case 'time':
      return `time(${type.unit})`
    case 'timestamp':
      return `timestamp(${type.unit}${type.zone ? ', UTC' : ''})`
    default:
      return type.kind
  }
}

function nestedText(type: DataType): string {
  const text = (field: Field): string => arrowType(field.type).native
  if (DataType.isNull(type)) return NO_TYPE
  if (DataType.isStruct(type)) return structText(type.children.map(child => [child.name, text(child)]))
  const children: readonly Field[] = type.children ?? []
  const [child] = children
  if (child && (DataType.isList(type) || DataType.isFixedSizeList(type) || DataType.isLargeList(type)))
    return `list<${text(child)}>`
  if (DataType.isMap(type) && child) return mapText((child.type.children as readonly Field[]).map(each => text(each)))
  return String(type).toLowerCase()
}

function structText(members: readonly (readonly [string, string])[]): string {
  return `struct<${members.map(([name, text]) => `${name}: ${text}`).join(', ')}>`
}

function mapText(types: readonly string[]): string {
  return `map<${types.join(', ')}>`
}

function storedSchema({ arrow_schema }: ParquetFooter): readonly Column[] | undefined {
  if (arrow_schema === undefined) return undefined
  try {
    return arrowColumns(new MessageReader(Buffer.from(arrow_schema, 'base64')).readSchema()!)
  } catch {
    // one that apache-arrow cannot read is no reason to refuse the file
    return undefined
  }
}

interface Node extends SchemaElement {
  readonly children: readonly Node[]
}

/** The elements of a footer are a tree, written down depth first. */
function topLevel(schema: readonly SchemaElement[]): readonly Node[] {
  let next = 0
  const take = (): Node => {
    const element = schema[next++]!
    return { ...element, children: Array.from({ length: Math.min(element.num_children, schema.length - next) }, take) }
  }
  return schema.length === 0 ? [] : take().children
}

/** Source: apache/parquet-format, LogicalTypes.md, "Nested Types", with its rules for older writers of lists. */
function parquetType(node: Omit<Node, 'name' | 'repetition_type'>): Typed {
  const { children, logical_type: logical, converted_type: converted } = node
  if (logical?.kind === 'UNKNOWN') return { type: { kind: 'other' }, native: NO_TYPE }
  if (node.type === 'INT96') return arrowTyped({ kind: 'timestamp', unit: 'ns', zone: false })
  if (node.type !== undefined) {
    const leaf = leafType({ name: '', repetition_type: undefined, ...node })
    return leaf ? arrowType(leaf.type) : { type: { kind: 'other' }, native: node.type.toLowerCase() }
  }
  const [child] = children
  const text = (each: Node): string =>
    each.repetition_type === 'REPEATED' ? `list<${parquetType(each).native}>` : parquetType(each).native
  const other = (native: string): Typed => ({ type: { kind: 'other' }, native })
  if (child && (logical?.kind === 'MAP' || converted === MAP || converted === MAP_KEY_VALUE))
    return other(mapText(child.children.map(text)))
  if (child && (logical?.kind === 'LIST' || converted === LIST)) {
    const isWrapper = child.children.length === 1 && child.name !== 'array' && !child.name.endsWith('_tuple')
    return other(`list<${isWrapper ? text(child.children[0]!) : parquetType(child).native}>`)
  }
  return other(structText(children.map(each => [each.name, text(each)])))
}

function arrowTyped(type: ColumnType): Typed {
  return { type, native: textOf(type) }
}

/** Of `parquet.thrift`, ConvertedType. */
const [MAP, MAP_KEY_VALUE, LIST] = [1, 2, 3]

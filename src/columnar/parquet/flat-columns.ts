/** Which files the kernel decodes: those whose columns are flat (not nested) and of types that `leaf-types.ts` knows. */
import { type DataType, MessageReader } from 'apache-arrow'
import type { ParquetFooter, PhysicalType, RowGroup } from '../parquet-footer.ts'
import { codecOf } from './codecs.ts'
import { type LeafType, leafType } from './leaf-types.ts'

export interface FlatColumn extends LeafType {
  readonly name: string
  readonly physical: PhysicalType
  /** Whether it may hold NULLs, and so has definition levels. */
  readonly optional: boolean
}

/** Undefined where any column of the file is left to parquet-wasm. */
export function flatColumns(footer: ParquetFooter): readonly FlatColumn[] | undefined {
  const leaves = footer.schema.slice(1)
  if (leaves.length === 0 || footer.schema[0]!.num_children !== leaves.length) return undefined
  const columns: FlatColumn[] = []
  for (const element of leaves) {
    const leaf = element.num_children === 0 && element.repetition_type !== 'REPEATED' ? leafType(element) : undefined
    if (!leaf) return undefined
    const { name, type: physical, repetition_type } = element
    columns.push({ ...leaf, name, physical: physical!, optional: repetition_type === 'OPTIONAL' })
  }
  return hasArrowTypes(footer, columns) ? columns : undefined
}

/** Whether the row group is stored in ways that the kernel reads; encodings are told by the pages. */
export function isReadable({ columns }: RowGroup, flat: readonly FlatColumn[]): boolean {
  return (
    columns.length === flat.length &&
    columns.every(
      ({ file_path, type, codec, encrypted }, index) =>
        file_path === undefined && !encrypted && type === flat[index]!.physical && codecOf(codec) !== undefined,
    )
  )
}

/**
 * Writers of the Arrow project store the Arrow schema beside Parquet's own, and parquet-wasm goes by it: durations, say, are
 * plain integers otherwise. Whether it says nothing else than Parquet's types do.
 */
function hasArrowTypes({ arrow_schema }: ParquetFooter, columns: readonly FlatColumn[]): boolean {
  if (arrow_schema === undefined) return true
  try {
    const schema = new MessageReader(Buffer.from(arrow_schema, 'base64')).readSchema()
    const types = schema!.fields.map(({ type }) => comparable(type))
    return types.length === columns.length && types.every((type, index) => type === comparable(columns[index]!.type))
  } catch {
    return false
  }
}

/** Equal for types whose values have the same JSON; decimals of any width do. */
function comparable(type: DataType): string {
  return String(type)
    .replace(/^Large/, '')
    .replace(/View$/, '')
    .replace(/^(Timestamp<\w+).*/, '$1')
}

/** The structures of `parquet.thrift` that are wanted, out of their Thrift. Throws `ThriftError` where a required field is missing. */
import type {
  ColumnChunk,
  LogicalType,
  ParquetFooter,
  PhysicalType,
  RawStatistics,
  RowGroup,
  SchemaElement,
} from './parquet-footer.ts'
import { fieldsOf, STRUCT, ThriftError, type ThriftReader } from './thrift.ts'

export function fileMetadata(r: ThriftReader): ParquetFooter {
  const fields = fieldsOf(r, STRUCT, {
    2: type => r.list(type, item => schemaElement(r, item)),
    3: type => count(r, type),
    4: type => r.list(type, item => rowGroup(r, item)),
    5: type => r.list(type, item => keyValue(r, item)),
    6: type => r.text(type),
    7: type => r.list(type, item => isTypeOrder(r, item)),
  })
  const schema = required(fields[2], 'schema')
  const row_groups = required(fields[4], 'row_groups')
  const leaves = schema.filter(({ type }) => type !== undefined).length
  if (row_groups.some(({ columns }) => columns.length !== leaves))
    throw new ThriftError('has a row group without all of its columns')
  return {
    schema,
    row_groups,
    num_rows: required(fields[3], 'num_rows'),
    created_by: fields[6],
    arrow_schema: fields[5]?.find(({ key }) => key === 'ARROW:schema')?.value,
    ordered: Array.from({ length: leaves }, (_, leaf) => fields[7]?.[leaf] ?? false),
  }
}

function keyValue(r: ThriftReader, type: number): { key: string | undefined; value: string | undefined } {
  const fields = fieldsOf(r, type, { 1: type => r.text(type), 2: type => r.text(type) })
  return { key: fields[1], value: fields[2] }
}

function schemaElement(r: ThriftReader, type: number): SchemaElement {
  const fields = fieldsOf(r, type, {
    1: type => physicalType(r, type),
    2: type => r.integer(type),
    3: type => (['REQUIRED', 'OPTIONAL', 'REPEATED'] as const)[r.integer(type)],
    4: type => r.text(type),
    5: type => count(r, type),
    6: type => r.integer(type),
    7: type => r.integer(type),
    8: type => r.integer(type),
    10: type => logicalType(r, type),
  })
  return {
    name: required(fields[4], 'name'),
    type: fields[1],
    type_length: fields[2],
    repetition_type: fields[3],
    num_children: fields[5] ?? 0,
    converted_type: fields[6],
    scale: fields[7],
    precision: fields[8],
    logical_type: fields[10],
  }
}

function rowGroup(r: ThriftReader, type: number): RowGroup {
  const fields = fieldsOf(r, type, {
    1: type => r.list(type, item => columnChunk(r, item)),
    2: type => count(r, type),
    3: type => count(r, type),
  })
  return {
    columns: required(fields[1], 'columns'),
    total_byte_size: required(fields[2], 'total_byte_size'),
    num_rows: required(fields[3], 'num_rows'),
  }
}

function columnChunk(r: ThriftReader, type: number): ColumnChunk {
  const fields = fieldsOf(r, type, {
    1: type => r.text(type),
    3: type => columnMetadata(r, type),
    8: type => fieldsOf(r, type, {}),
  })
  return { ...required(fields[3], 'meta_data'), file_path: fields[1], encrypted: fields[8] !== undefined }
}

function columnMetadata(r: ThriftReader, type: number): Omit<ColumnChunk, 'file_path' | 'encrypted'> {
  const fields = fieldsOf(r, type, {
    1: type => physicalType(r, type),
    2: type => r.list(type, item => r.integer(item)),
    3: type => r.list(type, item => r.text(item)),
    4: type => r.integer(type),
    5: type => count(r, type),
    6: type => count(r, type),
    7: type => count(r, type),
    9: type => count(r, type),
    11: type => count(r, type),
    12: type => statistics(r, type),
  })
  return {
    type: required(fields[1], 'type'),
    encodings: required(fields[2], 'encodings'),
    path_in_schema: required(fields[3], 'path_in_schema'),
    codec: required(fields[4], 'codec'),
    num_values: required(fields[5], 'num_values'),
    total_uncompressed_size: required(fields[6], 'total_uncompressed_size'),
    total_compressed_size: required(fields[7], 'total_compressed_size'),
    data_page_offset: required(fields[9], 'data_page_offset'),
    dictionary_page_offset: fields[11],
    statistics: fields[12],
  }
}

function statistics(r: ThriftReader, type: number): RawStatistics {
  const fields = fieldsOf(r, type, {
    1: type => r.bytes(type),
    2: type => r.bytes(type),
    3: type => r.integer(type),
    5: type => r.bytes(type),
    6: type => r.bytes(type),
  })
  return { null_count: fields[3], min_value: fields[6], max_value: fields[5], min: fields[2], max: fields[1] }
}

/** The other orders are none that anything here compares by. */
function isTypeOrder(r: ThriftReader, type: number): boolean {
  return fieldsOf(r, type, { 1: item => fieldsOf(r, item, {}) })[1] !== undefined
}

function logicalType(r: ThriftReader, type: number): LogicalType {
  let found: LogicalType = { kind: 'other' }
  r.struct(type, (id, type) => {
    found = logicalTypeOf(r, id, type)
    return true
  })
  return found
}

function logicalTypeOf(r: ThriftReader, id: number, type: number): LogicalType {
  switch (id) {
    case 5: {
      const fields = fieldsOf(r, type, { 1: type => r.integer(type), 2: type => r.integer(type) })
      return { kind: 'DECIMAL', scale: required(fields[1], 'scale'), precision: required(fields[2], 'precision') }
    }
    case 7:
    case 8: {
      const fields = fieldsOf(r, type, { 1: type => r.boolean(type), 2: type => timeUnit(r, type) })
      const unit = required(fields[2], 'unit')
      return { kind: id === 7 ? 'TIME' : 'TIMESTAMP', unit, utc: required(fields[1], 'isAdjustedToUTC') }
    }
    case 10: {
      const fields = fieldsOf(r, type, { 1: type => r.integer(type), 2: type => r.boolean(type) })
      return { kind: 'INTEGER', bits: required(fields[1], 'bitWidth'), signed: required(fields[2], 'isSigned') }
    }
    default:
      fieldsOf(r, type, {})
      return { kind: SIMPLE_TYPES[id] ?? 'other' }
  }
}

type SimpleType = Exclude<LogicalType['kind'], 'DECIMAL' | 'TIME' | 'TIMESTAMP' | 'INTEGER'>

const SIMPLE_TYPES: Readonly<Record<number, SimpleType>> = {
  1: 'STRING',
  2: 'MAP',
  3: 'LIST',
  4: 'ENUM',
  6: 'DATE',
  11: 'UNKNOWN',
  12: 'JSON',
  13: 'BSON',
  14: 'UUID',
  15: 'FLOAT16',
}

function timeUnit(r: ThriftReader, type: number): 'ms' | 'us' | 'ns' {
  const empty = (type: number): object => fieldsOf(r, type, {})
  const fields = fieldsOf(r, type, { 1: empty, 2: empty, 3: empty })
  return fields[1] ? 'ms' : fields[2] ? 'us' : 'ns'
}

const PHYSICAL_TYPES: readonly PhysicalType[] = [
  'BOOLEAN',
  'INT32',
  'INT64',
  'INT96',
  'FLOAT',
  'DOUBLE',
  'BYTE_ARRAY',
  'FIXED_LEN_BYTE_ARRAY',
]

function physicalType(r: ThriftReader, type: number): PhysicalType {
  const found = PHYSICAL_TYPES[r.integer(type)]
  if (!found) throw new ThriftError('has a column of a type that there is not')
  return found
}

function count(r: ThriftReader, type: number): number {
  const value = r.integer(type)
  if (value < 0) throw new ThriftError('has a number below 0 where something is counted')
  return value
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new ThriftError(`has no ${field} where there must be one`)
  return value
}

/**
 * The footer of a Parquet file. Field names, types and enumerators are those of `parquet.thrift` (apache/parquet-format).
 */
import { FormatError } from '../core/errors.ts'
import type { FileBytes } from './file-bytes.ts'
import { corrupt } from './file-errors.ts'
import { fileMetadata } from './parquet-metadata.ts'
import type { PlannedChunk } from './read-plan.ts'
import { ThriftError, ThriftReader } from './thrift.ts'

export interface ParquetFooter {
  /** Depth first, the root before all. */
  readonly schema: readonly SchemaElement[]
  readonly num_rows: number
  readonly row_groups: readonly RowGroup[]
  readonly created_by: string | undefined
  /** In base64: the schema as writers of the Arrow project have it, which readers of theirs go by (`ARROW:schema`). */
  readonly arrow_schema: string | undefined
  /** Whether `min_value` and `max_value` of a leaf column are ordered as its type says (TYPE_ORDER). */
  readonly ordered: readonly boolean[]
}

export interface SchemaElement {
  readonly name: string
  /** Undefined for groups. */
  readonly type: PhysicalType | undefined
  /** Bytes of a FIXED_LEN_BYTE_ARRAY. */
  readonly type_length: number | undefined
  readonly repetition_type: 'REQUIRED' | 'OPTIONAL' | 'REPEATED' | undefined
  readonly num_children: number
  /** Its number in `parquet.thrift`: 0 is UTF8. */
  readonly converted_type: number | undefined
  readonly scale: number | undefined
  readonly precision: number | undefined
  readonly logical_type: LogicalType | undefined
}

export type PhysicalType =
  | 'BOOLEAN'
  | 'INT32'
  | 'INT64'
  | 'INT96'
  | 'FLOAT'
  | 'DOUBLE'
  | 'BYTE_ARRAY'
  | 'FIXED_LEN_BYTE_ARRAY'

export type LogicalType =
  | { readonly kind: 'DECIMAL'; readonly scale: number; readonly precision: number }
  | { readonly kind: 'TIME' | 'TIMESTAMP'; readonly unit: 'ms' | 'us' | 'ns'; readonly utc: boolean }
  | { readonly kind: 'INTEGER'; readonly bits: number; readonly signed: boolean }
  | {
      readonly kind:
        | 'STRING'
        | 'MAP'
        | 'LIST'
        | 'ENUM'
        | 'DATE'
        | 'UNKNOWN'
        | 'JSON'
        | 'BSON'
        | 'UUID'
        | 'FLOAT16'
        | 'other'
    }

export interface RowGroup {
  /** One per leaf of the schema, in its order. */
  readonly columns: readonly ColumnChunk[]
  /** Uncompressed. */
  readonly total_byte_size: number
  readonly num_rows: number
}

export interface ColumnChunk {
  /** Set where the column's bytes lie in another file. */
  readonly file_path: string | undefined
  readonly type: PhysicalType
  /** Their numbers in `parquet.thrift`. */
  readonly encodings: readonly number[]
  readonly path_in_schema: readonly string[]
  /** Its number in `parquet.thrift`: 0 is UNCOMPRESSED. */
  readonly codec: number
  readonly num_values: number
  readonly total_uncompressed_size: number
  readonly total_compressed_size: number
  readonly data_page_offset: number
  readonly dictionary_page_offset: number | undefined
  readonly statistics: RawStatistics | undefined
  /** Whether it is encrypted; then nothing else of it can be relied on. */
  readonly encrypted: boolean
}

/** Bounds in the column's plain encoding, without a length in front. */
export interface RawStatistics {
  readonly null_count: number | undefined
  readonly min_value: Uint8Array | undefined
  readonly max_value: Uint8Array | undefined
  /** Deprecated: ordered as signed bytes, whatever the type. */
  readonly min: Uint8Array | undefined
  readonly max: Uint8Array | undefined
}

/**
 * Reads the footer: the last 64 KiB of the file, and then the rest where it is longer. Throws `file_corrupt` where there is none that
 * can be read, `over_budget` above 64 MiB.
 */
export async function readFooter({ name }: PlannedChunk, file: FileBytes): Promise<ParquetFooter> {
  const tail = await file.read(Math.max(0, file.size - TAIL_BYTES), file.size)
  const magic = Buffer.from(tail.subarray(-4)).toString('latin1')
  if (tail.length < FRAME_BYTES || magic !== 'PAR1') throw corrupt(name, 'does not end as a Parquet file does')
  const end = tail.length - FRAME_BYTES
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(end, true)
  if (length > MOST_BYTES) throw tooLong(name, length)
  const missing = length - end
  if (missing > file.size - tail.length) throw corrupt(name, `is shorter than its footer of ${length} bytes`)
  const start = file.size - FRAME_BYTES - length
  const bytes =
    missing <= 0
      ? tail.subarray(end - length, end)
      : Buffer.concat([await file.read(start, start + missing), tail.subarray(0, end)])
  try {
    return fileMetadata(new ThriftReader(bytes))
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error
    throw corrupt(name, `has a footer that ${error.message}`, error)
  }
}

/** At the end of the file: the length of the footer and `PAR1`. */
const FRAME_BYTES = 8
const TAIL_BYTES = 1 << 16
/** Of a staged file, and not of a table. In memory a footer is some ten times as large. */
const MOST_BYTES = 1 << 26

function tooLong(name: string, bytes: number): FormatError {
  const problem = `has a footer of ${bytes} bytes, above the ${MOST_BYTES} that are read: stage smaller files`
  return new FormatError('over_budget', `the staged file ${JSON.stringify(name)} ${problem}`)
}

/**
 * What a lane is asked to do for one unit of work, and what it hands back. The plan is plain data: it crosses a thread.
 * Nothing here knows of jobs, destinations or stores.
 */
import type { Column } from './column-type.ts'
import type { Predicate } from './predicate.ts'
import type { RowShape } from './row-shape.ts'

/** How the rows of a batch lie in its bytes. A closed union: a new framing is written into the lanes. */
export type Encoding = PlainEncoding | KafkaEncoding | ArrowEncoding

/** Framings that show their rows. */
export type PlainEncoding =
  /** JSON objects one after the other, nothing between them. */
  | { readonly kind: 'rows' }
  /** JSON objects, each followed by `\n`, which belongs to its row. */
  | { readonly kind: 'ndjson' }
  /** One JSON array. Row i is preceded by one byte (`[` or `,`), which belongs to it; one `]` follows the last. */
  | { readonly kind: 'json-array' }

/**
 * One Arrow IPC stream: the schema, a record batch and the end. `ends` is empty, and there are no checksums. Strings, binary values and
 * lists have 32-bit offsets, dictionaries are their values. Of a registration's `rows` only `columns` apply. `write` must deliver such a
 * batch as a whole or not at all, and its dead letters cannot be sent again.
 */
export interface ArrowEncoding {
  readonly kind: 'arrow-stream'
}

/**
 * A Kafka record batch of version 2 (KIP-98, "Message Format"), all of whose records go to one partition. The value of a record is
 * the row's JSON. `ends` is empty. What only the sender can know is for it to complete in place, in the first 61 bytes: producer
 * id, producer epoch and base sequence (all -1), the CRC (0), and where `timestamp` is `now` also both timestamps (0).
 */
export interface KafkaEncoding {
  readonly kind: 'kafka-batch'
  /** Of the topic. Records without a key go to one partition until their batch is cut, and then to the next. */
  readonly partitions: number
  /** The column whose value, as text, is the record's key; its murmur2 hash decides the partition as in Kafka's Java client. */
  readonly key?: string
  /**
   * A timestamp column is cut to milliseconds, NULL is the time of encoding. A row from before 1970, which Kafka has no timestamp
   * for, is refused.
   */
  readonly timestamp: 'now' | { readonly column: string }
  /** Headers of every record. */
  readonly headers: Readonly<Record<string, string>>
  /** A header with the record's id (`ReadPlan.ids`), the last one. */
  readonly idHeader?: string
  /** A batch that compression would make larger stays as it is. */
  readonly compression: Compression
  /** Largest record batch that the topic takes, as it is sent: compressed. A row that makes a larger one all by itself is refused. */
  readonly maxBatchBytes?: number
}

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export interface ReadPlan {
  readonly chunks: readonly PlannedChunk[]
  /** Most rows of a span. Fixed per job: a watermark is only meaningful while spans are cut at the same places. */
  readonly spanRows: number
  readonly predicate?: Predicate
  /** What every row is to have, where files differ: columns by name, NULL for what a file lacks. Undefined: the columns of the file. */
  readonly tableColumns?: readonly Column[]
  readonly encoding: Encoding
  /** The stable names of rows, for sinks that hand them on. */
  readonly ids?: RowIds
  /** What rows look like where that is not the table's own form. */
  readonly shape?: RowShape
  /** Columns to hand out as text beside the payload. */
  readonly columns?: readonly string[]
  /** A batch is cut before it exceeds either; a single row above `batchBytes` is a batch of its own. */
  readonly batchRows: number
  readonly batchBytes: number
  /** Cut only at whole spans, or inside one span: the same places on every reading. */
  readonly stableBatches: boolean
  /** Most bytes that decoding one row group (Arrow IPC: one record batch) may take; above, reading fails with `over_budget`. */
  readonly rowGroupBudgetBytes: number
  /** Whether to sum row checksums; without, they are 0. */
  readonly checksums: boolean
  /** The bytes of batches may lie in shared memory. */
  readonly sharedMemory?: boolean
}

/** What a row's id is made of (`row-ids.ts`): where it lies in a job, or the values of columns that are a unique key of a table. */
export type RowIds = { readonly job: string } | { readonly table: string; readonly columns: readonly string[] }

export interface PlannedChunk {
  /** The chunk's number in its job. */
  readonly chunk: number
  /** The staged file's name, for errors. */
  readonly name: string
  readonly format: 'parquet' | 'arrow-file' | 'arrow-stream'
  /** Compared with what is found: a file that changed since it was staged is an error. */
  readonly bytes: number
  /** Start here: a watermark, so always the first row of a span. */
  readonly fromRow: number
  /** `tableColumns` that are not in the file and the same for all of its rows, as canonical text. */
  readonly values?: Readonly<Record<string, string | null>>
}

/** Where a staged file's bytes are read from. */
export type FileAccess =
  | { readonly path: string }
  | { readonly url: string; readonly headers?: Readonly<Record<string, string>>; readonly expiresAt?: string }
  | RandomAccess

/** Read in the host's thread; each buffer that `read` gives away is given for good. */
export interface RandomAccess {
  readonly byteLength: number
  /** Bytes [start, end). */
  read(start: number, end: number): Promise<Uint8Array>
}

/** Called when a lane begins a chunk, and again when an access has expired. */
export type OpenFile = (chunk: number) => Promise<FileAccess>

/** Reads a unit span by span. Calls must not overlap. */
export interface UnitReader {
  /** Reads, filters and encodes exactly one span; undefined when the unit has no more. */
  next(): Promise<SpanRead | undefined>
  /** Cuts what is filling, however little it is. */
  cut(): Promise<readonly FilledBatch[]>
  /** Nobody reads these bytes of a batch any more: their memory may be used again. At once, and in any order with all else. */
  release(bytes: Uint8Array<ArrayBuffer>): void
  /** Idempotent; frees what the reading holds. */
  close(): Promise<void>
}

export interface SpanRead {
  readonly chunk: number
  /** First row of the span in its chunk. */
  readonly row: number
  readonly rows: number
  /** How many of them the predicate left out, or a transform. */
  readonly filtered: number
  /** Payload bytes of the rows that were not filtered, whether in `batches` or still filling. */
  readonly bytes: number
  /** No span of this chunk follows. An empty file is one span of 0 rows. */
  readonly last: boolean
  /** Batches that this span completed, in order; they may begin with rows of earlier spans. */
  readonly batches: readonly FilledBatch[]
}

/** Many encoded rows in one buffer that belongs to the receiver. */
export interface FilledBatch {
  readonly rows: number
  /** At the start of its buffer, which may be longer: it comes from a pool, and goes back there by `UnitReader.release`. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Row i is `bytes[ends[i-1] ?? 0, ends[i])`; empty where the framing hides single rows. */
  readonly ends: Uint32Array<ArrayBuffer>
  readonly pieces: readonly Piece[]
  /** Row i of the batch is this row of its chunk. */
  readonly rowNumbers: Uint32Array<ArrayBuffer>
  /** 32-bit FNV-1a over the pieces' chunks and the row numbers, as 8 hex digits: equal for equal rows. */
  readonly rowsHash: string
  /**
   * Why no row of the batch can be sent: the encoding cannot hold it (one that is larger than the topic takes), or a transform failed.
   * Such a batch is framed as `rows` and has no partition.
   */
  readonly refusal?: string
  readonly partition?: number
  readonly ids?: TextColumn
  readonly columns?: Readonly<Record<string, TextColumn>>
}

/** The rows of a batch that come from one span, in the order in which they lie in the batch. */
export interface Piece {
  readonly chunk: number
  /** First row of the span. */
  readonly row: number
  /**
   * Position of the piece's first row among the span's rows for this batch's partition. Rows that are refused for their timestamp are
   * counted among themselves.
   */
  readonly first: number
  readonly rows: number
  /** Of the payload, without framing. */
  readonly bytes: number
  /** Sum modulo 2^64 of the rows' checksums (`checksum.ts`), 16 hex digits. */
  readonly checksum: string
}

/** One value a row, as UTF-8 text in the JSON form of the value without quotes. */
export interface TextColumn {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Value i is `bytes[ends[i-1] ?? 0, ends[i])`. */
  readonly ends: Uint32Array<ArrayBuffer>
  /** 1 where the value is NULL (its text is then empty). */
  readonly nulls: Uint8Array<ArrayBuffer>
}

/**
 * What a lane is asked to do for one unit of work, and what it hands back. The plan is plain data: it crosses a thread.
 * Nothing here knows of jobs, destinations or stores.
 */
import type { Predicate } from './predicate.ts'

/** How the rows of a batch lie in its bytes. A closed union: a new framing is written into the lanes. */
export type Encoding =
  /** JSON objects one after the other, nothing between them. */
  | { readonly kind: 'rows' }
  /** JSON objects, each followed by `\n`, which belongs to its row. */
  | { readonly kind: 'ndjson' }
  /** One JSON array. Row i is preceded by one byte (`[` or `,`), which belongs to it; one `]` follows the last. */
  | { readonly kind: 'json-array' }

export interface ReadPlan {
  readonly chunks: readonly PlannedChunk[]
  /** Most rows of a span. Fixed per job: a watermark is only meaningful while spans are cut at the same places. */
  readonly spanRows: number
  readonly predicate?: Predicate
  readonly encoding: Encoding
  /** `ids`: each row's name is `<ids>-<chunk>-<row>`. */
  readonly ids?: string
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
}

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
  /** Idempotent; frees what the reading holds. */
  close(): Promise<void>
}

export interface SpanRead {
  readonly chunk: number
  /** First row of the span in its chunk. */
  readonly row: number
  readonly rows: number
  /** How many of them the predicate left out. */
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
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Row i is `bytes[ends[i-1] ?? 0, ends[i])`; empty where the framing hides single rows. */
  readonly ends: Uint32Array<ArrayBuffer>
  readonly pieces: readonly Piece[]
  /** Row i of the batch is this row of its chunk. */
  readonly rowNumbers: Uint32Array<ArrayBuffer>
  /** 32-bit FNV-1a over the pieces' chunks and the row numbers, as 8 hex digits: equal for equal rows. */
  readonly rowsHash: string
  readonly partition?: number
  readonly ids?: TextColumn
  readonly columns?: Readonly<Record<string, TextColumn>>
}

/** The rows of a batch that come from one span, in the order in which they lie in the batch. */
export interface Piece {
  readonly chunk: number
  /** First row of the span. */
  readonly row: number
  /** Position of the piece's first row among the span's rows for this batch's partition. */
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

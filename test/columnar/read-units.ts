/** Plans for reading staged files, what comes of them, and an access that counts. */
import { arrowParts } from '../../src/columnar/arrow-ipc.ts'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import { parquetParts } from '../../src/columnar/parquet.ts'
import type {
  FilledBatch,
  PlannedChunk,
  RandomAccess,
  ReadPlan,
  SpanRead,
  UnitReader,
} from '../../src/columnar/read-plan.ts'
import { renderRows } from '../../src/columnar/render.ts'
import { spansOf } from '../../src/columnar/spans.ts'
import type { NamedSet } from '../../src/columnar/value-sets.ts'
import { rowBytes } from '../../src/sinks/sink.ts'

export interface CountingAccess extends RandomAccess {
  /** [start, end) of each read. */
  readonly reads: [number, number][]
}

export function countingAccess(bytes: Uint8Array): CountingAccess {
  const reads: [number, number][] = []
  return {
    byteLength: bytes.length,
    reads,
    async read(start, end) {
      reads.push([start, end])
      // a copy, also of a Buffer, whose slice() is none
      return Uint8Array.from(bytes.subarray(start, end))
    },
  }
}

export function chunkOf(
  bytes: Uint8Array,
  format: PlannedChunk['format'] = 'parquet',
  fromRow = 0,
  chunk = 0,
): PlannedChunk {
  return { chunk, name: `file-${chunk}`, format, bytes: bytes.length, fromRow }
}

export function planOf(chunks: readonly PlannedChunk[], options: Partial<ReadPlan> = {}): ReadPlan {
  return {
    chunks,
    spanRows: 1000,
    encoding: { kind: 'ndjson' },
    batchRows: 10_000,
    batchBytes: 1 << 20,
    stableBatches: false,
    rowGroupBudgetBytes: 1 << 28,
    checksums: true,
    ...options,
  }
}

export const noValueSet = async ({ ref }: NamedSet): Promise<never> => {
  throw new Error(`nobody asked for ${ref}`)
}

export interface ReadUnit {
  readonly spans: readonly SpanRead[]
  readonly batches: readonly FilledBatch[]
}

/** Reads to the end and closes. */
export async function readUnit(reader: UnitReader): Promise<ReadUnit> {
  const spans: SpanRead[] = []
  try {
    for (let span = await reader.next(); span; span = await reader.next()) spans.push(span)
    return { spans, batches: [...spans.flatMap(({ batches }) => batches), ...(await reader.cut())] }
  } finally {
    await reader.close()
  }
}

/** The rows of batches that were framed as `ndjson` or `rows`. */
export function rowsOf(batches: readonly FilledBatch[]): unknown[] {
  return batches.flatMap(batch =>
    Array.from({ length: batch.rows }, (_, index) => JSON.parse(Buffer.from(rowBytes(batch, index)).toString())),
  )
}

export interface SpanOptions {
  readonly fromRow?: number
  readonly spanRows?: number
  readonly rowGroupBudgetBytes?: number
}

export interface ReadSpan {
  readonly row: number
  readonly rows: number
  readonly last: boolean
  readonly json: readonly string[]
}

/** The spans of one file, all their rows as JSON, and what was read for them. */
export async function readSpans(bytes: Uint8Array, format: PlannedChunk['format'], options: SpanOptions = {}) {
  const { fromRow = 0, spanRows = 1000, rowGroupBudgetBytes = 1 << 28 } = options
  const access = countingAccess(bytes)
  const chunk = chunkOf(bytes, format, fromRow)
  const file = await openFileBytes(chunk, async () => access, new AbortController().signal)
  const parts = (format === 'parquet' ? parquetParts : arrowParts)(chunk, file, { spanRows, rowGroupBudgetBytes })
  const spans: ReadSpan[] = []
  for await (const { row, rows, last, use } of spansOf(chunk, spanRows, parts)) {
    const indexes = Array.from({ length: rows }, (_, index) => index)
    spans.push({ row, rows, last, json: rows === 0 ? [] : use(batch => indexes.map(renderRows(batch))) })
  }
  return { spans, reads: access.reads, readBytes: access.reads.reduce((sum, [start, end]) => sum + end - start, 0) }
}

/** Row, rows and last of each. */
export function shape(spans: readonly Pick<ReadSpan, 'row' | 'rows' | 'last'>[]): [number, number, boolean][] {
  return spans.map(({ row, rows, last }) => [row, rows, last])
}

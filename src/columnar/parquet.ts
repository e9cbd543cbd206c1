/** Parquet files, row group by row group, decoded by parquet-wasm into Arrow batches that are read where they lie. */
import { DataType, type RecordBatch } from 'apache-arrow'
import { parseRecordBatch } from 'arrow-js-ffi'
import { type FFIData, ParquetFile, type RecordBatch as WasmBatch, wasmMemory } from 'parquet-wasm/node'
import { FormatError } from '../core/errors.ts'
import type { FileBytes } from './file-bytes.ts'
import { corrupt, overBudget } from './file-errors.ts'
import { ParquetCalls } from './parquet-calls.ts'
import type { PlannedChunk, ReadPlan } from './read-plan.ts'
import type { Part, Slice } from './spans.ts'

/**
 * The file's row groups. Only those that are decoded are read, each in one piece, and before one is, its size is checked
 * against the budget: parquet-wasm decodes a whole row group at once, and its memory never shrinks.
 */
export async function* parquetParts(
  chunk: PlannedChunk,
  file: FileBytes,
  plan: Pick<ReadPlan, 'spanRows' | 'rowGroupBudgetBytes'>,
): AsyncGenerator<Part> {
  const calls = new ParquetCalls(chunk.name, file)
  const parquet = await calls.wait(() => ParquetFile.fromFile(calls.blob))
  try {
    for (const [index, { rows, bytes }] of rowGroupsOf(chunk, calls, parquet).entries()) {
      yield {
        rows,
        async *decode(offset) {
          if (bytes > plan.rowGroupBudgetBytes)
            throw overBudget(chunk.name, `row group ${index}`, bytes, plan.rowGroupBudgetBytes)
          const options = { rowGroups: [index], batchSize: plan.spanRows, offset }
          const batches: ReadableStream<WasmBatch> = await calls.wait(() => parquet.stream(options))
          yield* slicesOf(chunk, calls, batches.getReader())
        },
      }
    }
  } finally {
    calls.free(() => parquet.free())
  }
}

function rowGroupsOf(
  chunk: PlannedChunk,
  calls: ParquetCalls,
  parquet: ParquetFile,
): { rows: number; bytes: number }[] {
  const { total, groups } = calls.now(() => {
    const metadata = parquet.metadata()
    const fileMetadata = metadata.fileMetadata()
    const total = fileMetadata.numRows()
    const groups = metadata.rowGroups().map(group => {
      const size = { rows: group.numRows(), bytes: group.totalByteSize() }
      group.free()
      return size
    })
    fileMetadata.free()
    metadata.free()
    return { total, groups }
  })
  const found = groups.reduce((sum, { rows }) => sum + rows, 0)
  if (found !== total) throw corrupt(chunk.name, `has ${total} rows by its footer and ${found} in its row groups`)
  return groups
}

async function* slicesOf(
  chunk: PlannedChunk,
  calls: ParquetCalls,
  batches: ReadableStreamDefaultReader<WasmBatch>,
): AsyncGenerator<Slice> {
  try {
    for (;;) {
      const { done, value: batch } = await calls.wait(() => batches.read())
      if (done) return
      const rows = calls.now(() => batch.numRows)
      let used = false
      try {
        yield {
          rows,
          use(consume) {
            used = true
            return useBatch(chunk, calls, batch, rows, consume)
          },
        }
      } finally {
        if (!used) calls.free(() => batch.free())
      }
    }
  } finally {
    // where the stream has failed, read() has said so
    calls.free(() => batches.cancel().catch(() => {}))
  }
}

function useBatch<T>(
  chunk: PlannedChunk,
  calls: ParquetCalls,
  batch: WasmBatch,
  rows: number,
  consume: (batch: RecordBatch) => T,
): T {
  const exported = calls.now(() => batch.intoFFI())
  try {
    return consume(view(chunk, exported, rows))
  } finally {
    calls.free(() => exported.free())
  }
}

function view(chunk: PlannedChunk, exported: FFIData, rows: number): RecordBatch {
  const memory = wasmMemory()
  const parse = (): RecordBatch => parseRecordBatch(memory.buffer, exported.arrayAddr(), exported.schemaAddr(), false)
  try {
    return checked(parse())
  } catch (error) {
    if (error instanceof RangeError) {
      // its views of booleans are a byte a row and not a bit a row: too long where the memory ends behind them
      memory.grow(Math.ceil(rows / WASM_PAGE_BYTES))
      return checked(parse())
    }
    const reason = error instanceof Error ? error.message : String(error)
    const problem = `has a column that cannot be read (${reason}): convert it where it is staged`
    throw new FormatError('unsupported_type', `the staged file ${JSON.stringify(chunk.name)} ${problem}`, {
      cause: error,
    })
  }
}

const WASM_PAGE_BYTES = 65_536

/** An INTERVAL of Parquet is months, days and milliseconds; parquet-wasm makes days and milliseconds of it. */
function checked(batch: RecordBatch): RecordBatch {
  for (const { name, type } of batch.schema.fields) {
    if (holdsInterval(type)) throw new Error(`${JSON.stringify(name)} is an INTERVAL, whose months would be lost`)
  }
  return batch
}

function holdsInterval(type: DataType): boolean {
  return DataType.isInterval(type) || (type.children ?? []).some(child => holdsInterval(child.type))
}

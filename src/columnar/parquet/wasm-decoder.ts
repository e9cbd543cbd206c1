/**
 * Row groups as parquet-wasm decodes them, into Arrow batches that are read where they lie: whatever the kernel does not
 * decode, and all of them where there is no kernel.
 */
import { DataType, type RecordBatch } from 'apache-arrow'
import { parseRecordBatch } from 'arrow-js-ffi'
import { type FFIData, ParquetFile, type RecordBatch as WasmBatch, wasmMemory } from 'parquet-wasm/node'
import { FormatError, messageOf } from '../../core/errors.ts'
import type { FileBytes } from '../file-bytes.ts'
import type { Slice } from '../spans.ts'
import { ParquetCalls } from './wasm-calls.ts'

/** One file in parquet-wasm. `name`: of the staged file, for errors. */
export class WasmDecoder {
  readonly #name: string
  readonly #calls: ParquetCalls
  #file: ParquetFile | undefined

  constructor(name: string, file: FileBytes) {
    this.#name = name
    this.#calls = new ParquetCalls(name, file)
  }

  /**
   * Slices of a row group from a row on that is a multiple of `spanRows`. The row group is read in one piece: parquet-wasm
   * decodes it whole, and its memory never shrinks. It decodes what comes before that row, too: its option to leave that out
   * makes it trap over integers stored as differences (DELTA_BINARY_PACKED).
   */
  async *slices(rowGroup: number, offset: number, spanRows: number): AsyncGenerator<Slice> {
    const calls = this.#calls
    this.#file ??= await calls.wait(() => ParquetFile.fromFile(calls.blob))
    const file = this.#file
    const options = { rowGroups: [rowGroup], batchSize: spanRows }
    const batches: ReadableStream<WasmBatch> = await calls.wait(() => file.stream(options))
    yield* slicesOf(this.#name, calls, batches.getReader(), offset)
  }

  close(): void {
    this.#calls.free(() => this.#file?.free())
    this.#file = undefined
  }
}

async function* slicesOf(
  name: string,
  calls: ParquetCalls,
  batches: ReadableStreamDefaultReader<WasmBatch>,
  offset: number,
): AsyncGenerator<Slice> {
  try {
    for (let row = 0; ; ) {
      const { done, value: batch } = await calls.wait(() => batches.read())
      if (done) return
      const rows = calls.now(() => batch.numRows)
      let used = false
      row += rows
      try {
        if (row <= offset) continue
        yield {
          rows,
          use(consume) {
            used = true
            return useBatch(name, calls, batch, rows, consume)
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
  name: string,
  calls: ParquetCalls,
  batch: WasmBatch,
  rows: number,
  consume: (batch: RecordBatch) => T,
): T {
  const exported = calls.now(() => batch.intoFFI())
  try {
    return consume(view(name, exported, rows))
  } finally {
    calls.free(() => exported.free())
  }
}

function view(name: string, exported: FFIData, rows: number): RecordBatch {
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
    const reason = messageOf(error)
    const problem = `has a column that cannot be read (${reason}): convert it where it is staged`
    throw new FormatError('unsupported_type', `the staged file ${JSON.stringify(name)} ${problem}`, {
      cause: error,
    })
  }
}

const WASM_PAGE_BYTES = 65_536

/** An INTERVAL of Parquet is months, days and milliseconds; parquet-wasm makes days and milliseconds of it. */
function checked(batch: RecordBatch): RecordBatch {
  for (const { name: column, type } of batch.schema.fields) {
    if (holdsInterval(type)) throw new Error(`${JSON.stringify(column)} is an INTERVAL, whose months would be lost`)
  }
  return batch
}

function holdsInterval(type: DataType): boolean {
  return DataType.isInterval(type) || (type.children ?? []).some(child => holdsInterval(child.type))
}

/** Arrow IPC files and streams, record batch by record batch, decoded by apache-arrow. */
import { constants } from 'node:buffer'
import { zstdDecompressSync } from 'node:zlib'
import {
  compressionRegistry,
  type RecordBatch,
  RecordBatchReader,
  type RecordBatchStreamReader,
  type Schema,
} from 'apache-arrow'
import { CompressionType } from 'apache-arrow/fb/compression-type'
import type * as metadata from 'apache-arrow/ipc/metadata/message'
import { FormatError } from '../core/errors.ts'
import { type ArrowMessage, arrowMessages, decoding } from './arrow-messages.ts'
import type { Column } from './column-type.ts'
import type { FileBytes } from './file-bytes.ts'
import { arrowColumns } from './file-columns.ts'
import { corrupt, overBudget } from './file-errors.ts'
import { decompressLz4Frame } from './lz4-frame.ts'
import type { PlannedChunk, ReadPlan } from './read-plan.ts'
import type { Part, Slice } from './spans.ts'

type Plan = Pick<ReadPlan, 'spanRows' | 'rowGroupBudgetBytes'>

/** The file's record batches. The bodies of those that are not decoded are not read; dictionaries always are. */
export async function* arrowParts(chunk: PlannedChunk, file: FileBytes, plan: Plan): AsyncGenerator<Part> {
  const decoder = new BatchDecoder(chunk.name, plan.rowGroupBudgetBytes)
  let columns: readonly Column[] = []
  let index = 0
  for await (const found of arrowMessages(chunk, file)) {
    const { message } = found
    if (message.isRecordBatch()) {
      const part = `record batch ${index++}`
      const rows = decoding(chunk.name, () => message.header().length)
      yield {
        rows,
        columns: () => columns,
        async *decode(offset) {
          decoder.push(found.head, await bodyOf(chunk.name, part, found, message.header(), plan))
          yield* slicesOf(decoder.next(), offset, plan.spanRows)
        },
      }
    } else if (message.isDictionaryBatch()) {
      const { data } = decoding(chunk.name, () => message.header())
      decoder.push(found.head, await bodyOf(chunk.name, 'a dictionary', found, data, plan))
    } else if (message.isSchema()) {
      const schema = decoding(chunk.name, () => message.header())
      columns = arrowColumns(schema)
      decoder.begin(schema)
    }
  }
}

async function bodyOf(
  name: string,
  part: string,
  found: ArrowMessage,
  header: metadata.RecordBatch,
  { rowGroupBudgetBytes }: Plan,
): Promise<Uint8Array> {
  if (found.bodyBytes > rowGroupBudgetBytes) throw overBudget(name, part, found.bodyBytes, rowGroupBudgetBytes)
  const body = await found.body()
  if (!header.compression) return body
  checkCodec(name, header.compression.type)
  const bytes = decoding(name, () => decompressedBytes(body, header))
  if (bytes > rowGroupBudgetBytes) throw overBudget(name, part, bytes, rowGroupBudgetBytes)
  return body
}

function checkCodec(name: string, type: CompressionType): void {
  if (!compressionRegistry.get(type)) {
    if (type === CompressionType.ZSTD) compressionRegistry.set(type, { decode: bounded(decompressZstd) })
    if (type === CompressionType.LZ4_FRAME) compressionRegistry.set(type, { decode: bounded(decompressLz4Frame) })
  }
  if (compressionRegistry.get(type)) return
  throw new FormatError(
    'unsupported_type',
    `the staged file ${JSON.stringify(name)} is compressed with ${CompressionType[type]}, which cannot be read here: write it with ZSTD or uncompressed`,
  )
}

/**
 * What may still be decompressed. Of this thread: apache-arrow has one codec for all, and hands it just the bytes. The lengths
 * in the file are no bound, as a buffer can be of any length whatever they say (apache-arrow writes the compressed one there).
 */
let mostBytes = 0

function bounded(decompress: (bytes: Uint8Array, mostBytes: number) => Uint8Array) {
  return (bytes: Uint8Array): Uint8Array => {
    const found = decompress(bytes, Math.max(1, Math.min(mostBytes, constants.MAX_LENGTH)))
    mostBytes -= found.length
    return found
  }
}

function decompressZstd(bytes: Uint8Array, maxOutputLength: number): Uint8Array {
  return zstdDecompressSync(bytes, { maxOutputLength })
}

/** Each compressed buffer begins with its length when decompressed, or -1 where it is not compressed. */
function decompressedBytes(body: Uint8Array, header: metadata.RecordBatch): number {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  let sum = 0
  for (const { offset, length } of header.buffers) {
    if (length < 8) continue
    const bytes = Number(view.getBigInt64(offset, true))
    if (bytes < -1) throw new Error(`a buffer of ${bytes} bytes`)
    sum += bytes === -1 ? length - 8 : bytes
  }
  return sum
}

async function* slicesOf(batch: RecordBatch, offset: number, spanRows: number): AsyncGenerator<Slice> {
  for (let row = offset; row < batch.numRows; row += spanRows) {
    const slice = batch.slice(row, row + spanRows)
    yield { rows: slice.numRows, use: consume => consume(slice) }
  }
}

/**
 * apache-arrow's reader of streams, given just the messages that it is to decode: it keeps the dictionaries, applies their
 * deltas and decompresses. Files go through it as well; its own reader of files would read all batches from the first.
 */
class BatchDecoder {
  readonly #name: string
  readonly #budget: number
  readonly #pieces: Uint8Array[] = []
  #schema: Schema | undefined
  #reader: RecordBatchStreamReader | undefined

  /** `budget`: most bytes that a message may be decompressed to. */
  constructor(name: string, budget: number) {
    this.#name = name
    this.#budget = budget
  }

  begin(schema: Schema): void {
    this.#schema = schema
  }

  push(head: Uint8Array, body: Uint8Array): void {
    this.#pieces.push(head, body)
  }

  next(): RecordBatch {
    // a message is two pieces: the dictionaries that the batch needs, and itself
    mostBytes = (this.#pieces.length / 2) * this.#budget
    const { done, value } = decoding(this.#name, () => {
      this.#reader ??= this.#open()
      return this.#reader.next()
    })
    if (done) throw corrupt(this.#name, 'ends within a record batch')
    return value
  }

  #open(): RecordBatchStreamReader {
    const pieces: Iterable<Uint8Array> = this.#drain()
    return (RecordBatchReader.from(pieces) as RecordBatchStreamReader).reset(this.#schema)
  }

  /**
   * The reader looks one piece further than it needs, which must not end the stream: it gets an empty piece. Only one that
   * asks again at once is out of bytes.
   */
  *#drain(): Generator<Uint8Array> {
    let starved = false
    for (;;) {
      const piece = this.#pieces.shift()
      if (!piece && starved) return
      starved = !piece
      yield piece ?? new Uint8Array(0)
    }
  }
}

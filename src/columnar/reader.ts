/** Reads a unit: files ▸ row groups and record batches ▸ spans ▸ selected rows ▸ encoded batches. */
import { CancelledError } from '../core/errors.ts'
import { arrowParts } from './arrow-ipc.ts'
import type { ByteSet } from './byte-set.ts'
import { loadCompression } from './compress.ts'
import { type Allocate, openEncoder, type SpanEncoder } from './encoder.ts'
import { type FileOptions, openFileBytes, untilAborted } from './file-bytes.ts'
import { inFile } from './file-errors.ts'
import { newBuffer } from './memory.ts'
import { parquetParts } from './parquet.ts'
import { Ahead } from './read-ahead.ts'
import type { FilledBatch, OpenFile, PlannedChunk, ReadPlan, SpanRead, UnitReader } from './read-plan.ts'
import { type CompiledPredicate, compilePredicate } from './selection.ts'
import { type Part, type Prune, type Span, spansOf } from './spans.ts'
import { TableColumns } from './table-columns.ts'
import { loadTransform } from './transform.ts'
import type { NamedSet } from './value-sets.ts'

/** `valueSet`: called at most once, for the predicate's values. `allocate`: where batches get their memory. */
export function openUnitReader(
  plan: ReadPlan,
  openFile: OpenFile,
  valueSet: (set: NamedSet) => Promise<ByteSet>,
  pool: BufferPool = newBuffers,
): UnitReader {
  return new PlanReader(plan, openFile, valueSet, pool)
}

/** Memory for batches: what is given back may be taken again. */
export interface BufferPool {
  readonly take: Allocate
  give(bytes: Uint8Array<ArrayBuffer>): void
}

const newBuffers: BufferPool = {
  take: length => new Uint8Array(newBuffer(length)),
  give() {},
}

interface ChunkSpan {
  readonly chunk: PlannedChunk
  readonly span: Span
}

class PlanReader implements UnitReader {
  readonly #pool: BufferPool
  readonly #encoder: SpanEncoder
  readonly #abort = new AbortController()
  readonly #spans: AsyncGenerator<ChunkSpan>
  readonly #predicate: () => Promise<CompiledPredicate | undefined>
  #failure: { readonly error: unknown } | undefined

  constructor(plan: ReadPlan, openFile: OpenFile, valueSet: (set: NamedSet) => Promise<ByteSet>, pool: BufferPool) {
    const { signal } = this.#abort
    this.#pool = pool
    this.#encoder = openEncoder(plan, pool.take)
    let compiled: Promise<CompiledPredicate | undefined> | undefined
    const compile = async () => plan.predicate && untilAborted(compilePredicate(plan.predicate, valueSet), signal)
    this.#predicate = () => (compiled ??= compile())
    this.#spans = unitSpans(plan, openFile, this.#predicate, signal)
  }

  async next(): Promise<SpanRead | undefined> {
    this.#throwFailure()
    try {
      const { done, value } = await this.#spans.next()
      const predicate = await this.#predicate()
      this.#abort.signal.throwIfAborted()
      return done ? undefined : this.#encode(value, predicate)
    } catch (error) {
      // the file is at no known place now: reading on would leave out rows
      this.#failure ??= { error }
      throw error
    }
  }

  async cut(): Promise<readonly FilledBatch[]> {
    this.#throwFailure()
    this.#encoder.cut()
    return this.#encoder.takeFilled()
  }

  release(bytes: Uint8Array<ArrayBuffer>): void {
    this.#pool.give(bytes)
  }

  async close(): Promise<void> {
    const error = new CancelledError('the reading was ended')
    this.#failure ??= { error }
    this.#abort.abort(error)
    // behind a next() that is under way, which now soon ends
    await this.#spans.return(undefined)
    this.#encoder.close()
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  #encode({ chunk: { chunk, name }, span }: ChunkSpan, predicate: CompiledPredicate | undefined): SpanRead {
    const { row, rows, last } = span
    let filtered = rows
    let bytes = 0
    if (!span.skipped) {
      span.use(batch =>
        inFile(name, () => {
          const selected = predicate?.select(batch, name)
          const encoded = this.#encoder.add({ chunk, row, name, batch, selected })
          filtered = rows - (selected?.length ?? rows) + encoded.dropped
          bytes = encoded.bytes
        }),
      )
    }
    return { chunk, row, rows, filtered, bytes, last, batches: this.#encoder.takeFilled() }
  }
}

async function* unitSpans(
  plan: ReadPlan,
  openFile: OpenFile,
  loadPredicate: () => Promise<CompiledPredicate | undefined>,
  signal: AbortSignal,
): AsyncGenerator<ChunkSpan> {
  if (plan.encoding.kind === 'kafka-batch') await loadCompression(plan.encoding.compression)
  await loadTransform(plan.shape?.transform)
  const prune: Prune | undefined = (await loadPredicate())?.prune
  const ahead = new Ahead()
  const over = new AbortController()
  const ending = AbortSignal.any([signal, over.signal])
  const opened: { readonly turn: () => void; readonly opening: Promise<OpenedChunk> }[] = []
  let next = 0
  try {
    for (const chunk of plan.chunks) {
      // the first request of a file, and its answer, take their time as well
      for (; next < plan.chunks.length && opened.length <= FILES_AHEAD; next++) {
        const { promise: turn, resolve } = Promise.withResolvers<void>()
        const opening = openChunk(plan.chunks[next]!, plan, openFile, { ahead, turn, prune, signal: ending })
        opening.catch(() => {})
        opened.push({ turn: resolve, opening })
      }
      opened[0]!.turn()
      const { parts, close } = await opened[0]!.opening
      for await (const span of spansOf(chunk, plan.spanRows, parts, prune)) yield { chunk, span }
      opened.shift()
      await close()
    }
  } finally {
    // whatever is awaited there ends, also where this was left by an error
    over.abort(new CancelledError('the reading was ended'))
    await Promise.allSettled(opened.map(async ({ opening }) => (await opening).close()))
  }
}

/** Distant files of a unit that are opened while the one before is read. */
const FILES_AHEAD = 4

interface OpenedChunk {
  readonly parts: AsyncGenerator<Part>
  close(): Promise<void>
}

async function openChunk(
  chunk: PlannedChunk,
  plan: ReadPlan,
  openFile: OpenFile,
  { prune, signal, ...options }: FileOptions & { readonly prune: Prune | undefined; readonly signal: AbortSignal },
): Promise<OpenedChunk> {
  const file = await openFileBytes(chunk, openFile, signal, options)
  const { tableColumns, spanRows } = plan
  const table = tableColumns && new TableColumns(chunk, tableColumns, spanRows)
  const skips: Prune = part => prune?.(table?.part(part) ?? part) ?? false
  const found = chunk.format === 'parquet' ? parquetParts(chunk, file, plan, skips) : arrowParts(chunk, file, plan)
  // the footer, which says what to read ahead; of Arrow IPC all will be read, and dictionaries may be large
  let first: ReturnType<typeof found.next> | undefined
  if (chunk.format === 'parquet') first = found.next()
  else file.ahead?.([{ start: 0, end: file.size }])
  first?.catch(() => {})
  async function* parts(): AsyncGenerator<Part> {
    try {
      for (let { done, value } = await (first ?? found.next()); !done; { done, value } = await found.next())
        yield table ? table.part(value) : value
    } finally {
      await found.return(undefined)
    }
  }
  return {
    parts: parts(),
    async close() {
      await first?.catch(() => {})
      await found.return(undefined)
      await file.close()
    },
  }
}

/** Reads a unit: files ▸ row groups and record batches ▸ spans ▸ selected rows ▸ encoded batches. */
import type { RecordBatch } from 'apache-arrow'
import { CancelledError } from '../core/errors.ts'
import { arrowParts } from './arrow-ipc.ts'
import { Batcher } from './batcher.ts'
import { openFileBytes, untilAborted } from './file-bytes.ts'
import { inFile } from './file-errors.ts'
import { parquetParts } from './parquet.ts'
import type { FilledBatch, OpenFile, PlannedChunk, ReadPlan, SpanRead, UnitReader } from './read-plan.ts'
import { renderColumn, renderRows } from './render.ts'
import { columnOf, compilePredicate, type Select } from './selection.ts'
import { type Span, spansOf } from './spans.ts'

/** `valueSet`: called at most once, for the predicate's values. */
export function openUnitReader(
  plan: ReadPlan,
  openFile: OpenFile,
  valueSet: (ref: string) => Promise<ReadonlySet<string>>,
): UnitReader {
  return new PlanReader(plan, openFile, valueSet)
}

interface ChunkSpan {
  readonly chunk: PlannedChunk
  readonly span: Span
}

class PlanReader implements UnitReader {
  readonly #plan: ReadPlan
  readonly #batcher: Batcher
  readonly #abort = new AbortController()
  readonly #spans: AsyncGenerator<ChunkSpan>
  readonly #loadSelect: () => Promise<Select | undefined>
  #select: Promise<Select | undefined> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(plan: ReadPlan, openFile: OpenFile, valueSet: (ref: string) => Promise<ReadonlySet<string>>) {
    const { signal } = this.#abort
    this.#plan = plan
    this.#batcher = new Batcher(plan)
    this.#spans = unitSpans(plan, openFile, signal)
    this.#loadSelect = async () => plan.predicate && untilAborted(compilePredicate(plan.predicate, valueSet), signal)
  }

  async next(): Promise<SpanRead | undefined> {
    this.#throwFailure()
    try {
      this.#select ??= this.#loadSelect()
      const select = await this.#select
      const { done, value } = await this.#spans.next()
      this.#abort.signal.throwIfAborted()
      return done ? undefined : this.#encode(value, select)
    } catch (error) {
      // the file is at no known place now: reading on would leave out rows
      this.#failure ??= { error }
      throw error
    }
  }

  async cut(): Promise<readonly FilledBatch[]> {
    this.#throwFailure()
    this.#batcher.cut()
    return this.#batcher.takeFilled()
  }

  async close(): Promise<void> {
    const error = new CancelledError('the reading was ended')
    this.#failure ??= { error }
    this.#abort.abort(error)
    // behind a next() that is under way, which now soon ends
    await this.#spans.return(undefined)
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  #encode({ chunk, span }: ChunkSpan, select: Select | undefined): SpanRead {
    this.#batcher.beginSpan(chunk.chunk, span.row)
    const selected = span.rows === 0 ? 0 : this.#addRows(chunk, span, select)
    const bytes = this.#batcher.endSpan()
    const { row, rows, last } = span
    return {
      chunk: chunk.chunk,
      row,
      rows,
      filtered: rows - selected,
      bytes,
      last,
      batches: this.#batcher.takeFilled(),
    }
  }

  /** Returns how many there were. */
  #addRows({ name }: PlannedChunk, span: Span, select: Select | undefined): number {
    return span.use(batch => inFile(name, () => this.#addBatch(name, span, batch, select?.(batch, name))))
  }

  #addBatch(name: string, span: Span, batch: RecordBatch, selected: Uint32Array | undefined): number {
    const json = renderRows(batch)
    const columns = (this.#plan.columns ?? []).map(column => {
      const { field, data } = columnOf(batch, name, column)
      return renderColumn(field, data)
    })
    const count = selected?.length ?? span.rows
    const texts: (string | null)[] = []
    for (let index = 0; index < count; index++) {
      const row = selected ? selected[index]! : index
      for (let column = 0; column < columns.length; column++) texts[column] = columns[column]!.text(row)
      this.#batcher.add(span.row + row, json(row), texts)
    }
    return count
  }
}

async function* unitSpans(plan: ReadPlan, openFile: OpenFile, signal: AbortSignal): AsyncGenerator<ChunkSpan> {
  for (const chunk of plan.chunks) {
    const file = await openFileBytes(chunk, openFile, signal)
    try {
      const parts = chunk.format === 'parquet' ? parquetParts(chunk, file, plan) : arrowParts(chunk, file, plan)
      for await (const span of spansOf(chunk, plan.spanRows, parts)) yield { chunk, span }
    } finally {
      await file.close()
    }
  }
}

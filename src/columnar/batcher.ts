/** Encoded rows into batches: how rows are framed, and where a batch is cut. */
import { hashRow } from './checksum.ts'
import type { Allocate, EncoderPlan } from './encoder.ts'
import { FRAMINGS, type Framing } from './framing.ts'
import type { FilledBatch, PlainEncoding } from './read-plan.ts'
import { RowTally, type SpanStart } from './row-tally.ts'
import { TextColumnRows, TextRows } from './text-rows.ts'

/** Rows into batches, span by span. */
export interface RowBatcher {
  /** The columns whose text it needs of every row. */
  readonly columns: readonly string[]
  beginSpan(chunk: number, row: number): void
  /** The next row of the span. `row`: its number in the chunk; `texts`: its values of `columns`; `id`: where the plan has ids. */
  add(row: number, json: string, texts: readonly (string | null)[], id?: string): void
  /** Returns the payload bytes of the span's rows. */
  endSpan(): number
  /** Cuts what is filling, between two spans. */
  cut(): void
  /** The batches that were cut since the last call, in order. */
  takeFilled(): FilledBatch[]
}

/**
 * Fills one batch at a time, as full as its limits allow. Stable batches are whole spans, as many as fit, or else pieces
 * of one span: a span that does not fit into what is filling begins a batch, and one that does not fit into a batch either
 * is cut wherever a batch is full and at its end.
 */
export class Batcher implements RowBatcher {
  readonly columns: readonly string[]
  readonly #plan: EncoderPlan
  readonly #allocate: Allocate
  readonly #framing: Framing
  readonly #payload = new TextRows()
  readonly #ids: TextColumnRows | undefined
  readonly #texts: readonly TextColumnRows[]
  readonly #tally = new RowTally()
  #span: OpenSpan = { chunk: 0, row: 0, bytes: 0, split: false }
  /** Rows of earlier spans in what is filling. */
  #earlierRows = 0
  #filled: FilledBatch[] = []

  constructor(plan: EncoderPlan & { readonly encoding: PlainEncoding }, allocate: Allocate) {
    this.columns = plan.columns ?? []
    this.#plan = plan
    this.#allocate = allocate
    this.#framing = FRAMINGS[plan.encoding.kind]
    this.#ids = plan.ids === undefined ? undefined : new TextColumnRows()
    this.#texts = this.columns.map(() => new TextColumnRows())
  }

  beginSpan(chunk: number, row: number): void {
    this.#span = { chunk, row, bytes: 0, split: false }
    this.#earlierRows = this.#payload.rows
  }

  add(row: number, json: string, texts: readonly (string | null)[], id?: string): void {
    const { first, next, after } = this.#framing
    const payload = this.#payload.append(json, this.#payload.rows === 0 ? first : next, after)
    const bytes = payload.length
    const checksum = this.#plan.checksums ? hashRow(payload, { id: id === undefined ? null : Buffer.from(id) }) : 0n
    if (id !== undefined) this.#ids?.append(id)
    for (let index = 0; index < this.#texts.length; index++) this.#texts[index]!.append(texts[index]!)
    // behind the row, whose size is only known now, and before it is counted
    while (this.#isOverfull()) this.#cutBeforeLast()
    this.#tally.count(this.#span, row, bytes, checksum)
    this.#span.bytes += bytes
  }

  endSpan(): number {
    if (this.#span.split) this.cut()
    return this.#span.bytes
  }

  cut(): void {
    if (this.#payload.rows > 0) this.#cutRows(this.#payload.rows)
  }

  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  #isOverfull(): boolean {
    const { rows, length } = this.#payload
    return rows > 1 && (rows > this.#plan.batchRows || length + this.#framing.end.length > this.#plan.batchBytes)
  }

  #cutBeforeLast(): void {
    const isWholeSpans = this.#plan.stableBatches && this.#earlierRows > 0
    if (this.#plan.stableBatches && !isWholeSpans) this.#span.split = true
    this.#cutRows(isWholeSpans ? this.#earlierRows : this.#payload.rows - 1)
  }

  /** `rows`: whole pieces. */
  #cutRows(rows: number): void {
    const { end, first } = this.#framing
    const payload = this.#payload.take(rows, this.#allocate, end.length)
    payload.bytes.set(end, payload.bytes.length - end.length)
    if (first !== undefined) this.#payload.reframeFirst(first)
    this.#earlierRows = Math.max(0, this.#earlierRows - rows)
    const columns = this.columns.map((name, index) => [name, this.#texts[index]!.take(rows)] as const)
    this.#filled.push({
      ...this.#tally.take(rows),
      ...payload,
      ...(this.#ids ? { ids: this.#ids.take(rows) } : {}),
      ...(this.#plan.columns ? { columns: Object.fromEntries(columns) } : {}),
    })
  }
}

interface OpenSpan extends SpanStart {
  bytes: number
  /** Stable batches: a batch ended inside of it. */
  split: boolean
}

/** The cutting of batches whose framing shows their rows, as in `batcher.ts`, for rows that are in the kernel. */
import type { Allocate, EncoderPlan } from './encoder.ts'
import { FRAMINGS } from './framing.ts'
import type { SlotBatches } from './kernel-encoder.ts'
import * as layout from './kernel-layout.ts'
import type { Slot, SlotTable } from './kernel-slots.ts'
import type { WantedColumns } from './kernel-span.ts'
import type { FilledBatch, PlainEncoding } from './read-plan.ts'
import type { SpanStart } from './row-tally.ts'

export class PlainBatches implements SlotBatches {
  readonly wanted: WantedColumns
  readonly #plan: EncoderPlan
  readonly #end: readonly number[]
  readonly #allocate: Allocate
  readonly #slot: Slot
  #span: SpanStart = { chunk: 0, row: 0 }
  #spanBytes = 0
  /** Stable batches: a batch ended inside of the span. */
  #split = false
  /** Rows of earlier spans in the slot. */
  #earlierRows = 0
  #filled: FilledBatch[] = []

  constructor(table: SlotTable, plan: EncoderPlan & { readonly encoding: PlainEncoding }, allocate: Allocate) {
    const { first, next, after, end } = FRAMINGS[plan.encoding.kind]
    this.wanted = { texts: plan.columns ?? [], key: undefined, timestamp: undefined }
    this.#plan = plan
    this.#end = end
    this.#allocate = allocate
    this.#slot = table.slots[0]!
    table.set(layout.ENCODER_BEFORE_FIRST, first ?? -1)
    table.set(layout.ENCODER_BEFORE_NEXT, next ?? -1)
    table.set(layout.ENCODER_AFTER, after ?? -1)
    table.set(layout.ENCODER_TAIL, end.length)
    table.set(layout.ENCODER_ID_TEXT, plan.ids === undefined ? 0 : 1)
  }

  beginSpan(span: SpanStart): void {
    this.#span = span
    this.#spanBytes = 0
    this.#split = false
    this.#earlierRows = this.#slot.rows
  }

  makeRoom(): void {
    const { stableBatches } = this.#plan
    const wholeSpans = stableBatches ? this.#earlierRows : 0
    this.#earlierRows = 0
    if (wholeSpans > 0) this.#cutRows(wholeSpans)
    else {
      this.#split = stableBatches
      this.cut()
    }
  }

  endSpan(): number {
    this.#spanBytes += this.#slot.endPiece(this.#span)
    this.#slot.spanRows = 0
    if (this.#split) this.cut()
    return this.#spanBytes
  }

  cut(): void {
    this.#spanBytes += this.#slot.endPiece(this.#span)
    const { rows } = this.#slot
    if (rows > 0) this.#cutRows(rows)
  }

  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  /** `rows`: whole pieces. */
  #cutRows(rows: number): void {
    const { columns, ids } = this.#plan
    const slot = this.#slot
    const firstColumn = ids === undefined ? 0 : 1
    const named = (columns ?? []).map((name, index) => [name, slot.text(firstColumn + index, rows)] as const)
    this.#filled.push({
      ...slot.describe(rows),
      ...plainBytes(slot, rows, this.#end, this.#allocate),
      ...(ids === undefined ? {} : { ids: slot.text(0, rows) }),
      ...(columns ? { columns: Object.fromEntries(named) } : {}),
    })
    slot.drop(rows)
  }
}

/** Copies of the first `rows` with `end` behind them. */
export function plainBytes(
  slot: Slot,
  rows: number,
  end: readonly number[],
  allocate: Allocate,
): Pick<FilledBatch, 'bytes' | 'ends'> {
  const ends = slot.ends(rows)
  const length = ends.at(-1)!
  const bytes = allocate(length + end.length)
  bytes.set(slot.payload(length))
  bytes.set(end, length)
  return { bytes, ends }
}

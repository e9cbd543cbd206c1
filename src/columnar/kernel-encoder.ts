import type { Allocate, EncodedSpan, RowPlan, SpanEncoder, SpanRows } from './encoder.ts'
import type { Kernel } from './kernel.ts'
import { PlainBatches } from './kernel-batches.ts'
import * as layout from './kernel-layout.ts'
import { uint32 } from './kernel-memory.ts'
import { RecordBatches, slotsFor } from './kernel-partitions.ts'
import { SlotTable } from './kernel-slots.ts'
import { bindSpan, type WantedColumns } from './kernel-span.ts'
import type { FilledBatch, RowIds } from './read-plan.ts'
import type { RowShape } from './row-shape.ts'
import type { SpanStart } from './row-tally.ts'

/** When and where slots are cut: the counterpart of `RowBatcher` for rows that are in the kernel. */
export interface SlotBatches {
  readonly wanted: WantedColumns
  beginSpan(span: SpanStart): void
  /** A row did not fit into the slot at this address. Cuts, so that the row fits, there or in another slot. */
  makeRoom(slot: number): void
  /** Returns the payload bytes of the span's rows. */
  endSpan(): number
  cut(): void
  takeFilled(): FilledBatch[]
}

/**
 * The encoder on the kernel, which writes and frames the rows; here batches are cut and taken out. The kernel runs through
 * the rows of a span until one does not fit into its batch any more, and goes on at that row when there is room.
 */
export class KernelEncoder implements SpanEncoder {
  readonly #kernel: Kernel
  readonly #ids: RowIds | undefined
  readonly #shape: RowShape | undefined
  readonly #table: SlotTable
  readonly #batches: SlotBatches
  #closed = false

  /** `clock`: milliseconds since 1970. */
  constructor(kernel: Kernel, plan: RowPlan, allocate: Allocate, clock: () => number = Date.now) {
    this.#kernel = kernel
    const { encoding, ids, shape, columns, checksums, batchRows, batchBytes } = plan
    this.#ids = ids
    this.#shape = shape
    if (encoding.kind === 'kafka-batch') {
      this.#table = new SlotTable(kernel, slotsFor(encoding), 0)
      this.#batches = new RecordBatches(this.#table, plan, encoding, allocate, clock)
    } else {
      this.#table = new SlotTable(kernel, 1, (ids === undefined ? 0 : 1) + (columns?.length ?? 0))
      this.#batches = new PlainBatches(this.#table, { ...plan, encoding }, allocate)
    }
    this.#table.set(layout.ENCODER_CHECKSUMS, checksums ? 1 : 0)
    this.#table.set(layout.ENCODER_ID_SEEDS, ids === undefined ? 0 : 1)
    this.#table.set(layout.ENCODER_SHAPED, shape === undefined ? 0 : 1)
    this.#table.set(layout.ENCODER_OMIT_NULLS, shape?.omitNulls ? 1 : 0)
    this.#table.set(layout.ENCODER_BATCH_ROWS, uint32(batchRows))
    this.#table.set(layout.ENCODER_PLAIN_BYTES, uint32(batchBytes))
  }

  add(span: SpanRows): EncodedSpan {
    const { chunk, row, batch, selected } = span
    this.#batches.beginSpan({ chunk, row })
    const count = selected?.length ?? batch.numRows
    if (count > 0) this.#encode(span, count)
    return { bytes: this.#batches.endSpan(), dropped: 0 }
  }

  cut(): void {
    this.#batches.cut()
  }

  takeFilled(): FilledBatch[] {
    return this.#batches.takeFilled()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#table.free()
  }

  #encode(span: SpanRows, count: number): void {
    const { encoder, memory } = this.#table
    const { encodeRows } = this.#kernel.exports
    const wanted = { ...this.#batches.wanted, ids: this.#ids, shape: this.#shape }
    const scratch = bindSpan(this.#kernel, this.#table, span, wanted)
    try {
      for (let position = encodeRows(encoder, 0); position < count; position = encodeRows(encoder, position)) {
        this.#batches.makeRoom(memory.get(encoder + layout.ENCODER_STOP_SLOT))
      }
    } finally {
      scratch.free(memory)
    }
  }
}

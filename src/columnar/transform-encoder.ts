/**
 * Rows through a host's own function. They are encoded as plain rows first, span by span, by whichever encoder there is; what the
 * function makes of each is framed by the batchers that are plain JavaScript.
 */
import type { RowBatcher } from './batcher.ts'
import type { Allocate, EncodedSpan, RowPlan, SpanEncoder, SpanRows } from './encoder.ts'
import { payloadAt } from './framing.ts'
import { openBatcher } from './javascript-encoder.ts'
import type { FilledBatch, TextColumn } from './read-plan.ts'
import { RefusedRows } from './refused-rows.ts'
import { type EventEnvelope, eventWriter, type RowShape, type ShapedColumn, type TransformRef } from './row-shape.ts'
import { failureOf, type Transform, transformOf } from './transform.ts'

export type TransformPlan = RowPlan & { readonly shape: RowShape & { readonly transform: TransformRef } }

/** Of a span, before the function; larger than spans are. */
const INNER_ROWS = 65_536
const INNER_BYTES = 64 << 20

export class TransformEncoder implements SpanEncoder {
  readonly #plan: TransformPlan
  readonly #inner: SpanEncoder
  readonly #batcher: RowBatcher
  readonly #refused: RefusedRows
  #transform: Transform | undefined
  readonly #event: ((data: string, json: (column: string) => string, id: string) => string) | undefined

  /** `openInner`: the encoder of plain rows. The transform must have been loaded before the first span. */
  constructor(
    plan: TransformPlan,
    allocate: Allocate,
    openInner: (plan: RowPlan) => SpanEncoder,
    clock: () => number = Date.now,
  ) {
    const { transform: _, event, ...shape } = plan.shape
    const ids = plan.ids ?? event?.ids
    this.#plan = plan
    this.#batcher = openBatcher(plan, allocate, clock)
    this.#refused = new RefusedRows(plan, allocate)
    this.#event = event && eventWriter({ ...event, columns: event.columns.map(unquoted) })
    this.#inner = openInner({
      encoding: { kind: 'rows' },
      ...(ids ? { ids } : {}),
      shape,
      columns: [...new Set([...this.#batcher.columns, ...attributeColumns(event)])],
      batchRows: INNER_ROWS,
      batchBytes: INNER_BYTES,
      stableBatches: false,
      checksums: false,
    })
  }

  add(span: SpanRows): EncodedSpan {
    this.#batcher.beginSpan(span.chunk, span.row)
    this.#refused.beginSpan(span.chunk, span.row)
    this.#inner.add(span)
    this.#inner.cut()
    let dropped = 0
    for (const batch of this.#inner.takeFilled()) dropped += this.#addRows(batch)
    return { bytes: this.#batcher.endSpan() + this.#refused.endSpan(), dropped }
  }

  cut(): void {
    this.#batcher.cut()
  }

  takeFilled(): FilledBatch[] {
    return [...this.#batcher.takeFilled(), ...this.#refused.takeFilled()]
  }

  close(): void {
    this.#inner.close()
  }

  /** Returns how many were left out. */
  #addRows(batch: FilledBatch): number {
    const { columns } = this.#batcher
    const beside = batch.columns ?? {}
    let dropped = 0
    for (let position = 0; position < batch.rows; position++) {
      const row = batch.rowNumbers[position]!
      const json = Buffer.from(payloadAt(batch, position, { kind: 'rows' })).toString()
      const id = batch.ids ? (textAt(batch.ids, position) ?? undefined) : undefined
      const changed = this.#change(json)
      if (changed === null) dropped++
      else if (typeof changed !== 'string') this.#refused.add(row, json, this.#plan.ids && id, changed.reason)
      else {
        const texts = columns.map(column => textAt(beside[column]!, position))
        const payload = this.#event
          ? this.#event(changed, column => attribute(beside[column]!, position), id!)
          : changed
        this.#batcher.add(row, payload, texts, this.#plan.ids && id)
      }
    }
    return dropped
  }

  #change(json: string): string | null | { readonly reason: string } {
    try {
      this.#transform ??= transformOf(this.#plan.shape.transform)
      return this.#transform(json)
    } catch (error) {
      return { reason: failureOf(error) }
    }
  }
}

function attributeColumns(event: EventEnvelope | undefined): readonly string[] {
  return event?.columns.map(({ column }) => column) ?? []
}

function textAt({ bytes, ends, nulls }: TextColumn, position: number): string | null {
  if (nulls[position] === 1) return null
  return Buffer.from(bytes.subarray(position === 0 ? 0 : ends[position - 1]!, ends[position]!)).toString()
}

/** Attributes come as texts here, which get their quotes all alike. */
function unquoted(column: ShapedColumn): ShapedColumn {
  return { ...column, quoted: false }
}

function attribute(column: TextColumn, position: number): string {
  const text = textAt(column, position)
  return text === null ? 'null' : JSON.stringify(text)
}

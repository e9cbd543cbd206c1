/** A span's columns in the kernel: those of its rows, and those that are wanted by themselves. */
import { type Data, DataType, type RecordBatch } from 'apache-arrow'
import type { SpanRows } from './encoder.ts'
import type { Kernel } from './kernel.ts'
import { type ColumnPlan, planColumn, writeColumn } from './kernel-columns.ts'
import { planFragments, planMilliseconds, type WantedRows } from './kernel-fragments.ts'
import * as layout from './kernel-layout.ts'
import { Scratch } from './kernel-scratch.ts'
import type { SlotTable } from './kernel-slots.ts'
import type { RowIds } from './read-plan.ts'
import { idColumns, idPrefix, mostIdBytes } from './row-ids.ts'
import { columnOf } from './selection.ts'

/** By name, beside the rows. */
export interface WantedColumns {
  readonly texts: readonly string[]
  readonly key: string | undefined
  readonly timestamp: string | undefined
}

interface Wanted extends WantedColumns {
  readonly ids: RowIds | undefined
}

/** What a value takes at most, or in front of the row's length; and what may be written behind it. */
const VALUE_BYTES = 128
const BLOCK_BYTES = 16

/**
 * Lays a span's columns out and points the encoder's record at them. They are there until the scratch that is returned is
 * freed. Throws as the renderer does.
 */
export function bindSpan(kernel: Kernel, { memory, encoder }: SlotTable, span: SpanRows, wanted: Wanted): Scratch {
  const scratch = new Scratch(kernel)
  const planner = new SpanPlanner(scratch, span)
  const rows = planner.rows()
  const texts = wanted.texts.map(column => planner.text(column))
  const key = wanted.key === undefined ? [] : [planner.text(wanted.key)]
  const timestamp = wanted.timestamp === undefined ? [] : [planner.timestamp(wanted.timestamp)]
  const ids = idColumns(wanted.ids).map(column => planner.text(column))
  const prefix = wanted.ids ? idPrefix(wanted.ids, span.chunk) : Buffer.alloc(0)
  const prefixPlace = scratch.place(prefix)
  const selected = span.selected && scratch.place(span.selected)
  const plans = [...rows, ...texts, ...key, ...timestamp, ...ids]
  const records = scratch.reserve(plans.length * layout.COLUMN_BYTES)

  scratch.fill(memory)
  const first = scratch.addressOf(records)
  const recordAt = (index: number): number => first + index * layout.COLUMN_BYTES
  plans.forEach((plan, index) => {
    writeColumn(memory, scratch, recordAt(index), plan)
  })
  const firstKey = rows.length + texts.length
  const firstTimestamp = firstKey + key.length
  const firstId = firstTimestamp + timestamp.length
  memory.set(encoder + layout.ENCODER_COLUMNS, first)
  memory.set(encoder + layout.ENCODER_COLUMNS_END, recordAt(rows.length))
  memory.set(encoder + layout.ENCODER_TEXT_COLUMNS, recordAt(rows.length))
  memory.set(encoder + layout.ENCODER_KEY_COLUMN, key.length > 0 ? recordAt(firstKey) : 0)
  memory.set(encoder + layout.ENCODER_TIMESTAMP_COLUMN, timestamp.length > 0 ? recordAt(firstTimestamp) : 0)
  memory.set(encoder + layout.ENCODER_IDS, idsKind(wanted.ids))
  memory.set(encoder + layout.ENCODER_ID_COLUMNS, recordAt(firstId))
  memory.set(encoder + layout.ENCODER_ID_COLUMNS_END, recordAt(firstId + ids.length))
  memory.set(encoder + layout.ENCODER_ID_PREFIX, scratch.addressOf(prefixPlace))
  memory.set(encoder + layout.ENCODER_ID_PREFIX_BYTES, prefix.length)
  memory.set(encoder + layout.ENCODER_SELECTED, selected ? scratch.addressOf(selected) : 0)
  memory.set(encoder + layout.ENCODER_COUNT, span.selected?.length ?? span.batch.numRows)
  memory.set(encoder + layout.ENCODER_FIRST_ROW, span.row)
  const keyBytes = rows.reduce((sum, plan) => sum + plan.key.bytes + BLOCK_BYTES, 0)
  const headers = memory.get(encoder + layout.ENCODER_HEADERS_BYTES)
  const idBytes = wanted.ids ? mostIdBytes(wanted.ids, span.chunk) + BLOCK_BYTES : 0
  memory.set(encoder + layout.ENCODER_RESERVE, keyBytes + headers + idBytes + VALUE_BYTES * (rows.length + 1))
  return scratch
}

function idsKind(ids: RowIds | undefined): number {
  if (!ids) return layout.IDS_NONE
  return 'job' in ids ? layout.IDS_BY_ROW : layout.IDS_BY_KEY
}

class SpanPlanner {
  readonly #scratch: Scratch
  readonly #batch: RecordBatch
  readonly #name: string
  readonly #selected: Uint32Array | undefined
  /** A column may be wanted in its row and by itself, but need not be copied twice. */
  readonly #native = new Map<Data, ColumnPlan | undefined>()

  constructor(scratch: Scratch, { batch, name, selected }: SpanRows) {
    this.#scratch = scratch
    this.#batch = batch
    this.#name = name
    this.#selected = selected
  }

  rows() {
    return this.#batch.schema.fields.map((field, index) => {
      const data = this.#batch.data.children[index]!
      const text = Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(field.name ?? '')}:`)
      const key = { place: this.#scratch.place(text), bytes: text.length }
      return { ...this.#plan({ field, data, selected: this.#selected }, 'json'), key }
    })
  }

  text(column: string): ColumnPlan {
    return this.#plan(this.#wanted(column), 'text')
  }

  timestamp(column: string): ColumnPlan {
    const wanted = this.#wanted(column)
    return DataType.isTimestamp(wanted.data.type) ? this.#plan(wanted, 'text') : planMilliseconds(this.#scratch, wanted)
  }

  #wanted(column: string): WantedRows {
    return { ...columnOf(this.#batch, this.#name, column), selected: this.#selected }
  }

  #plan(wanted: WantedRows, form: 'json' | 'text'): ColumnPlan {
    const { field, data } = wanted
    if (!this.#native.has(data)) this.#native.set(data, planColumn(this.#scratch, field.name, data))
    return this.#native.get(data) ?? planFragments(this.#scratch, wanted, form)
  }
}

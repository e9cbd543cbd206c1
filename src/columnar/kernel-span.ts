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
import { eventTexts, type RowShape, type ShapedColumn } from './row-shape.ts'
import { columnOf } from './selection.ts'

/** By name, beside the rows. */
export interface WantedColumns {
  readonly texts: readonly string[]
  readonly key: string | undefined
  readonly timestamp: string | undefined
}

interface Wanted extends WantedColumns {
  readonly ids: RowIds | undefined
  readonly shape: RowShape | undefined
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
  const { event } = wanted.shape ?? {}
  const rows = wanted.shape ? planner.members(wanted.shape.columns) : planner.rows()
  const attributes = planner.members(event?.columns ?? [])
  const texts = wanted.texts.map(column => planner.text(column))
  const key = wanted.key === undefined ? [] : [planner.text(wanted.key)]
  const timestamp = wanted.timestamp === undefined ? [] : [planner.timestamp(wanted.timestamp)]
  const named = wanted.ids ?? event?.ids
  const ids = idColumns(named).map(column => planner.text(column))
  const prefix = named ? idPrefix(named, span.chunk) : Buffer.alloc(0)
  const prefixPlace = scratch.place(prefix)
  const { head, between } = event ? eventTexts(event) : { head: '', between: '' }
  const [headText, betweenText] = [scratch.text(head), scratch.text(between)]
  const selected = span.selected && scratch.place(span.selected)
  const plans = [...rows, ...texts, ...key, ...timestamp, ...ids, ...attributes]
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
  const firstAttribute = firstId + ids.length
  memory.set(encoder + layout.ENCODER_COLUMNS, first)
  memory.set(encoder + layout.ENCODER_COLUMNS_END, recordAt(rows.length))
  memory.set(encoder + layout.ENCODER_TEXT_COLUMNS, recordAt(rows.length))
  memory.set(encoder + layout.ENCODER_KEY_COLUMN, key.length > 0 ? recordAt(firstKey) : 0)
  memory.set(encoder + layout.ENCODER_TIMESTAMP_COLUMN, timestamp.length > 0 ? recordAt(firstTimestamp) : 0)
  memory.set(encoder + layout.ENCODER_IDS, idsKind(named))
  memory.set(encoder + layout.ENCODER_ID_COLUMNS, recordAt(firstId))
  memory.set(encoder + layout.ENCODER_ID_COLUMNS_END, recordAt(firstId + ids.length))
  memory.set(encoder + layout.ENCODER_EVENT_HEAD, event ? scratch.addressOf(headText.place) : 0)
  memory.set(encoder + layout.ENCODER_EVENT_HEAD_BYTES, headText.bytes)
  memory.set(encoder + layout.ENCODER_EVENT_COLUMNS, recordAt(firstAttribute))
  memory.set(encoder + layout.ENCODER_EVENT_COLUMNS_END, recordAt(firstAttribute + attributes.length))
  memory.set(encoder + layout.ENCODER_EVENT_BETWEEN, scratch.addressOf(betweenText.place))
  memory.set(encoder + layout.ENCODER_EVENT_BETWEEN_BYTES, betweenText.bytes)
  memory.set(encoder + layout.ENCODER_ID_PREFIX, scratch.addressOf(prefixPlace))
  memory.set(encoder + layout.ENCODER_ID_PREFIX_BYTES, prefix.length)
  memory.set(encoder + layout.ENCODER_SELECTED, selected ? scratch.addressOf(selected) : 0)
  memory.set(encoder + layout.ENCODER_COUNT, span.selected?.length ?? span.batch.numRows)
  memory.set(encoder + layout.ENCODER_FIRST_ROW, span.row)
  const members = [...rows, ...attributes]
  const keyBytes = members.reduce((sum, plan) => sum + plan.key.bytes + BLOCK_BYTES, 0)
  const eventBytes = headText.bytes + betweenText.bytes
  const headers = memory.get(encoder + layout.ENCODER_HEADERS_BYTES)
  const idBytes = named ? mostIdBytes(named, span.chunk) + BLOCK_BYTES : 0
  const most = keyBytes + headers + 2 * idBytes + eventBytes + VALUE_BYTES * (members.length + 1)
  memory.set(encoder + layout.ENCODER_RESERVE, most)
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
      const key = this.#scratch.text(`${index === 0 ? '{' : ','}${JSON.stringify(field.name ?? '')}:`)
      return { ...this.#plan({ field, data, selected: this.#selected }, 'json'), key }
    })
  }

  members(columns: readonly ShapedColumn[]) {
    return columns.map(({ column, name, quoted }) => ({
      ...this.#plan(this.#wanted(column), quoted ? 'text' : 'json'),
      key: this.#scratch.text(`,${JSON.stringify(name)}:`),
      quoted,
    }))
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

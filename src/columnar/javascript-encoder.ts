import type { RecordBatch } from 'apache-arrow'
import { Batcher, type RowBatcher } from './batcher.ts'
import type { Allocate, EncodedSpan, RowPlan, SpanEncoder, SpanRows } from './encoder.ts'
import { PartitionBatcher } from './partition-batcher.ts'
import type { FilledBatch, RowIds } from './read-plan.ts'
import { renderColumn, renderRows } from './render.ts'
import { idColumns, rowId } from './row-ids.ts'
import { type RowShape, rowWriter } from './row-shape.ts'
import { columnOf } from './selection.ts'

/** The encoder where WebAssembly has no SIMD, and what the other one is tested against. */
export class JavaScriptEncoder implements SpanEncoder {
  readonly #batcher: RowBatcher
  readonly #ids: RowIds | undefined
  readonly #shape: RowShape | undefined

  /** `clock`: milliseconds since 1970. */
  constructor(plan: RowPlan, allocate: Allocate, clock: () => number = Date.now) {
    this.#batcher = openBatcher(plan, allocate, clock)
    this.#ids = plan.ids
    this.#shape = plan.shape
  }

  add({ chunk, row: first, name, batch, selected }: SpanRows): EncodedSpan {
    this.#batcher.beginSpan(chunk, first)
    const json = this.#shape ? shapedRows(batch, name, this.#shape) : renderRows(batch)
    const rendered = (column: string) => {
      const { field, data } = columnOf(batch, name, column)
      return renderColumn(field, data)
    }
    const columns = this.#batcher.columns.map(rendered)
    const named = this.#ids ?? this.#shape?.event?.ids
    const keys = idColumns(named).map(rendered)
    const count = selected?.length ?? batch.numRows
    const texts: (string | null)[] = []
    for (let index = 0; index < count; index++) {
      const row = selected ? selected[index]! : index
      for (let column = 0; column < columns.length; column++) texts[column] = columns[column]!.text(row)
      const id =
        named &&
        rowId(
          named,
          chunk,
          first + row,
          keys.map(key => key.text(row)),
        )
      this.#batcher.add(first + row, json(row, id), texts, this.#ids && id)
    }
    return { bytes: this.#batcher.endSpan(), dropped: 0 }
  }

  cut(): void {
    this.#batcher.cut()
  }

  takeFilled(): FilledBatch[] {
    return this.#batcher.takeFilled()
  }

  close(): void {}
}

function shapedRows(batch: RecordBatch, name: string, shape: RowShape): (row: number, id?: string) => string {
  const columns = [...shape.columns, ...(shape.event?.columns ?? [])].map(({ column }) => {
    const { field, data } = columnOf(batch, name, column)
    return [column, renderColumn(field, data)] as const
  })
  const renderers = new Map(columns)
  const write = rowWriter(shape)
  return (row, id) => write(column => renderers.get(column)!.json(row), id)
}

export function openBatcher(plan: RowPlan, allocate: Allocate, clock: () => number): RowBatcher {
  const { encoding } = plan
  return encoding.kind === 'kafka-batch'
    ? new PartitionBatcher({ ...plan, encoding }, allocate, clock)
    : new Batcher({ ...plan, encoding }, allocate)
}

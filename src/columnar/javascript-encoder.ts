import { Batcher, type RowBatcher } from './batcher.ts'
import type { Allocate, EncoderPlan, SpanEncoder, SpanRows } from './encoder.ts'
import { PartitionBatcher } from './partition-batcher.ts'
import type { FilledBatch } from './read-plan.ts'
import { renderColumn, renderRows } from './render.ts'
import { columnOf } from './selection.ts'

/** The encoder where WebAssembly has no SIMD, and what the other one is tested against. */
export class JavaScriptEncoder implements SpanEncoder {
  readonly #batcher: RowBatcher

  /** `clock`: milliseconds since 1970. */
  constructor(plan: EncoderPlan, allocate: Allocate, clock: () => number = Date.now) {
    this.#batcher = openBatcher(plan, allocate, clock)
  }

  add({ chunk, row: first, name, batch, selected }: SpanRows): number {
    this.#batcher.beginSpan(chunk, first)
    const json = renderRows(batch)
    const columns = this.#batcher.columns.map(column => {
      const { field, data } = columnOf(batch, name, column)
      return renderColumn(field, data)
    })
    const count = selected?.length ?? batch.numRows
    const texts: (string | null)[] = []
    for (let index = 0; index < count; index++) {
      const row = selected ? selected[index]! : index
      for (let column = 0; column < columns.length; column++) texts[column] = columns[column]!.text(row)
      this.#batcher.add(first + row, json(row), texts)
    }
    return this.#batcher.endSpan()
  }

  cut(): void {
    this.#batcher.cut()
  }

  takeFilled(): FilledBatch[] {
    return this.#batcher.takeFilled()
  }

  close(): void {}
}

function openBatcher(plan: EncoderPlan, allocate: Allocate, clock: () => number): RowBatcher {
  const { encoding } = plan
  return encoding.kind === 'kafka-batch'
    ? new PartitionBatcher({ ...plan, encoding }, allocate, clock)
    : new Batcher({ ...plan, encoding }, allocate)
}

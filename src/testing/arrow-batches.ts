import { Field, Int64, makeData, RecordBatch, Schema, Struct, Utf8, vectorFromArray } from 'apache-arrow'
import { ArrowEncoder } from '../columnar/arrow-encoder.ts'
import type { Allocate, EncoderPlan } from '../columnar/encoder.ts'
import type { FilledBatch } from '../columnar/read-plan.ts'
import type { TestRow } from './sink-driver.ts'

/** Rows of the tests as Arrow streams. `spans`: of one chunk, by their first row. */
export function* arrowBatches(
  plan: Pick<EncoderPlan, 'batchRows' | 'batchBytes' | 'columns'>,
  allocate: Allocate,
  chunk: number,
  spans: ReadonlyMap<number, readonly TestRow[]>,
): Generator<FilledBatch> {
  const encoder = new ArrowEncoder(
    { ...plan, encoding: { kind: 'arrow-stream' }, stableBatches: false, checksums: false },
    allocate,
  )
  for (const rows of spans.values()) {
    encoder.add({ chunk, row: rows[0]!.id, name: 'test rows', batch: recordBatchOf(rows), selected: undefined })
    yield* encoder.takeFilled()
  }
  encoder.cut()
  yield* encoder.takeFilled()
}

function recordBatchOf(rows: readonly TestRow[]): RecordBatch {
  const columns = {
    id: vectorFromArray(
      rows.map(({ id }) => BigInt(id)),
      new Int64(),
    ),
    key: vectorFromArray(
      rows.map(({ columns }) => columns['key'] ?? null),
      new Utf8(),
    ),
    text: vectorFromArray(
      rows.map(({ columns }) => columns['text'] ?? null),
      new Utf8(),
    ),
  }
  const fields = Object.entries(columns).map(([name, { type }]) => new Field(name, type, true))
  const children = Object.values(columns).map(({ data }) => data[0]!)
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length: rows.length, children }))
}

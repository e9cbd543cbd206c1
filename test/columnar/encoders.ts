/** What tests of the kernel's encoder share: tables of any columns, spans of them, and both encoders side by side. */
import { type Data, Field, makeData, RecordBatch, Schema, Struct } from 'apache-arrow'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { RowPlan, SpanEncoder, SpanRows } from '../../src/columnar/encoder.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import { chooseKernel } from '../../src/columnar/kernel.ts'
import { KernelEncoder } from '../../src/columnar/kernel-encoder.ts'
import { FormatError } from '../../src/core/errors.ts'
import type { Kind } from './arrow-leaf.ts'

export const kernel = chooseKernel('wasm').kernel!

const allocate = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length)
const clock = (): number => 1_700_000_000_000

export function openKernelEncoder(plan: RowPlan, own = kernel): KernelEncoder {
  return new KernelEncoder(own, plan, allocate, clock)
}

/** Each span is asked for when it is its turn: where it lies in the kernel's memory, it is gone when that grows. */
export type Spans = readonly (() => SpanRows)[]

/** What each call gave, or what was wrong with the columns. `cuts`: indexes of spans that a cut follows. */
function run(encoder: SpanEncoder, spans: Spans, cuts: ReadonlySet<number>): unknown[] {
  const results: unknown[] = []
  try {
    spans.forEach((span, index) => {
      results.push(encoder.add(span()))
      if (cuts.has(index)) encoder.cut()
      results.push(encoder.takeFilled())
    })
    encoder.cut()
    results.push(encoder.takeFilled())
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    results.push(error.message)
  } finally {
    encoder.close()
  }
  return results
}

/** Has both encoders do the same, and returns what came of it. */
export function expectEqual(plan: RowPlan, spans: Spans, cuts: ReadonlySet<number> = new Set()): unknown[] {
  const expected = run(new JavaScriptEncoder(plan, allocate, clock), spans, cuts)
  expect(run(openKernelEncoder(plan), spans, cuts)).toEqual(expected)
  return expected
}

export const UNLIMITED: RowPlan = {
  encoding: { kind: 'rows' },
  batchRows: 1_000_000,
  batchBytes: 1_000_000_000,
  stableBatches: false,
  checksums: true,
}

const MOST_ROWS = 30

export interface TestTable {
  readonly kinds: readonly Kind[]
  readonly rows: number
  readonly columns: readonly (readonly unknown[])[]
}

export function tablesOf(kinds: fc.Arbitrary<readonly Kind[]>): fc.Arbitrary<TestTable> {
  return fc.tuple(kinds, fc.integer({ min: 1, max: MOST_ROWS })).chain(([kinds, rows]) => {
    const length = { minLength: rows, maxLength: rows }
    const columns = kinds.map(kind => fc.array(fc.option(kind.value, { nil: null, freq: 4 }), length))
    return fc.tuple(...columns).map(columns => ({ kinds, rows, columns }))
  })
}

export function nameOf(index: number): string {
  return `c"${index}`
}

function columnsOf({ kinds, columns }: TestTable): Data[] {
  return kinds.map((kind, i) => kind.build(columns[i]!))
}

export function batchOf(rows: number, children: readonly Data[]): RecordBatch {
  const fields = children.map((data, i) => new Field(nameOf(i), data.type, true))
  return new RecordBatch(
    new Schema(fields),
    makeData({ type: new Struct(fields), length: rows, children: [...children] }),
  )
}

/** All rows of a batch, as the only span there is. */
export function spanOf(batch: RecordBatch): SpanRows {
  return { chunk: 0, row: 0, name: 'part-0.parquet', batch, selected: undefined }
}

/** Slices of a table with some of their rows selected, as spans of two chunks at most. */
export interface Cutout {
  readonly from: number
  readonly count: number
  readonly selected: readonly boolean[] | null
}

export const cutouts: fc.Arbitrary<Cutout[]> = fc.array(
  fc.record({
    from: fc.nat(MOST_ROWS),
    count: fc.nat(MOST_ROWS),
    selected: fc.option(fc.array(fc.boolean(), { minLength: MOST_ROWS, maxLength: MOST_ROWS })),
  }),
  { minLength: 1, maxLength: 4 },
)

export function spansOf(table: TestTable, cutouts: readonly Cutout[]): Spans {
  const whole = batchOf(table.rows, columnsOf(table))
  return cutouts.map(({ from, count, selected }, index) => () => {
    const start = from % table.rows
    const batch = whole.slice(start, start + 1 + (count % (table.rows - start)))
    const rows = Array.from({ length: batch.numRows }, (_, row) => row)
    return {
      chunk: 3 + (index >> 1),
      row: index * 100,
      name: 'part-0.parquet',
      batch,
      selected: selected ? Uint32Array.from(rows.filter(row => selected[row])) : undefined,
    }
  })
}

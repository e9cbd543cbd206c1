import { type Data, DataType, Field, makeData, RecordBatch, Schema, Struct } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EncoderPlan, SpanEncoder, SpanRows } from '../../src/columnar/encoder.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import { chooseKernel } from '../../src/columnar/kernel.ts'
import { KernelEncoder } from '../../src/columnar/kernel-encoder.ts'
import type { Encoding, KafkaEncoding } from '../../src/columnar/read-plan.ts'
import { anyKind } from './arrow-column.ts'
import { type Kind, LEAVES } from './arrow-leaf.ts'

const kernel = chooseKernel('wasm').kernel!
const RUNS = Number(process.env['MILLRACE_TEST_RUNS'] ?? 150)

const allocate = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length)
const clock = (): number => 1_700_000_000_000

/** What each call gave, or the error that ended it. */
function run(encoder: SpanEncoder, spans: readonly SpanRows[], cuts: ReadonlySet<number>): unknown[] {
  const results: unknown[] = []
  try {
    spans.forEach((span, index) => {
      results.push(encoder.add(span))
      if (cuts.has(index)) encoder.cut()
      results.push(encoder.takeFilled())
    })
    encoder.cut()
    results.push(encoder.takeFilled())
  } catch (error) {
    results.push(String(error))
  } finally {
    encoder.close()
  }
  return results
}

function expectEqual(plan: EncoderPlan, spans: readonly SpanRows[], cuts: ReadonlySet<number> = new Set()): unknown[] {
  const expected = run(new JavaScriptEncoder(plan, allocate, clock), spans, cuts)
  expect(run(new KernelEncoder(kernel, plan, allocate, clock), spans, cuts)).toEqual(expected)
  return expected
}

const MOST_ROWS = 30

interface TestTable {
  readonly kinds: readonly Kind[]
  readonly rows: number
  readonly columns: readonly (readonly unknown[])[]
}

function tablesOf(kinds: fc.Arbitrary<readonly Kind[]>): fc.Arbitrary<TestTable> {
  return fc.tuple(kinds, fc.integer({ min: 1, max: MOST_ROWS })).chain(([kinds, rows]) => {
    const length = { minLength: rows, maxLength: rows }
    const columns = kinds.map(kind => fc.array(fc.option(kind.value, { nil: null, freq: 4 }), length))
    return fc.tuple(...columns).map(columns => ({ kinds, rows, columns }))
  })
}

const nameOf = (index: number): string => `c"${index}`

function batchOf({ kinds, rows, columns }: TestTable): RecordBatch {
  const children = kinds.map((kind, i) => kind.build(columns[i]!))
  const fields = children.map((data: Data, i) => new Field(nameOf(i), data.type, true))
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length: rows, children }))
}

/** Slices of a table, with some of their rows selected, as spans of one chunk or of two. */
interface Cutout {
  readonly from: number
  readonly count: number
  readonly selected: readonly boolean[] | null
}

const cutouts: fc.Arbitrary<Cutout[]> = fc.array(
  fc.record({
    from: fc.nat(MOST_ROWS),
    count: fc.nat(MOST_ROWS),
    selected: fc.option(fc.array(fc.boolean(), { minLength: MOST_ROWS, maxLength: MOST_ROWS })),
  }),
  { minLength: 1, maxLength: 4 },
)

function spansOf(table: TestTable, cutouts: readonly Cutout[]): SpanRows[] {
  const whole = batchOf(table)
  return cutouts.map(({ from, count, selected }, index) => {
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

const limits = {
  batchRows: fc.integer({ min: 1, max: 20 }),
  batchBytes: fc.integer({ min: 1, max: 2000 }),
  stableBatches: fc.boolean(),
  checksums: fc.boolean(),
}

const cuts = fc.array(fc.nat(4)).map(cuts => new Set(cuts))

describe('the kernel makes the batches that the JavaScript encoder makes', () => {
  const plain = fc.record({
    ...limits,
    encoding: fc.constantFrom<Encoding>({ kind: 'rows' }, { kind: 'ndjson' }, { kind: 'json-array' }),
    ids: fc.constantFrom('job', 'ü-1'),
  })

  test('of columns of any types, also as ids and texts beside the rows', () => {
    const tables = tablesOf(fc.array(anyKind(2), { maxLength: 5 }))
    fc.assert(
      fc.property(plain, fc.boolean(), tables, cutouts, cuts, (plan, hasIds, table, cutouts, cuts) => {
        const columns = table.kinds.map((_, index) => nameOf(index)).slice(1)
        const { ids, ...rest } = plan
        expectEqual({ ...rest, ...(hasIds ? { ids } : {}), columns }, spansOf(table, cutouts), cuts)
      }),
      { numRuns: RUNS },
    )
  })

  const kafka: fc.Arbitrary<KafkaEncoding> = fc.record(
    {
      kind: fc.constant('kafka-batch' as const),
      partitions: fc.integer({ min: 1, max: 4 }),
      key: fc.constant(nameOf(0)),
      timestamp: fc.constantFrom('now' as const, { column: nameOf(1) }),
      headers: fc.dictionary(fc.string(), fc.string({ maxLength: 200 }), { maxKeys: 2 }),
      compression: fc.constantFrom('none' as const, 'gzip' as const),
      maxBatchBytes: fc.integer({ min: 61, max: 1000 }),
    },
    { requiredKeys: ['kind', 'partitions', 'timestamp', 'headers', 'compression'] },
  )

  test('of Kafka records, keyed by a column of any type and with any timestamps', () => {
    const times = fc.constantFrom(...LEAVES.filter(({ type }) => DataType.isTimestamp(type)))
    const tables = tablesOf(fc.tuple(anyKind(1), fc.oneof({ weight: 9, arbitrary: times }, anyKind(0)), anyKind(1)))
    fc.assert(
      fc.property(fc.record(limits), kafka, tables, cutouts, cuts, (plan, encoding, table, cutouts, cuts) => {
        expectEqual({ ...plan, encoding }, spansOf(table, cutouts), cuts)
      }),
      { numRuns: RUNS },
    )
  })
})

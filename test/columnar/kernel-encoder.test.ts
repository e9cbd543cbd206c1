import { DataType, makeData, Precision, Utf8 } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RowPlan } from '../../src/columnar/encoder.ts'
import { chooseKernel } from '../../src/columnar/kernel.ts'
import type { FilledBatch, KafkaEncoding } from '../../src/columnar/read-plan.ts'
import { anyKind } from './arrow-column.ts'
import { accumulate, type Kind, LEAVES } from './arrow-leaf.ts'
import {
  batchOf,
  cutouts,
  expectEqual,
  nameOf,
  openKernelEncoder,
  spanOf,
  spansOf,
  tablesOf,
  UNLIMITED,
} from './encoders.ts'

/** Raised by hand for longer runs. */
const RUNS = Number(process.env['MILLRACE_TEST_RUNS'] ?? 100)

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
    encoding: fc.constantFrom<RowPlan['encoding']>({ kind: 'rows' }, { kind: 'ndjson' }, { kind: 'json-array' }),
  })

  test('of columns of any types, also as ids and texts beside the rows', () => {
    const tables = tablesOf(fc.array(anyKind(2), { maxLength: 5 }))
    fc.assert(
      fc.property(plain, fc.nat(3), tables, cutouts, cuts, (plan, choice, table, cutouts, cuts) => {
        const names = table.kinds.map((_, index) => nameOf(index))
        const ids = [undefined, { job: 'job' }, { job: 'ü-1' }, { table: 'täble', columns: names }][choice]
        expectEqual({ ...plan, ...(ids ? { ids } : {}), columns: names.slice(1) }, spansOf(table, cutouts), cuts)
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
      idHeader: fc.constantFrom('id', 'é'.repeat(40)),
      compression: fc.constantFrom('none' as const, 'gzip' as const),
      maxBatchBytes: fc.integer({ min: 61, max: 1000 }),
    },
    { requiredKeys: ['kind', 'partitions', 'timestamp', 'headers', 'compression'] },
  )

  test('of Kafka records, keyed by a column of any type and with any timestamps', () => {
    const times = fc.constantFrom(...LEAVES.filter(({ type }) => DataType.isTimestamp(type)))
    const tables = tablesOf(fc.tuple(anyKind(1), fc.oneof({ weight: 9, arbitrary: times }, anyKind(0)), anyKind(1)))
    fc.assert(
      fc.property(fc.record(limits), kafka, fc.boolean(), tables, cutouts, cuts, (plan, encoding, byKey, ...rest) => {
        const [table, cutouts, cuts] = rest
        const ids = byKey ? { table: 't', columns: [nameOf(2), nameOf(0)] } : { job: 'job' }
        const named = encoding.idHeader === undefined ? {} : { ids }
        expectEqual({ ...plan, ...named, encoding }, spansOf(table, cutouts), cuts)
      }),
      { numRuns: RUNS },
    )
  })

  test('of strings of any length, which may need every byte of their room, and change the widths of varints', () => {
    const characters = fc.constantFrom('a', '\u0001', 'é', '"')
    const lengths = fc.oneof(fc.nat(40), fc.integer({ min: 100, max: 140 }), fc.integer({ min: 8_000, max: 20_000 }))
    const strings = fc.array(
      fc.tuple(characters, lengths).map(([character, length]) => character.repeat(length)),
      {
        minLength: 1,
        maxLength: 12,
      },
    )
    const encodings = fc.constantFrom<RowPlan['encoding']>(
      { kind: 'ndjson' },
      {
        kind: 'kafka-batch',
        partitions: 3,
        key: nameOf(0),
        timestamp: 'now',
        headers: { a: 'b' },
        idHeader: 'id',
        compression: 'none',
      },
    )
    fc.assert(
      fc.property(encodings, strings, fc.integer({ min: 1, max: 100_000 }), (encoding, strings, batchBytes) => {
        const batch = batchOf(strings.length, [textColumn(strings), textColumn(strings.toReversed())])
        const ids = { ids: { table: 't', columns: [nameOf(1), nameOf(0)] } }
        const columns = encoding.kind === 'ndjson' ? { columns: [nameOf(1)] } : ids
        expectEqual({ ...UNLIMITED, encoding, batchBytes, ...columns }, [() => spanOf(batch)])
      }),
      { numRuns: 25 },
    )
  })
})

test('a row of many values, each as long as its type has them, stays within its batch', () => {
  const rows = 150
  const longest = (kind: Kind): unknown[] =>
    Array.from({ length: rows }, (_, row) =>
      DataType.isDecimal(kind.type) ? -(10n ** 38n) + BigInt(row) : -Number.MAX_VALUE,
    )
  const kinds = LEAVES.filter(
    ({ type }) =>
      (DataType.isDecimal(type) && type.bitWidth === 128) ||
      (DataType.isFloat(type) && type.precision === Precision.DOUBLE),
  )
  const wide = Array.from({ length: 60 }, (_, index) => kinds[index % kinds.length]!)
  const batch = batchOf(
    rows,
    wide.map(kind => kind.build(longest(kind))),
  )
  for (let first = 0; first < 6; first++)
    expectEqual({ ...UNLIMITED, ids: { job: 'job' } }, [() => spanOf(batch.slice(first, rows))])
})

describe('the memory of encoders', () => {
  const keyed = (partitions: number): KafkaEncoding => ({
    kind: 'kafka-batch',
    partitions,
    key: nameOf(0),
    timestamp: 'now',
    headers: { source: 'test' },
    compression: 'none',
  })
  const texts = (rows: number, length: number) =>
    batchOf(rows, [textColumn(Array.from({ length: rows }, (_, row) => `${row}`.padEnd(length, '\u0001')))])

  test.each<[string, RowPlan['encoding'], Partial<RowPlan>]>([
    ['plain rows', { kind: 'json-array' }, { ids: { job: 'job' }, columns: [nameOf(0)] }],
    ['records', { ...keyed(5), idHeader: 'id' }, { ids: { table: 't', columns: [nameOf(0)] } }],
  ])('is all given back when they close, also what was filling: %s', (_, encoding, beside) => {
    const own = chooseKernel('wasm').kernel!
    const span = spanOf(texts(40, 20))
    const round = (): number => {
      const encoders = [1_000_000, 2000].map(batchBytes =>
        openKernelEncoder({ ...UNLIMITED, encoding, batchBytes, ...beside }, own),
      )
      for (const encoder of encoders) encoder.add(span)
      const filled = encoders.flatMap(encoder => encoder.takeFilled())
      for (const encoder of encoders) encoder.close()
      for (const encoder of encoders) encoder.close()
      return filled.length
    }
    for (let count = 0; count < 20; count++) expect(round()).toBeGreaterThan(0)
    const settled = own.memory.buffer.byteLength
    expect(settled).toBeLessThan(1_000_000)
    for (let count = 0; count < 3000; count++) round()
    expect(own.memory.buffer.byteLength).toBe(settled)
  })

  test('is what their slots hold: many partitions that took little cost little', () => {
    const own = chooseKernel('wasm').kernel!
    const encoder = openKernelEncoder({ ...UNLIMITED, encoding: keyed(1000), batchBytes: 1_000_000 }, own)
    encoder.add(spanOf(texts(2000, 100)))
    encoder.cut()
    expect(encoder.takeFilled().length).toBeGreaterThan(800)
    encoder.close()
    expect(own.memory.buffer.byteLength).toBeLessThan(8_000_000)
  })
})

test('what was filling goes with a closed encoder, and an encoder may close before it began', () => {
  openKernelEncoder(UNLIMITED).close()
  const encoder = openKernelEncoder(UNLIMITED)
  encoder.cut()
  expect(encoder.takeFilled()).toEqual<FilledBatch[]>([])
  encoder.close()
})

function textColumn(texts: readonly string[]) {
  const parts = texts.map(text => Buffer.from(text))
  return makeData({
    type: new Utf8(),
    length: texts.length,
    data: new Uint8Array(Buffer.concat(parts)),
    valueOffsets: Int32Array.from(accumulate(0, parts)),
  })
}

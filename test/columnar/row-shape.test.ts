import { DataType } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RowPlan } from '../../src/columnar/encoder.ts'
import type { FilledBatch } from '../../src/columnar/read-plan.ts'
import type { RowShape, ShapedColumn } from '../../src/columnar/row-shape.ts'
import { anyKind } from './arrow-column.ts'
import { integers, type Kind, LEAVES, strings } from './arrow-leaf.ts'
import { batchOf, cutouts, expectEqual, nameOf, spanOf, spansOf, tablesOf, UNLIMITED } from './encoders.ts'

const RUNS = Number(process.env['MILLRACE_TEST_RUNS'] ?? 100)

const int64s = LEAVES.find(({ type }) => DataType.isInt(type) && type.bitWidth === 64 && type.isSigned)!
const float64s = LEAVES.find(({ type }) => DataType.isFloat(type) && type.precision === 2)!
const timestamps = LEAVES.find(({ type }) => DataType.isTimestamp(type) && type.unit === 2)!

const batch = batchOf(3, [
  int64s.build([1n, null, 2n ** 62n]),
  strings.build(['plain', 'null', null].map(text => text && Buffer.from(text))),
  float64s.build([1.5, Number.NaN, null]),
  timestamps.build([0n, 1_500_000n, null]),
])
const [a, b, c, d] = [0, 1, 2, 3].map(nameOf) as [string, string, string, string]

function column(name: string, as = name, quoted = false): ShapedColumn {
  return { column: name, name: as, quoted }
}

/** The rows, as both encoders make them. */
function rowsOf(shape: RowShape, beside: Partial<RowPlan> = {}): string[] {
  const results = expectEqual({ ...UNLIMITED, shape, ...beside }, [() => spanOf(batch)])
  return results
    .filter(result => Array.isArray(result))
    .flatMap(batches => batches as readonly FilledBatch[])
    .flatMap(({ bytes, ends }) =>
      Array.from(ends, (end, row) => Buffer.from(bytes.subarray(row === 0 ? 0 : ends[row - 1]!, end)).toString()),
    )
}

describe('rows with a shape of their own', () => {
  test('have the columns that are named, in that order and under their new names', () => {
    const shape = { columns: [column(c, 'ratio "π"'), column(a)], omitNulls: false }
    expect(rowsOf(shape)).toEqual([
      '{"ratio \\"π\\"":1.5,"c\\"0":1}',
      '{"ratio \\"π\\"":null,"c\\"0":null}',
      '{"ratio \\"π\\"":null,"c\\"0":4611686018427387904}',
    ])
  })

  test('leave out what is null, also all of it', () => {
    const shape = { columns: [column(a, 'a'), column(b, 'b'), column(c, 'c')], omitNulls: true }
    expect(rowsOf(shape)).toEqual(['{"a":1,"b":"plain","c":1.5}', '{"b":"null"}', '{"a":4611686018427387904}'])
    expect(rowsOf({ columns: [column(c, 'c')], omitNulls: true })).toEqual(['{"c":1.5}', '{}', '{}'])
    expect(rowsOf({ columns: [], omitNulls: false })).toEqual(['{}', '{}', '{}'])
  })

  test('have numbers as strings', () => {
    const shape = { columns: [column(a, 'a', true), column(c, 'c')], omitNulls: false }
    expect(rowsOf(shape)).toEqual(['{"a":"1","c":1.5}', '{"a":null,"c":null}', '{"a":"4611686018427387904","c":null}'])
  })

  test('are the data of events', () => {
    const event = {
      attributes: { specversion: '1.0', type: 'com.example.row', source: '/t"able' },
      columns: [column(b, 'subject'), column(d, 'time')],
      ids: { job: 'job' },
    }
    const shape = { columns: [column(a, 'a')], omitNulls: false, event }
    const head = (row: number) =>
      `{"specversion":"1.0","type":"com.example.row","source":"/t\\"able","id":"job-0-${row}"`
    const events = [
      `${head(0)},"subject":"plain","time":"1970-01-01T00:00:00Z","data":{"a":1}}`,
      `${head(1)},"subject":"null","time":"1970-01-01T00:00:01.500Z","data":{"a":null}}`,
      `${head(2)},"data":{"a":4611686018427387904}}`,
    ]
    expect(rowsOf(shape)).toEqual(events)
    // an id that only names the event is no id of the destination's
    const [plain, named] = [{}, { ids: event.ids }].map(
      beside => expectEqual({ ...UNLIMITED, shape, ...beside }, [() => spanOf(batch)]) as unknown[][],
    )
    expect((plain!.at(-1) as FilledBatch[])[0]).not.toHaveProperty('ids')
    expect((named!.at(-1) as FilledBatch[])[0]).toHaveProperty('ids')
    expect((plain!.at(-1) as FilledBatch[])[0]!.pieces[0]!.checksum).not.toBe(
      (named!.at(-1) as FilledBatch[])[0]!.pieces[0]!.checksum,
    )
  })
})

describe('the kernel makes the batches that the JavaScript encoder makes, of rows with a shape', () => {
  const encodings = fc.constantFrom<RowPlan['encoding']>(
    { kind: 'rows' },
    { kind: 'ndjson' },
    { kind: 'json-array' },
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

  const shapeOf = (kinds: readonly Kind[]): fc.Arbitrary<RowShape> => {
    const columns = fc.array(
      fc
        .record({ index: fc.nat(kinds.length - 1), name: fc.string(), quoted: fc.boolean() })
        .map(({ index, name, quoted }) => column(nameOf(index), name, quoted && isNumber(kinds[index]!.type))),
      { maxLength: 6 },
    )
    const event = fc.record({
      attributes: fc.dictionary(fc.string(), fc.string(), { minKeys: 1, maxKeys: 3 }),
      columns,
      ids: fc.constantFrom({ job: 'job-1' }, { table: 'täble', columns: [nameOf(0)] }),
    })
    return fc.record({ columns, omitNulls: fc.boolean(), event }, { requiredKeys: ['columns', 'omitNulls'] })
  }

  test('of columns of any types', () => {
    const tables = tablesOf(
      fc.array(fc.oneof(anyKind(1), fc.constant(integers(int64s.type, 64, true))), { minLength: 1, maxLength: 4 }),
    )
    const cases = tables.chain(table => fc.tuple(fc.constant(table), shapeOf(table.kinds)))
    const limits = fc.record({
      batchRows: fc.integer({ min: 1, max: 20 }),
      batchBytes: fc.integer({ min: 1, max: 2000 }),
    })
    const property = fc.property(
      encodings,
      limits,
      cases,
      cutouts,
      fc.boolean(),
      (encoding, limits, [table, shape], cutouts, named) => {
        // one event of rows has one kind of ids
        const ids = shape.event?.ids ?? { job: 'job-1' }
        const plan = { ...UNLIMITED, encoding, ...limits, shape }
        expectEqual(named || encoding.kind === 'kafka-batch' ? { ...plan, ids } : plan, spansOf(table, cutouts))
      },
    )
    fc.assert(property, { numRuns: 2 * RUNS })
  })
})

function isNumber(type: DataType): boolean {
  return DataType.isDictionary(type) ? isNumber(type.dictionary) : DataType.isInt(type) || DataType.isDecimal(type)
}

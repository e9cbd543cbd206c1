import {
  Bool,
  Data,
  DataType,
  Decimal,
  DenseUnion,
  Dictionary,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float64,
  Int8,
  Int32,
  Map_,
  makeData,
  RecordBatch,
  RecordBatchReader,
  Schema,
  Struct,
  Table,
  Type,
  tableToIPC,
  Utf8,
  Utf8View,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { renderColumn, renderRows } from '../../src/columnar/render.ts'
import { anyKind, columnOf, type TestColumn } from './arrow-column.ts'
import { LEAVES } from './arrow-leaf.ts'
import { oracleJson, oracleText } from './oracle.ts'

describe('any column', () => {
  it.each(LEAVES.map(kind => [String(kind.type), kind] as const))('of %s is what the oracle says', (_, kind) => {
    fc.assert(
      fc.property(columnOf(fc.constant(kind)), column => expectOracle(column, build(column))),
      { numRuns: 40 },
    )
  })

  it('of any nested type is what the oracle says', () => {
    fc.assert(
      fc.property(columnOf(anyKind(3)), column => expectOracle(column, build(column))),
      { numRuns: 500 },
    )
  })

  it('can be a slice, and a slice of a slice', () => {
    fc.assert(
      fc.property(columnOf(anyKind(2), 1, 40), fc.nat(), fc.nat(), ({ kind, values }, from, count) => {
        from %= values.length
        count %= values.length - from + 1
        const once = build({ kind, values }).slice(from, count)
        expectOracle({ kind, values: values.slice(from, from + count) }, once)
        const [skip, rest] = [Math.floor(count / 3), Math.ceil(count / 2)]
        expectOracle({ kind, values: values.slice(from + skip, from + skip + rest) }, once.slice(skip, rest))
      }),
      { numRuns: 500 },
    )
  })

  it('survives Arrow IPC', () => {
    fc.assert(
      fc.property(columnOf(anyKind(2), 1, 40), column => {
        // apache-arrow 21 writes views that were cut out of their buffer wrongly, and lists cut out their items
        fc.pre(!/(List|Map).*View/.test(String(column.kind.type)))
        const reader = RecordBatchReader.from(tableToIPC(new Table(batchOf(build(column))), 'stream'))
        for (const batch of reader) expectOracle(column, batch.data.children[0]!)
      }),
      { numRuns: 500 },
    )
  })
})

describe('rows', () => {
  it('are objects with the columns in order', () => {
    const batch = batchOf(
      vectorFromArray([1, null, 3], new Int32()).data[0]!,
      vectorFromArray(['x', 'ä"', null], new Utf8()).data[0]!,
    )
    const row = renderRows(batch)
    expect([0, 1, 2].map(row)).toEqual(['{"c0":1,"c1":"x"}', '{"c0":null,"c1":"ä\\""}', '{"c0":3,"c1":null}'])
    expect(renderRows(batch.slice(1, 3))(1)).toBe('{"c0":3,"c1":null}')
  })

  it('keep names that need escaping, are empty or come twice', () => {
    const one = vectorFromArray([1], new Int8()).data[0]!
    const fields = ['a"\n', '', 'x', 'x'].map(name => new Field(name, new Int8(), true))
    const data = makeData({ type: new Struct(fields), length: 1, children: fields.map(() => one) })
    const batch = new RecordBatch(new Schema(fields), data)
    expect(renderRows(batch)(0)).toBe('{"a\\"\\n":1,"":1,"x":1,"x":1}')
  })

  it('may have no column at all', () => {
    const batch = new RecordBatch(new Schema([]), makeData({ type: new Struct([]), length: 2, children: [] }))
    expect(renderRows(batch)(1)).toBe('{}')
  })

  it('are not looked for in a column of none, of whatever type', () => {
    for (const kind of LEAVES)
      expect(() => renderColumn(new Field('c', kind.type, true), makeData({ type: kind.type } as never))).not.toThrow()
  })

  it('can be asked for in any order, one by one or in runs, more than once', () => {
    const texts = fc.array(
      fc.oneof(
        { weight: 200, arbitrary: fc.constantFrom('plain', 'text', '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913') },
        { weight: 1, arbitrary: fc.constantFrom('ü', '"', '\n', 'y'.repeat(300_000)) },
        { weight: 10, arbitrary: fc.constant(null) },
      ),
      { minLength: 900, maxLength: 1100, size: 'max' },
    )
    const visits = fc.array(fc.record({ from: fc.nat(), count: fc.nat(600), step: fc.constantFrom(1, 1, 3, 50) }), {
      maxLength: 8,
    })
    fc.assert(
      fc.property(texts, visits, (texts, visits) => {
        const doubles = texts.map((text, i) => (text === null ? null : i % 7 === 0 ? Number.NaN : i / 7))
        const row = renderRows(
          batchOf(vectorFromArray(texts, new Utf8()).data[0]!, vectorFromArray(doubles, new Float64()).data[0]!),
        )
        for (const { from, count, step } of visits) {
          for (let i = 0; i < count; i += step) {
            const at = (from + i) % texts.length
            expect(row(at)).toBe(JSON.stringify({ c0: texts[at], c1: doubles[at] }))
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('a column that cannot be right', () => {
  const text = { type: new Utf8(), data: Buffer.from('abc') }
  const view = (length: number, buffer: number, offset: number): Data =>
    makeData({
      type: new Utf8View(),
      views: new Uint8Array(Int32Array.of(length, 0, buffer, offset).buffer),
      variadicBuffers: [new Uint8Array(20)],
    })
  const int8 = (length: number): Data<Int8> => makeData({ type: new Int8(), data: new Int8Array(length) })
  const union = (typeId: number, offset: number): Data =>
    makeData({
      type: new DenseUnion([3], [new Field('m', new Int8(), true)]),
      typeIds: Int8Array.of(typeId),
      valueOffsets: Int32Array.of(offset),
      children: [int8(1)],
      length: 1,
    } as never)
  const dictionary = (index: number): Data =>
    makeData({
      type: new Dictionary(new Int8(), new Int32()),
      data: Int32Array.of(index),
      dictionary: new Vector([int8(2)]),
    })

  const entryType = new Struct<{ key: Int8; value: Int8 }>([
    new Field('key', new Int8()),
    new Field('value', new Int8()),
  ])
  const mapType = new Map_<Int8, Int8>(new Field('entries', entryType))
  const mapEntries = (length: number, ...children: Data[]): Data => makeData({ type: entryType, length, children })

  it.each<[string, Data]>([
    ['its offsets go backwards', makeData({ ...text, valueOffsets: Int32Array.of(0, 2, 1) })],
    ['its offsets go backwards', makeData({ ...text, valueOffsets: Int32Array.of(-1, 2) })],
    ['its offsets point behind its values', makeData({ ...text, valueOffsets: Int32Array.of(0, 4) })],
    ['its offsets are fewer than its rows', makeData({ ...text, valueOffsets: Int32Array.of(0, 1), length: 2 })],
    ['its values are fewer than its rows', makeData({ type: new Int32(), data: new Int32Array(2), length: 3 })],
    ['its values are fewer than its rows', makeData({ type: new Bool(), data: new Uint8Array(1), length: 9 })],
    [
      'its values are fewer than its rows',
      makeData({ type: new FixedSizeBinary(4), data: new Uint8Array(2), length: 2 }),
    ],
    ['its values are fewer than its rows', makeData({ type: new Decimal(0, 38), data: new Uint32Array(2), length: 2 })],
    [
      'its values are fewer than its rows',
      makeData({ type: new FixedSizeList(2, new Field('i', new Int8())), length: 2, child: int8(3) }),
    ],
    [
      'its values are fewer than its rows',
      makeData({ type: new Struct([new Field('i', new Int8())]), length: 2, children: [int8(1)] }),
    ],
    [
      'its values are fewer than its rows',
      makeData({ type: mapType, valueOffsets: Int32Array.of(0, 2), child: mapEntries(2, int8(1), int8(2)) }),
    ],
    [
      'its null bitmap is shorter than the column',
      makeData({ type: new Int8(), data: new Int8Array(9), nullBitmap: Uint8Array.of(1) }),
    ],
    ['a view points outside of its buffers', view(13, 0, 8)],
    ['a view points outside of its buffers', view(13, 1, 0)],
    ['a view points outside of its buffers', view(-1, 0, 0)],
    ['a row points outside of the members of its union', union(4, 0)],
    ['a row points outside of the members of its union', union(3, 1)],
    ['an index points outside of its dictionary', dictionary(2)],
    ['an index points outside of its dictionary', dictionary(-1)],
  ])('is an error that says: %s', (problem, data) => {
    expect(() => renderColumn(new Field('price "net"', data.type, true), data)).toThrow(
      expect.objectContaining({
        code: 'file_corrupt',
        message: `column "price \\"net\\"": ${problem}; stage the file again`,
      }),
    )
  })

  it('is an error when a key of a map is NULL', () => {
    const fields = [new Field('key', new Utf8(), true), new Field('value', new Int8(), true)]
    const entries = new Struct<{ key: Utf8; value: Int8 }>(fields as never)
    const keys = vectorFromArray(['a', null], new Utf8()).data[0]!
    const child = makeData({ type: entries, length: 2, children: [keys, int8(2)] })
    const type = new Map_<Utf8, Int8>(new Field('entries', entries, false))
    const column = renderColumn(
      new Field('m', type, true),
      makeData({ type, valueOffsets: Int32Array.of(0, 1, 2), child }),
    )
    expect(column.json(0)).toBe('{"a":0}')
    expect(() => column.json(1)).toThrow(expect.objectContaining({ code: 'file_corrupt' }))
  })

  it('is an error when no JSON form was ever settled for its type', () => {
    class Odd extends DataType {
      constructor() {
        super(Type.NONE)
      }
      override toString(): string {
        return 'Odd'
      }
    }
    const data = new Data<DataType>(new Odd(), 0, 1)
    expect(() => renderColumn(new Field('c', data.type, true), data)).toThrow(
      expect.objectContaining({
        code: 'unsupported_type',
        message: 'column "c" has the type Odd, which has no JSON form: convert it where it is staged',
      }),
    )
  })
})

function build({ kind, values }: TestColumn): Data {
  return kind.build(values)
}

function expectOracle({ kind, values }: TestColumn, data: Data): void {
  const column = renderColumn(new Field('c', kind.type, true), data)
  const rows = values.map((_, row) => row)
  expect(rows.map(row => column.json(row))).toEqual(values.map(value => oracleJson(kind.type, value)))
  expect(rows.map(row => column.text(row))).toEqual(values.map(value => oracleText(kind.type, value)))
}

function batchOf(...columns: Data[]): RecordBatch {
  const schema = new Schema(columns.map((data, i) => new Field(`c${i}`, data.type, true)))
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: columns[0]!.length, children: columns }),
  )
}

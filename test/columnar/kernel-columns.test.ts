import {
  type Data,
  DataType,
  Decimal,
  Dictionary,
  FixedSizeBinary,
  Int8,
  Int32,
  makeData,
  Utf8,
  Utf8View,
  Vector,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { columnOf, dictionaries } from './arrow-column.ts'
import { LEAVES } from './arrow-leaf.ts'
import { batchOf, expectEqual, kernel, spanOf, UNLIMITED } from './encoders.ts'

const plan = { ...UNLIMITED, columns: ['c"0'] }

describe('a column', () => {
  test.each(LEAVES.map(kind => [String(kind.type), kind] as const))(
    'of %s is the same from either encoder',
    (_, kind) => {
      fc.assert(
        fc.property(columnOf(fc.constant(kind), 1, 40), fc.nat(), ({ values }, from) => {
          const batch = batchOf(values.length, [kind.build(values)])
          expectEqual(plan, [() => spanOf(batch.slice(from % values.length, values.length))])
        }),
        { numRuns: 25 },
      )
    },
  )

  test('that lies in the memory of the kernel is read where it is', () => {
    const kinds = fc.oneof(
      fc.constantFrom(...LEAVES),
      fc.constantFrom(...LEAVES).map(kind => dictionaries(kind, new Int32())),
    )
    fc.assert(
      fc.property(columnOf(kinds, 1, 40), fc.nat(), ({ kind, values }, from) => {
        const owned: number[] = []
        const data = kind.build(values)
        try {
          expectEqual(plan, [
            () => {
              makeRoom(1 << 20)
              const batch = batchOf(values.length, [inKernel(data, owned)])
              return spanOf(batch.slice(from % values.length, values.length))
            },
          ])
        } finally {
          for (const address of owned) kernel.exports.free(address)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('that lies in the memory of the kernel is read where it is when that memory grows to take the others', () => {
    const { byteLength } = kernel.memory.buffer
    const owned: number[] = []
    const values = Int32Array.from({ length: 1000 }, (_, row) => row * 1_000_003)
    const large = new Uint8Array(byteLength).fill(0x61)
    const valueOffsets = Int32Array.from({ length: 1001 }, (_, row) => Math.floor((row * byteLength) / 1000))
    expectEqual(plan, [
      () => {
        makeRoom(1 << 20)
        const batch = batchOf(1000, [
          inKernel(makeData({ type: new Int32(), data: values }), owned),
          makeData({ type: new Utf8(), data: large, valueOffsets, length: 1000 }),
        ])
        return { ...spanOf(batch), selected: Uint32Array.of(3, 999) }
      },
    ])
    expect(kernel.memory.buffer.byteLength).toBeGreaterThan(byteLength)
    for (const address of owned) kernel.exports.free(address)
  })
})

describe('a column that cannot be right is the same error from either encoder', () => {
  const text = { type: new Utf8(), data: Buffer.from('abc') }
  const view = (length: number, buffer: number, offset: number): Data =>
    makeData({
      type: new Utf8View(),
      views: new Uint8Array(Int32Array.of(length, 0, buffer, offset).buffer),
      variadicBuffers: [new Uint8Array(20)],
    })
  const dictionary = (index: number): Data =>
    makeData({
      type: new Dictionary(new Int8(), new Int32()),
      data: Int32Array.of(index),
      dictionary: new Vector([makeData({ type: new Int8(), data: new Int8Array(2) })]),
    })
  const brokenEntries = makeData({ ...text, valueOffsets: Int32Array.of(0, 9) })

  test.each<[string, Data]>([
    ['its offsets go backwards', makeData({ ...text, valueOffsets: Int32Array.of(0, 2, 1) })],
    ['its offsets go backwards', makeData({ ...text, valueOffsets: Int32Array.of(-1, 2) })],
    ['its offsets point behind its values', makeData({ ...text, valueOffsets: Int32Array.of(0, 4) })],
    ['its offsets are fewer than its rows', makeData({ ...text, valueOffsets: Int32Array.of(0, 1), length: 2 })],
    ['its values are fewer than its rows', makeData({ type: new Int32(), data: new Int32Array(2), length: 3 })],
    ['its values are fewer', makeData({ type: new FixedSizeBinary(4), data: new Uint8Array(2), length: 2 })],
    ['its values are fewer', makeData({ type: new Decimal(0, 38), data: new Uint32Array(2), length: 2 })],
    [
      'its values are fewer than its rows',
      makeData({ type: new Utf8View(), views: new Uint8Array(16), variadicBuffers: [], length: 2 }),
    ],
    [
      'its null bitmap is shorter than the column',
      makeData({ type: new Int8(), data: new Int8Array(9), nullBitmap: Uint8Array.of(1) }),
    ],
    ['a view points outside of its buffers', view(13, 0, 8)],
    ['a view points outside of its buffers', view(13, 1, 0)],
    ['a view points outside of its buffers', view(13, -1, 0)],
    ['a view points outside of its buffers', view(-1, 0, 0)],
    ['an index points outside of its dictionary', dictionary(2)],
    ['an index points outside of its dictionary', dictionary(-1)],
    [
      'its offsets point behind its values',
      makeData({
        type: new Dictionary(new Utf8(), new Int32()),
        data: Int32Array.of(0),
        dictionary: new Vector([brokenEntries]),
      }),
    ],
  ])('%s', (problem, data) => {
    const [error] = expectEqual(UNLIMITED, [() => spanOf(batchOf(data.length, [data]))])
    expect(error).toContain(`column "c\\"0": ${problem}`)
  })
})

/** The same column over copies in the kernel's memory; views point into the whole of it, as the Parquet decoder makes them. */
function inKernel(data: Data, owned: number[]): Data {
  const { type, length, offset } = data
  const nullBitmap = data.nullBitmap ? place(data.nullBitmap, owned) : undefined
  const buffers = { type, length, offset, nullBitmap } as object
  if (DataType.isNull(type)) return data
  if (DataType.isDictionary(type)) {
    const dictionary = new Vector(data.dictionary!.data.map(piece => inKernel(piece, owned)))
    return makeData({ ...buffers, data: place(data.values, owned), dictionary } as never)
  }
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) {
    const addresses = data.variadicBuffers.map(buffer => place(buffer, owned).byteOffset)
    const views = new Uint8Array(data.values)
    const fields = new DataView(views.buffer)
    for (let row = 0; row < length; row++) {
      if (fields.getInt32(row * 16, true) <= 12) continue
      const address = addresses[fields.getInt32(row * 16 + 8, true)]! + fields.getInt32(row * 16 + 12, true)
      fields.setInt32(row * 16 + 8, 0, true)
      fields.setInt32(row * 16 + 12, address, true)
    }
    const variadicBuffers = [new Uint8Array(kernel.memory.buffer)]
    return makeData({ ...buffers, views: place(views, owned), variadicBuffers } as never)
  }
  const valueOffsets = data.valueOffsets && place(data.valueOffsets, owned)
  return makeData({ ...buffers, data: place(data.values, owned), ...(valueOffsets ? { valueOffsets } : {}) } as never)
}

/** Lets the memory grow now, so that it does not while views of it are made. */
function makeRoom(bytes: number): void {
  kernel.exports.free(kernel.exports.allocate(bytes))
}

function place<T extends Uint8Array | Int32Array | BigInt64Array>(view: T, owned: number[]): T {
  const address = kernel.exports.allocate(view.byteLength) >>> 0
  owned.push(address)
  new Uint8Array(kernel.memory.buffer, address, view.byteLength).set(
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
  )
  const Type = view.constructor as new (buffer: ArrayBuffer, at: number, length: number) => T
  return new Type(kernel.memory.buffer, address, view.length)
}

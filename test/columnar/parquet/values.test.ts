/** Encodings in the kernel that the writers at hand use only in part, against encoders that take a bit at a time. */
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { kernel } from './decoders.ts'

const { exports, memory } = kernel
const input = exports.allocate(1 << 16)
const output = exports.allocate(1 << 16)
afterAll(() => {
  exports.free(input)
  exports.free(output)
})

function place(bytes: readonly number[]): { start: number; end: number } {
  new Uint8Array(memory.buffer).set(bytes, input)
  return { start: input, end: input + bytes.length }
}

function varint(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)]
}

const zigzag = (value: bigint): number[] => varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)))

/** Lowest bits first. */
function packed(values: readonly bigint[], width: number): number[] {
  const all = values.reduce((sum, value, i) => sum | (value << BigInt(i * width)), 0n)
  return Array.from({ length: Math.ceil((values.length * width) / 8) }, (_, i) => Number((all >> BigInt(i * 8)) & 255n))
}

/** DELTA_BINARY_PACKED: blocks of two miniblocks of 32 values, of `width` and 0 bits in turn. */
function differences(first: bigint, deltas: readonly bigint[], least: bigint, width: number): number[] {
  const bytes = [...varint(64n), ...varint(2n), ...varint(BigInt(deltas.length + 1)), ...zigzag(first)]
  for (let at = 0; at < deltas.length; at += 64) {
    const filled = [...deltas.slice(at, at + 32), ...new Array(32).fill(0n)].slice(0, 32)
    bytes.push(...zigzag(least), width, 0, ...packed(filled, width))
  }
  return bytes
}

test('differences of every number of bits are added up, and wrap around', () => {
  const cases = fc.integer({ min: 0, max: 64 }).chain(width =>
    fc.record({
      width: fc.constant(width),
      first: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      least: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      some: fc.array(fc.bigInt({ min: 0n, max: 2n ** BigInt(width) - 1n }), { maxLength: 32 }),
      blocks: fc.integer({ min: 0, max: 2 }),
    }),
  )
  fc.assert(
    fc.property(cases, ({ width, first, least, some, blocks }) => {
      // full blocks: 32 values of `width` bits, 32 that are the least difference; then what is left
      const full = Array.from({ length: blocks * 64 }, (_, i) => (i % 64 < 32 ? (some[i % 64] ?? 0n) : 0n))
      const deltas = [...full, ...some]
      const { start, end } = place([...differences(first, deltas, least, width), 0xee])
      const expected = [first]
      for (const delta of deltas) expected.push(BigInt.asIntN(64, expected.at(-1)! + least + delta))
      expect(exports.parquetDelta(start, end, expected.length, 8, output)).toBe(end - 1)
      expect([...new BigInt64Array(memory.buffer, output, expected.length)]).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

test('indexes of every number of bits pick elements of every size', () => {
  const cases = fc.record({
    width: fc.integer({ min: 0, max: 32 }),
    bytes: fc.constantFrom(1, 2, 3, 4, 5, 8, 16, 20),
    runs: fc.array(
      fc.record({
        index: fc.array(fc.nat(), { minLength: 1, maxLength: 20 }),
        repeated: fc.option(fc.integer({ min: 1, max: 9 })),
      }),
      { maxLength: 5 },
    ),
  })
  fc.assert(
    fc.property(cases, ({ width, bytes, runs }) => {
      const size = Math.min(2 ** width, 200)
      const elements = Uint8Array.from({ length: size * bytes }, (_, i) => (i * 13 + 5) & 255)
      const indexes: number[] = []
      const encoded: number[] = []
      for (const [i, { index, repeated }] of runs.entries()) {
        const chosen = index.map(each => each % size)
        if (repeated) {
          indexes.push(...new Array(repeated).fill(chosen[0]))
          encoded.push(...varint(BigInt(repeated * 2)), ...packed([BigInt(chosen[0]!)], Math.ceil(width / 8) * 8))
        } else {
          // only the last run may have fewer than it has room for
          while (chosen.length % 8 !== 0 && i < runs.length - 1) chosen.push(0)
          const groups = Math.ceil(chosen.length / 8)
          indexes.push(...chosen)
          const padded = [...chosen, ...new Array(groups * 8 - chosen.length).fill(0)]
          encoded.push(...varint(BigInt(groups * 2 + 1)), ...packed(padded.map(BigInt), width))
        }
      }
      const { start, end } = place(encoded)
      const at = input + 8192
      new Uint8Array(memory.buffer).set(elements, at)
      expect(exports.parquetGather(start, end, width, indexes.length, at, size, bytes, output)).toBe(1)
      const expected = indexes.flatMap(index => [...elements.subarray(index * bytes, (index + 1) * bytes)])
      expect([...new Uint8Array(memory.buffer, output, expected.length)]).toEqual(expected)
      if (encoded.length > 0 && indexes.length > 0)
        expect(exports.parquetGather(start, start, width, indexes.length, at, size, bytes, output)).toBe(0)
    }),
    { numRuns: 300 },
  )
})

test('an index outside of the dictionary is damage, in either kind of run and for every size of elements', () => {
  for (const bytes of [1, 2, 4, 5, 8, 16]) {
    for (const run of [
      [3, 0b0101_0101, 0b0000_1001],
      [2, 2],
    ]) {
      const { start, end } = place(run)
      expect(exports.parquetGather(start, end, 2, 1, input + 8192, 3, bytes, output)).toBe(1)
      expect(exports.parquetGather(start, end, 2, run.length === 2 ? 1 : 7, input + 8192, 2, bytes, output)).toBe(0)
    }
  }
})

test('values are moved apart by where NULLs are, for every size', () => {
  const cases = fc.record({
    bytes: fc.constantFrom(1, 2, 3, 4, 5, 8, 16, 20),
    first: fc.nat(20),
    valid: fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }),
  })
  fc.assert(
    fc.property(cases, ({ bytes, first, valid }) => {
      const values = valid.filter(Boolean).length
      const all = new Uint8Array(memory.buffer)
      const elements = Array.from({ length: values * bytes }, (_, i) => (i % 255) + 1)
      all.fill(0xcc, output, output + 2000).set(elements, output)
      all.fill(0, input, input + 16)
      valid.forEach((is, row) => {
        if (is) all[input + ((first + row) >> 3)]! |= 1 << ((first + row) & 7)
      })
      exports.parquetSpread(output, bytes, values, valid.length, input, first)
      let next = 0
      const expected = valid.flatMap(is =>
        is ? elements.slice(next * bytes, ++next * bytes) : new Array(bytes).fill(0),
      )
      expect([...all.subarray(output, output + expected.length)]).toEqual(expected)
    }),
    { numRuns: 200 },
  )
})

test('a string that would go on behind its page is damage, with its length in front and without', () => {
  const page = [4, 0, 0, 0, 97, 98, 99, 100]
  const { start, end } = place(page)
  expect(exports.parquetViews(start, end, 1, output)).toBe(1)
  expect(exports.parquetViews(start, end - 1, 1, output)).toBe(0)
  expect(exports.parquetViews(start, start + 3, 1, output)).toBe(0)
  expect(exports.parquetViews(start, end, 2, output)).toBe(0)
  for (const [length, whole] of [
    [4, 1],
    [5, 0],
    [-1, 0],
  ] as const) {
    new DataView(memory.buffer).setInt32(output + 12, length, true)
    expect(exports.parquetLengthViews(start + 4, end, 1, output)).toBe(whole)
  }
})

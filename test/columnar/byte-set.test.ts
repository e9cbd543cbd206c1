import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BLOCK_KEYS, ByteSet, emptyBlock } from '../../src/columnar/byte-set.ts'
import { ByteSetBuilder } from '../../src/columnar/byte-set-builder.ts'
import { xxHash32 } from '../../src/columnar/xxhash32.ts'

function setOf(values: Iterable<Uint8Array>, expected = 0, seed?: number): ByteSet {
  const builder = new ByteSetBuilder(expected, seed)
  for (const value of values)
    builder.add(value.length, (into, at) => {
      into.set(value, at)
      return value.length
    })
  return new ByteSet(builder.finish())
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
const number = (value: number): Uint8Array => Buffer.from(String(value))

/** Looks for all in blocks, from a buffer in which they lie one after the other. */
function found(set: ByteSet, values: readonly Uint8Array[]): boolean[] {
  const all = Buffer.concat([Buffer.from('?'), ...values])
  const block = emptyBlock(new DataView(all.buffer, all.byteOffset, all.length))
  const answers: boolean[] = []
  let start = 1
  for (let from = 0; from < values.length; from += BLOCK_KEYS) {
    const some = values.slice(from, from + BLOCK_KEYS)
    for (const [i, { length }] of some.entries()) {
      block.starts[i] = start
      block.lengths[i] = length
      start += length
    }
    const flags = new Uint8Array(BLOCK_KEYS)
    set.probe(block, some.length, flags)
    answers.push(...Array.from(flags.subarray(0, some.length), flag => flag === 1))
  }
  return answers
}

/** Few different bytes and lengths around whole words, so that values are often equal or nearly so. */
const value = fc.uint8Array({ max: 1, maxLength: 9 })

const SEED = 1

/** Values of eight bytes and one hash: the second word makes up for the first. The constants are those of xxHash32. */
function alike(count: number): Uint8Array[] {
  const [prime3, prime4, prime5] = [0xc2b2ae3d, 0x27d4eb2f, 0x165667b1]
  let inverse = 1
  for (let i = 0; i < 32; i++) inverse = Math.imul(inverse, 2 - Math.imul(prime3, inverse))
  return Array.from({ length: count }, (_, first) => {
    const sum = (SEED + prime5 + 8 + Math.imul(first, prime3)) | 0
    const hash = Math.imul((sum << 17) | (sum >>> 15), prime4)
    return new Uint8Array(Int32Array.of(first, Math.imul(-hash, inverse)).buffer)
  })
}

describe('a set', () => {
  test('has what was added and nothing else, each once, and knows the first and the last', () => {
    fc.assert(
      fc.property(fc.array(value), fc.array(value), fc.nat(100), (added, others, expected) => {
        const set = setOf(added, expected)
        const known = new Set(added.map(hex))
        expect(found(set, [...added, ...others])).toEqual([...added, ...others].map(item => known.has(hex(item))))
        for (const item of others) {
          expect(set.has(new DataView(item.buffer, item.byteOffset), 0, item.length)).toBe(known.has(hex(item)))
        }
        expect([...set.keys()].map(hex).sort()).toEqual([...known].sort())
        expect(set.count).toBe(known.size)
        const sorted = added.toSorted(Buffer.compare)
        expect(set.bounds && [hex(set.bounds.least), hex(set.bounds.greatest)]).toEqual(
          sorted.length > 0 ? [hex(sorted[0]!), hex(sorted.at(-1)!)] : undefined,
        )
      }),
      { numRuns: 500 },
    )
  })

  test('grows with more values than it was told of, and is probed in whole blocks and parts of them', () => {
    const values = Array.from({ length: 5_000 }, (_, i) => number(3 * i))
    const set = setOf(values, 10)
    expect(set.count).toBe(5_000)
    const answers = found(
      set,
      Array.from({ length: 15_000 }, (_, i) => number(i)),
    )
    expect(answers.every((answer, i) => answer === (i % 3 === 0))).toBe(true)
  })

  test('tells apart values of one hash', () => {
    const values = alike(1000)
    const set = setOf(values.slice(0, 500), 0, SEED)
    expect(new Set([...values].map(item => xxHash32(new DataView(item.buffer), 0, 8, SEED))).size).toBe(1)
    expect(found(set, values)).toEqual(values.map((_, i) => i < 500))
  })

  test.each([
    ['abcd-xyz', 'abcd-xyy'],
    ['abcdx', 'abcdy'],
    ['abcdex', 'abcdey'],
    ['abcdefx', 'abcdefy'],
    ['abcd', 'abcd\0'],
    ['', '\0'],
  ])('tells %j from %j where their hashes are equal', (value, other) => {
    const { shared } = setOf([Buffer.from(value)], 0, SEED)
    const sought = Buffer.from(other)
    const view = new DataView(sought.buffer, sought.byteOffset, sought.length)
    // the value where the other one would be, under the other one's hash
    const slots = new Uint32Array(new SharedArrayBuffer(shared.slots.byteLength))
    const hash = xxHash32(view, 0, sought.length, SEED)
    slots.set([hash, shared.least], 2 * (hash & (slots.length / 2 - 1)))
    const set = new ByteSet({ ...shared, slots: slots.buffer as SharedArrayBuffer })
    expect([...set.keys()].map(String)).toEqual([[...Buffer.from(value)].join()])
    expect(set.has(view, 0, sought.length)).toBe(false)
    expect(found(set, [sought])).toEqual([false])
  })

  test('refuses values that were made to have one hash', () => {
    expect(() => setOf(alike(20_000), 0, SEED)).toThrow(
      'the filter has values that were made to be slow to look up: filter by others',
    )
  })

  test.each([
    ['addresses', 42],
    ['hashes', 66],
  ])('of ten million %s takes less than 1 GB', (_, length) => {
    // as full a table as that of ten million is
    const count = Math.floor(10_000_000 / 128)
    const values = (function* () {
      for (let i = 0; i < count; i++) yield Buffer.from(`0x${String(i).padStart(length - 2, '0')}`)
    })()
    const { slots, values: bytes } = setOf(values, count).shared
    expect(slots.byteLength).toBe((2 ** 24 * 8) / 128)
    expect(((slots.byteLength + bytes.byteLength) / count) * 10_000_000).toBeLessThan(1e9)
  })
})

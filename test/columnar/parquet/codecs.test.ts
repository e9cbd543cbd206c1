/** LZ4 and Snappy, against what is said by construction: blocks are made of elements whose meaning is known. */
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { codecOf } from '../../../src/columnar/parquet/codecs.ts'
import { SLACK_BYTES } from '../../../src/columnar/parquet/kernel-exports.ts'
import { kernel } from './decoders.ts'

const SNAPPY = 1
const LZ4 = 7

/** Literal bytes, or a copy of `length` bytes from `distance` bytes back. */
type Element = { readonly literal: readonly number[] } | { readonly distance: number; readonly length: number }

const byte = fc.integer({ min: 0, max: 255 })
const literal = fc
  .oneof({ weight: 8, arbitrary: fc.array(byte, { minLength: 1, maxLength: 40 }) }, { weight: 1, arbitrary: long() })
  .map(bytes => ({ literal: bytes }))
const copy = fc.record({
  distance: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2000 })),
  length: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 4, max: 64 }) },
    { weight: 1, arbitrary: fc.integer({ min: 4, max: 900 }) },
  ),
})
const elements: fc.Arbitrary<readonly Element[]> = fc
  .tuple(literal, fc.array(fc.oneof(literal, copy), { maxLength: 30 }))
  .map(([first, rest]) => [first, ...rest])

function long(): fc.Arbitrary<number[]> {
  return fc.integer({ min: 41, max: 900 }).map(length => Array.from({ length }, (_, i) => (i * i) & 255))
}

/** The bytes that the elements mean, and the elements with only such distances as there are. */
function expand(
  elements: readonly Element[],
  mostDistance: number,
): { bytes: Uint8Array; elements: readonly Element[] } {
  const bytes: number[] = []
  const possible = elements.map((element): Element => {
    if ('literal' in element) {
      for (const each of element.literal) bytes.push(each)
      return element
    }
    const distance = 1 + ((element.distance - 1) % Math.min(bytes.length, mostDistance))
    for (let i = 0; i < element.length; i++) bytes.push(bytes[bytes.length - distance]!)
    return { ...element, distance }
  })
  return { bytes: Uint8Array.from(bytes), elements: possible }
}

function snappyBlock(elements: readonly Element[], length: number): number[] {
  const block = varint(length)
  for (const element of elements) {
    if ('literal' in element) block.push(...snappyLiteral(element.literal))
    else block.push(...snappyCopies(element))
  }
  return block
}

function snappyLiteral(bytes: readonly number[]): number[] {
  const size = bytes.length - 1
  const head =
    size < 60 ? [size << 2] : size < 256 ? [60 << 2, size] : [62 << 2, size & 255, (size >> 8) & 255, size >> 16]
  return [...head, ...bytes]
}

function snappyCopies({ distance, length }: { distance: number; length: number }): number[] {
  const block: number[] = []
  for (let left = length; left > 0; ) {
    const some = Math.min(left, 64)
    if (some >= 4 && some <= 11 && distance < 2048)
      block.push(1 | ((some - 4) << 2) | ((distance >> 8) << 5), distance & 255)
    else if (distance < 65_536) block.push(2 | ((some - 1) << 2), distance & 255, distance >> 8)
    else block.push(3 | ((some - 1) << 2), distance & 255, (distance >> 8) & 255, distance >> 16, 0)
    left -= some
  }
  return block
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)]
}

/** A sequence is a literal, maybe empty, and a copy; the last one has no copy. */
function lz4Block(elements: readonly Element[]): number[] {
  const block: number[] = []
  let literal: number[] = []
  const sequence = (copy?: { distance: number; length: number }): void => {
    const [literals, match] = [literal.length, copy ? copy.length - 4 : 0]
    block.push((Math.min(literals, 15) << 4) | Math.min(match, 15), ...rest(literals), ...literal)
    if (copy) block.push(copy.distance & 255, copy.distance >> 8, ...rest(match))
    literal = []
  }
  for (const element of elements) {
    if ('literal' in element) literal = literal.concat(element.literal)
    else sequence(element)
  }
  sequence()
  return block
}

function rest(length: number): number[] {
  if (length < 15) return []
  return [...new Array((length - 15 - ((length - 15) % 255)) / 255).fill(255), (length - 15) % 255]
}

const MOST = 1 << 22
const input = kernel.exports.allocate(MOST)
const output = kernel.exports.allocate(MOST)
afterAll(() => {
  kernel.exports.free(input)
  kernel.exports.free(output)
})

/** What is decompressed to just so many bytes; undefined where the block is refused. Checks that nothing else is written to. */
function decompress(codec: number, block: Uint8Array, length: number): Uint8Array | undefined {
  const memory = new Uint8Array(kernel.memory.buffer)
  const [before, behind] = [output, output + 64 + length + SLACK_BYTES]
  memory.fill(0xaa, before, before + 64).fill(0xaa, behind, behind + 64)
  const whole = codecOf(codec)!(block, { kernel, memory, input }, output + 64, output + 64 + length)
  const guards = [...memory.subarray(before, before + 64), ...memory.subarray(behind, behind + 64)]
  expect(guards.every(guard => guard === 0xaa)).toBe(true)
  return whole ? memory.slice(output + 64, output + 64 + length) : undefined
}

const CODECS = [
  ['Snappy', SNAPPY, 1 << 24, snappyBlock],
  ['LZ4', LZ4, 65_535, lz4Block],
] as const

test.each(CODECS)('%s gives back what any elements mean', (_, codec, mostDistance, write) => {
  fc.assert(
    fc.property(elements, chosen => {
      const { bytes, elements } = expand(chosen, mostDistance)
      const found = decompress(codec, Uint8Array.from(write(elements, bytes.length)), bytes.length)
      expect(Buffer.compare(found ?? Buffer.alloc(0), bytes)).toBe(0)
    }),
    { numRuns: 150 },
  )
})

test.each(CODECS)('%s of another length than said, or cut off, is refused', (_, codec, mostDistance, write) => {
  fc.assert(
    fc.property(elements, fc.nat(), (chosen, at) => {
      const { bytes, elements } = expand(chosen, mostDistance)
      const block = Uint8Array.from(write(elements, bytes.length))
      expect(decompress(codec, block, bytes.length + 1)).toBeUndefined()
      expect(decompress(codec, block, bytes.length - 1)).toBeUndefined()
      expect(decompress(codec, block.subarray(0, at % block.length), bytes.length)).toBeUndefined()
    }),
    { numRuns: 50 },
  )
})

test.each(CODECS)(
  '%s with any bytes changed is decompressed or refused, and nothing else is overwritten',
  (_, codec, mostDistance, write) => {
    fc.assert(
      fc.property(elements, fc.array(fc.tuple(fc.nat(), byte), { minLength: 1, maxLength: 5 }), (chosen, changes) => {
        const { bytes, elements } = expand(chosen, mostDistance)
        const block = Uint8Array.from(write(elements, bytes.length))
        for (const [at, value] of changes) block[at % block.length] = value
        const found = decompress(codec, block, bytes.length)
        if (found) expect(found).toHaveLength(bytes.length)
      }),
      { numRuns: 150 },
    )
  },
)

test.each(CODECS)('%s out of nothing but noise is decompressed or refused', (_, codec) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 2000 }), (block, length) => {
      const found = decompress(codec, block, length)
      if (found) expect(found).toHaveLength(length)
    }),
    { numRuns: 1000 },
  )
})

test.each(CODECS)('%s gives back what lies far back', (_, codec, mostDistance, write) => {
  const far = Array.from({ length: 70_000 }, (_, i) => (i * i + (i >> 8)) & 255)
  const copies = [2047, 2048, 65_535, 65_536, 69_999].map(distance => ({ distance, length: 300 }))
  const { bytes, elements } = expand([{ literal: far }, ...copies], mostDistance)
  const found = decompress(codec, Uint8Array.from(write(elements, bytes.length)), bytes.length)
  expect(Buffer.compare(found!, bytes)).toBe(0)
})

test('Snappy of a literal that claims 4 GiB is refused', () => {
  expect(decompress(SNAPPY, Uint8Array.of(10, 63 << 2, 255, 255, 255, 255, 1, 2), 10)).toBeUndefined()
})

test('a copy from before the beginning is refused', () => {
  expect(decompress(SNAPPY, Uint8Array.of(6, 0, 65, 1, 2), 5)).toBeUndefined()
  expect(decompress(LZ4, Uint8Array.of(0x10, 65, 2, 0, 0), 5)).toBeUndefined()
  expect(decompress(LZ4, Uint8Array.of(0x10, 65, 0, 0, 0), 5)).toBeUndefined()
})

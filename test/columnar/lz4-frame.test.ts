import { compressionsAlgorithms } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decompressLz4Frame } from '../../src/columnar/lz4-frame.ts'

const compress = (bytes: Uint8Array): Uint8Array => compressionsAlgorithms.lz4.compressSync(Buffer.from(bytes))
const MOST = 1 << 24

describe('an LZ4 frame', () => {
  test.each([
    ['of one value, again and again', new Uint8Array(100_000).fill(7)],
    ['of text', Buffer.from('the same words and the same words again, '.repeat(5_000))],
    ['of noise', Uint8Array.from({ length: 300_000 }, (_, index) => Math.imul(index, 0x9e3779b1) >>> 13)],
    ['of several blocks', Buffer.from(Array.from({ length: 400_000 }, (_, index) => `row ${index % 9_973} `).join(''))],
  ])('%s becomes what it was', (_, bytes) => {
    const found = decompressLz4Frame(compress(bytes), MOST)
    expect(Buffer.compare(found, bytes)).toBe(0)
  })

  test('becomes what it was, whatever that is', () => {
    const piece = fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(30))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), pieces => {
        const bytes = Buffer.concat([
          Buffer.of(1),
          ...pieces.flatMap(([piece, times]) => Array.from({ length: times }, () => piece)),
        ])
        expect(Buffer.compare(decompressLz4Frame(compress(bytes), MOST), bytes)).toBe(0)
      }),
    )
  })

  test('of nothing becomes nothing', () => {
    const frame = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0)
    expect(decompressLz4Frame(frame, MOST)).toHaveLength(0)
  })

  test('that would become too long is not decompressed to its end', () => {
    const frame = compress(new Uint8Array(100_000))
    expect(() => decompressLz4Frame(frame, 99_999)).toThrow('an LZ4 frame of more than 99999 bytes')
    expect(decompressLz4Frame(frame, 100_000)).toHaveLength(100_000)
  })

  test('that is damaged ends with an error, and no other way', () => {
    const bytes = Buffer.from('some text, some text, some other text. '.repeat(40))
    const frame = compress(bytes)
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Uint8Array.from(frame)
        damaged[at]! ^= change
        try {
          expect(decompressLz4Frame(damaged, MOST).length).toBeLessThanOrEqual(MOST)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { numRuns: 500 },
    )
    for (let length = 0; length < frame.length - 8; length++)
      expect(() => decompressLz4Frame(frame.subarray(0, length), MOST)).toThrow(RangeError)
  })
})

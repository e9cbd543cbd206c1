import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FileBytes } from '../../../src/columnar/file-bytes.ts'
import { withRanges } from '../../../src/columnar/parquet/ranges.ts'

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255)

/** Uses the memory that it is offered. */
function fileOf(bytes: Uint8Array): FileBytes & { readonly reads: [number, number][] } {
  const reads: [number, number][] = []
  return {
    size: bytes.length,
    reads,
    async read(start, end, spare) {
      reads.push([start, end])
      const found = spare && spare.length >= end - start ? spare.subarray(0, end - start) : new Uint8Array(end - start)
      found.set(bytes.subarray(start, end))
      return found
    },
    async close() {},
  }
}

const range = fc
  .tuple(fc.nat(content.length), fc.oneof(fc.nat(100), fc.nat(50_000)))
  .map(([start, length]) => ({ start, end: Math.min(start + length, content.length) }))

test('each range has its bytes, wherever it lies and whatever it overlaps', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 8 }), async ranges => {
      const found = await withRanges(fileOf(content), ranges, bytes => bytes.map(each => Uint8Array.from(each)))
      expect(found).toEqual(ranges.map(({ start, end }) => content.slice(start, end)))
    }),
    { numRuns: 100 },
  )
})

test('what lies close together is read at once, and what does not is not', async () => {
  const file = fileOf(content)
  const ranges = [
    { start: 250_000, end: 260_000 },
    { start: 0, end: 10 },
    { start: 20_000, end: 20_010 },
  ]
  await withRanges(file, ranges, () => {})
  expect(file.reads).toEqual([
    [0, 20_010],
    [250_000, 260_000],
  ])
})

test('memory is used again, but not by two at once, nor where a read has failed', async () => {
  const ranges = [{ start: 0, end: 1000 }]
  const memoryOf = (file: FileBytes) => withRanges(file, ranges, ([bytes]) => bytes!.buffer)
  const file = fileOf(content)
  const first = await memoryOf(file)
  expect(await memoryOf(file)).toBe(first)
  const [one, other] = await Promise.all([memoryOf(file), memoryOf(file)])
  expect(one).not.toBe(other)
  let touched: ArrayBuffer | undefined
  const failing: FileBytes = {
    ...file,
    read: (_start, _end, spare) => {
      touched = spare!.buffer
      return Promise.reject(new Error('the disk is gone'))
    },
  }
  await expect(memoryOf(failing)).rejects.toThrow('the disk is gone')
  const later = await Promise.all([memoryOf(file), memoryOf(file), memoryOf(file)])
  expect(touched).toBeDefined()
  expect(later.includes(touched!)).toBe(false)
})

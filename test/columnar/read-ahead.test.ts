import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FileBytes } from '../../src/columnar/file-bytes.ts'
import { AHEAD_BYTES, Ahead } from '../../src/columnar/read-ahead.ts'

const MEBIBYTE = 1 << 20

interface Request {
  readonly start: number
  readonly end: number
  answer(): void
  fail(error: Error): void
}

/** A file whose byte i is i modulo 251, and whose requests wait to be answered unless it is prompt. */
function distantFile(size: number, prompt = false) {
  const requests: Request[] = []
  const file: FileBytes = {
    size,
    read(start, end, spare) {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>()
      const answer = (): void => {
        const bytes = spare?.subarray(0, end - start) ?? new Uint8Array(end - start)
        for (let at = start; at < end; at++) bytes[at - start] = at % 251
        resolve(bytes)
      }
      requests.push({ start, end, answer, fail: reject })
      if (prompt) answer()
      return promise
    },
    async close() {},
  }
  return { file, requests }
}

function expected(start: number, end: number): Uint8Array {
  return Uint8Array.from({ length: end - start }, (_, index) => (start + index) % 251)
}

/** Lets all that is ready run. */
const settled = () => new Promise(resolve => setImmediate(resolve))

describe('reading ahead', () => {
  test('asks for what is expected before it is read, side by side, and for nothing twice', async () => {
    const { file, requests } = distantFile(64 * MEBIBYTE)
    const ahead = new Ahead().open(file)
    ahead.ahead!([{ start: 0, end: 5 * MEBIBYTE }])
    await settled()
    expect(requests.map(({ start, end }) => [start / MEBIBYTE, end / MEBIBYTE])).toEqual([
      [0, 2],
      [2, 4],
      [4, 5],
    ])
    const reading = ahead.read(0, 5 * MEBIBYTE)
    for (const request of requests) request.answer()
    const bytes = await reading
    expect(Buffer.compare(bytes, expected(0, 5 * MEBIBYTE))).toBe(0)
    expect(requests).toHaveLength(3)
  })

  test('holds no more than its bound, over all files of a unit, and goes on as that is used', async () => {
    const [first, second] = [distantFile(64 * MEBIBYTE), distantFile(64 * MEBIBYTE)]
    const shared = new Ahead()
    const [one, other] = [shared.open(first.file), shared.open(second.file)]
    const asked = () => [...first.requests, ...second.requests].reduce((sum, { start, end }) => sum + end - start, 0)
    one.ahead!([{ start: 0, end: 12 * MEBIBYTE }])
    other.ahead!([{ start: 0, end: 64 * MEBIBYTE }])
    await settled()
    for (let answered = 0; answered < first.requests.length + second.requests.length; answered++) {
      const all = [...first.requests, ...second.requests]
      all[answered]!.answer()
      await settled()
    }
    expect(asked()).toBe(AHEAD_BYTES)
    await one.read(0, 12 * MEBIBYTE)
    await settled()
    for (const request of second.requests) request.answer()
    await settled()
    expect(asked()).toBe(AHEAD_BYTES + 12 * MEBIBYTE)
    await one.close()
    await other.close()
  })

  test('forgets what is expected no more', async () => {
    const { file, requests } = distantFile(64 * MEBIBYTE, true)
    const ahead = new Ahead().open(file)
    ahead.ahead!([{ start: 0, end: 16 * MEBIBYTE }])
    await settled()
    ahead.ahead!([{ start: 20 * MEBIBYTE, end: 22 * MEBIBYTE }])
    await settled()
    expect(requests.at(-1)).toMatchObject({ start: 20 * MEBIBYTE, end: 22 * MEBIBYTE })
    await ahead.read(0, MEBIBYTE)
    expect(requests.at(-1)).toMatchObject({ start: 0, end: MEBIBYTE })
  })

  test('hands on an error to who asks for the bytes, and to nobody else', async () => {
    const { file, requests } = distantFile(64 * MEBIBYTE)
    const ahead = new Ahead().open(file)
    ahead.ahead!([
      { start: 0, end: 10 },
      { start: 100, end: 110 },
    ])
    await settled()
    requests[0]!.fail(new Error('gone'))
    requests[1]!.answer()
    expect(await ahead.read(100, 110)).toEqual(expected(100, 110))
    await expect(ahead.read(0, 10)).rejects.toThrow('gone')
  })

  test('reads a small file once', async () => {
    const { file, requests } = distantFile(1_000, true)
    const ahead = new Ahead().open(file)
    expect(await ahead.read(0, 1_000)).toEqual(expected(0, 1_000))
    ahead.ahead!([{ start: 4, end: 900 }])
    expect(await ahead.read(4, 900)).toEqual(expected(4, 900))
    expect(requests).toHaveLength(1)
  })

  test('gives the bytes of any range, whatever is expected', async () => {
    const most = 9 * MEBIBYTE
    const range = fc
      .tuple(fc.nat(most), fc.nat(most))
      .map(([one, other]) => ({ start: Math.min(one, other), end: Math.max(one, other) }))
    const step = fc.oneof(
      fc.record({ ahead: fc.array(range, { maxLength: 4 }) }),
      fc.record({ read: range, spare: fc.boolean() }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), async steps => {
        const ahead = new Ahead().open(distantFile(most, true).file)
        for (const step of steps) {
          if ('ahead' in step) ahead.ahead!(step.ahead)
          else {
            const { start, end } = step.read
            const bytes = await ahead.read(start, end, step.spare ? new Uint8Array(most) : undefined)
            expect(bytes).toHaveLength(end - start)
            for (let at = start; at < end; at += 4_099) expect(bytes[at - start]).toBe(at % 251)
          }
        }
        await ahead.close()
      }),
      { numRuns: 20 },
    )
  })

  test('takes no notice of ranges that a file cannot have', async () => {
    const { file, requests } = distantFile(100, true)
    new Ahead().open(file).ahead!([
      { start: -1, end: 10 },
      { start: 0, end: 2 ** 53 },
      { start: 7, end: 5 },
    ])
    await settled()
    expect(requests).toEqual([])
  })
})

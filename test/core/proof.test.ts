import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeProof, proofRows } from '../../src/core/proof.ts'

test('ranges that adjoin or overlap become one, by partition and in order', () => {
  const proof = [
    { partition: 1, first: '10', last: '19' },
    { partition: 0, first: '5', last: '9' },
    { partition: 1, first: '0', last: '4' },
    { partition: 0, first: '0', last: '4' },
    { partition: 1, first: '15', last: '15' },
    { partition: 1, first: '6', last: '9' },
  ]
  expect(mergeProof(proof)).toEqual([
    { partition: 0, first: '0', last: '9' },
    { partition: 1, first: '0', last: '4' },
    { partition: 1, first: '6', last: '19' },
  ])
  expect(proofRows(mergeProof(proof))).toBe(29)
})

test('offsets beyond 2^53 keep every digit', () => {
  const [first, middle, last] = ['9007199254740993', '9007199254740994', '9007199254740995'] as const
  expect(
    mergeProof([
      { partition: 0, first: middle, last },
      { partition: 0, first, last: first },
    ]),
  ).toEqual([{ partition: 0, first, last }])
})

test('what is no range of numbers stays as it came', () => {
  const proof = [
    { first: 'msg-1', last: 'msg-9' },
    { first: '1', last: '2' },
    { partition: 3, first: 'a', last: 'b' },
  ]
  expect(mergeProof([...proof, { partition: 0, first: '1', last: '1' }])).toEqual([
    { partition: 0, first: '1', last: '1' },
    ...proof,
  ])
})

test('names the same places as before, each once', () => {
  const range = fc.tuple(fc.nat(3), fc.nat(40), fc.nat(10))
  fc.assert(
    fc.property(fc.array(range), ranges => {
      const proof = ranges.map(([partition, first, more]) => ({
        partition,
        first: `${first}`,
        last: `${first + more}`,
      }))
      const merged = mergeProof(proof)
      const places = placesOf(merged)
      expect(new Set(places)).toEqual(new Set(placesOf(proof)))
      expect(places.length).toBe(new Set(places).size)
      expect(proofRows(merged)).toBe(places.length)
      expect(mergeProof(merged)).toEqual(merged)
    }),
  )
})

test('a hundred thousand entries are no trouble', () => {
  const entries = Array.from({ length: 100_000 }, (_, index) => {
    const first = ((index * 7_919) % 100_000) * 10
    return { partition: first % 3, first: `${first}`, last: `${first + 9}` }
  })
  expect(proofRows(mergeProof(entries))).toBe(1_000_000)
})

function placesOf(proof: ReturnType<typeof mergeProof>): string[] {
  return proof.flatMap(({ partition, first, last }) =>
    Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => `${partition}/${Number(first) + index}`),
  )
}

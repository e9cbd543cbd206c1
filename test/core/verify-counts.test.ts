import { expect, test } from 'vitest'
import { formatChecksum } from '../../src/columnar/checksum.ts'
import { CountJudge, type Expected } from '../../src/core/verify-counts.ts'

/** A unit with these rows, whose checksums are their numbers. */
function unitOf(unit: number | undefined, rows: readonly number[], parts: Partial<Expected> = {}): Expected {
  const checksum = formatChecksum(rows.reduce((sum, row) => sum + BigInt(row), 0n))
  const place = { unit, first_chunk: (unit ?? 0) * 2, last_chunk: (unit ?? 0) * 2 + 1 }
  return { ...place, delivered: rows.length, checksum, done: true, ...parts }
}

function judge(
  expected: readonly Expected[],
  held: readonly (readonly [number | undefined, readonly number[]])[],
  apart?: 'by key' | 'by content',
  identity: (row: number) => bigint = BigInt,
) {
  const judge = new CountJudge(expected, apart)
  for (const [unit, rows] of held) for (const row of rows) judge.take(unit, true, BigInt(row), identity(row))
  return judge.findings()
}

test('units are judged each by itself', () => {
  const units = [unitOf(0, [1, 2, 3]), unitOf(1, [4, 5]), unitOf(2, [6])]
  expect(
    judge(units, [
      [0, [3, 1, 2]],
      [1, [4, 5]],
      [2, [6]],
    ]),
  ).toMatchObject({ found: 6, missing: 0, places: [] })
  const findings = judge(
    units,
    [
      [1, [4, 7]],
      [2, [6, 6]],
      [5, [1]],
    ],
    'by content',
  )
  expect(findings).toMatchObject({ found: 3, missing: 3, duplicated: 1, unexpected: 1 })
  expect(findings.places).toMatchObject([
    { first_chunk: 0, last_chunk: 1, missing: 3, wrong: false },
    { first_chunk: 2, last_chunk: 3, missing: 0, wrong: true },
  ])
})

test('rows that are alike are no duplicates where that is what was delivered', () => {
  const unit = unitOf(undefined, [5, 5, 5])
  expect(judge([unit], [[undefined, [5, 5, 5]]], 'by content')).toMatchObject({ found: 3, duplicated: 0, places: [] })
  expect(judge([unit], [[undefined, [5, 5, 5, 5]]], 'by content')).toMatchObject({ duplicated: 0, untold: 1 })
})

test('what is too much of a unit that is not through yet is ahead', () => {
  expect(judge([unitOf(0, [1], { done: false })], [[0, [1, 2]]])).toMatchObject({ ahead: 1, unexpected: 0 })
})

test('by key: missing and repeated rows are counted even where the numbers are equal', () => {
  const unit = unitOf(undefined, [1, 2, 3])
  expect(judge([unit], [[undefined, [1, 2, 2]]], 'by key')).toMatchObject({ found: 2, missing: 1, duplicated: 1 })
  const counted = unitOf(undefined, [1, 2, 3], { checksum: null })
  expect(judge([counted], [[undefined, [1, 2, 2]]], 'by key')).toMatchObject({ missing: 1, duplicated: 1 })
  expect(judge([unit], [[undefined, [1, 2, 4]]], 'by key')).toMatchObject({ missing: 0, places: [{ wrong: true }] })
})

test('by key: a key that is not unique does not hide that every row is there', () => {
  const unit = unitOf(undefined, [1, 2, 3])
  expect(judge([unit], [[undefined, [1, 2, 3]]], 'by key', () => 7n)).toMatchObject({ missing: 0, duplicated: 0 })
})

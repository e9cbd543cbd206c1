import { expect, test } from 'vitest'
import { formatChecksum, hashRow } from '../../src/columnar/checksum.ts'
import type { ChunkReceipt } from '../../src/core/receipt.ts'
import { RowJudge } from '../../src/core/verify-rows.ts'

/** Rows whose checksums are their numbers. */
function chunkOf(chunk: number, parts: Partial<ChunkReceipt>): ChunkReceipt {
  const { staged = 10, row = staged!, delivered = row } = parts
  const checksum = formatChecksum(BigInt((delivered * (delivered - 1)) / 2))
  const nothing = { filtered: 0, dead_lettered: 0, bytes: 0, done: true, left_out: false }
  return { chunk, staged, row, delivered, checksum, ...nothing, ...parts }
}

function judge(
  chunks: readonly ChunkReceipt[],
  ids: readonly (string | null)[],
  { refused = new Map<number, ReadonlySet<number>>(), proven = true, checksumOf = (row: number) => BigInt(row) } = {},
) {
  const judge = new RowJudge('job', chunks, refused)
  for (const id of ids)
    judge.take({ id: id === null ? null : Buffer.from(id), proven }, checksumOf(Number(id?.split('-').at(-1)) || 0))
  return judge.findings()
}

const rows = (chunk: number, count: number) => Array.from({ length: count }, (_, row) => `job-${chunk}-${row}`)

test('every row once, in any order, is found', () => {
  const findings = judge([chunkOf(0, {}), chunkOf(1, { staged: 3 })], [...rows(1, 3), ...rows(0, 10).reverse()])
  expect(findings).toEqual({
    ...{ found: 13, missing: 0, duplicated: 0, unexpected: 0, untold: 0, ahead: 0, others: 0, unnamed: 0, places: [] },
  })
})

test('what is missing is named, at most ten rows of a chunk', () => {
  const { missing, found, places } = judge([chunkOf(0, { staged: 30 }), chunkOf(1, { staged: 2 })], rows(0, 9))
  expect({ missing, found }).toEqual({ missing: 23, found: 9 })
  expect(places.map(({ missing_rows }) => missing_rows)).toEqual([
    [9, 10, 11, 12, 13, 14, 15, 16, 17, 18],
    [0, 1],
  ])
})

test('of a chunk of which rows were filtered out, it cannot be said which are missing, but how many', () => {
  const chunk = chunkOf(0, { row: 10, delivered: 6, filtered: 4, checksum: null })
  expect(judge([chunk], rows(0, 5))).toMatchObject({ missing: 1, places: [{ missing: 1, missing_rows: [] }] })
  expect(judge([chunk], rows(0, 6))).toMatchObject({ missing: 0, places: [] })
  expect(judge([chunk], rows(0, 8))).toMatchObject({ missing: 0, unexpected: 2, places: [{ unexpected: 2 }] })
})

test('a row that was filtered out in the place of another shows in the sum', () => {
  const chunk = chunkOf(0, { row: 10, delivered: 6, filtered: 4 })
  expect(judge([chunk], rows(0, 6)).places).toEqual([])
  expect(judge([chunk], [...rows(0, 5), 'job-0-9'])).toMatchObject({ missing: 0, places: [{ wrong: true }] })
})

test('a dead letter is not missed, and not expected', () => {
  const chunk = chunkOf(0, { row: 10, delivered: 9, dead_lettered: 1 })
  const refused = new Map([[0, new Set([9])]])
  expect(judge([chunk], rows(0, 9), { refused })).toMatchObject({ missing: 0, unexpected: 0, places: [] })
  expect(judge([chunk], rows(0, 10), { refused })).toMatchObject({ missing: 0, unexpected: 1, found: 9 })
  expect(judge([chunk], rows(0, 8), { refused }).places[0]!.missing_rows).toEqual([8])
})

test('a row that comes again counts once, by what it was first', () => {
  const ids = [...rows(0, 10), 'job-0-3', 'job-0-3']
  expect(judge([chunkOf(0, {})], ids)).toMatchObject({ duplicated: 2, found: 10, places: [] })
})

test('rows ahead of the watermark are not judged, rows that no file has are unexpected', () => {
  const chunk = chunkOf(0, { staged: 10, row: 4, done: false })
  expect(judge([chunk], rows(0, 12))).toMatchObject({ found: 4, missing: 0, ahead: 6, unexpected: 2 })
  expect(judge([chunkOf(0, {})], [...rows(0, 10), 'job-7-0'])).toMatchObject({ unexpected: 1 })
})

test("what is not the job's is unexpected only where the job's rows should be", () => {
  const strangers = ['other-0-1', 'job-0', 'job-0-1-2', 'job-x-1', 'job-0-', null]
  expect(judge([chunkOf(0, { staged: 0 })], strangers)).toMatchObject({ unexpected: 5, unnamed: 1, others: 0 })
  expect(judge([chunkOf(0, { staged: 0 })], strangers, { proven: false })).toMatchObject({ unexpected: 0, others: 6 })
})

test('a chunk that a redelivery left out may lie in between', () => {
  const chunk = chunkOf(0, { row: 0, delivered: 0, left_out: true })
  expect(judge([chunk], rows(0, 3), { proven: false })).toMatchObject({ unexpected: 0, others: 3 })
  expect(judge([chunk], rows(0, 3))).toMatchObject({ unexpected: 3 })
})

test('sums are modulo 2^64', () => {
  const checksumOf = (row: number) => hashRow(Buffer.from(`${row}`))
  const sum = Array.from({ length: 10 }, (_, row) => checksumOf(row)).reduce((sum, each) => sum + each, 0n)
  expect(sum > 2n ** 64n).toBe(true)
  expect(judge([chunkOf(0, { checksum: formatChecksum(sum) })], rows(0, 10), { checksumOf }).places).toEqual([])
})

import { describe, expect, test } from 'vitest'
import { addChecksums, rowChecksum, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import type { Encoding, FilledBatch } from '../../src/columnar/read-plan.ts'
import { framedRows, openRows } from '../../src/columnar/reframe.ts'
import { deadLettersOf, openRefused, outcomesOf, toMessage } from '../../src/core/outgoing.ts'
import { fakeBatch, fakeRows, fakeUnit } from './fake-batch.ts'

const ENCODINGS: readonly Encoding[] = [{ kind: 'rows' }, { kind: 'ndjson' }, { kind: 'json-array' }]

function sumOf(...rows: number[]): string {
  return rows.map(row => rowChecksum(Buffer.from(`{"row":${row}}`))).reduce(addChecksums, ZERO_CHECKSUM)
}

describe('a message', () => {
  test('has the bytes and the spans of the batch as they are', () => {
    const filled = fakeBatch(fakeRows(10, 4), { kind: 'ndjson' }, 5)
    const message = toMessage(fakeUnit(), filled)
    expect(message).toEqual({
      unit: 'job/uid/0/0',
      name: `job-0-0.0-0.9-${filled.rowsHash}`,
      rows: 10,
      bytes: filled.bytes,
      ends: filled.ends,
      partition: 5,
      spans: [
        { chunk: 0, row: 0, first: 0, rows: 4 },
        { chunk: 0, row: 4, first: 0, rows: 4 },
        { chunk: 0, row: 8, first: 0, rows: 2 },
      ],
    })
    expect(message.bytes).toBe(filled.bytes)
  })

  test('is named by job, delivery, first and last row, and the hash of all', () => {
    const rows = [...fakeRows(9).slice(7), ...fakeRows(3).map(row => ({ ...row, chunk: 4 }))]
    const filled: FilledBatch = { ...fakeBatch(rows), rowsHash: '0123abcd' }
    expect(toMessage(fakeUnit({ jobId: 'job-7', delivery: 2 }), filled).name).toBe('job-7-2-0.7-4.2-0123abcd')
  })

  test('has ids and columns where the batch has them', () => {
    const ids = { bytes: new Uint8Array(1), ends: Uint32Array.of(1), nulls: Uint8Array.of(0) }
    const message = toMessage(fakeUnit(), { ...fakeBatch(fakeRows(1)), ids, columns: { key: ids } })
    expect([message.ids, message.columns]).toEqual([ids, { key: ids }])
    expect('partition' in message).toBe(false)
  })
})

describe.each(ENCODINGS)('a settled write of $kind', encoding => {
  const filled = fakeBatch(fakeRows(10, 4), encoding)
  const open = (positions: readonly number[]) => openRows(framedRows(filled, encoding), positions)
  const refused = new Map<number, unknown>([
    [9, 'too large'],
    [2, new Error('no such column')],
    [8, new Error('no such column')],
  ])

  test('delivers the rows of each span', () => {
    const outcomes = outcomesOf(filled, [])
    expect(outcomes.map(([piece]) => piece)).toEqual(filled.pieces)
    expect(outcomes.map(([, outcome]) => outcome)).toEqual([
      { delivered: 4, deadLettered: 0, bytes: 4 * 9, checksum: sumOf(0, 1, 2, 3) },
      { delivered: 4, deadLettered: 0, bytes: 4 * 9, checksum: sumOf(4, 5, 6, 7) },
      { delivered: 2, deadLettered: 0, bytes: 2 * 9, checksum: sumOf(8, 9) },
    ])
  })

  test('takes refused rows out of the tallies of their spans', async () => {
    const outcomes = outcomesOf(filled, await openRefused(refused, open))
    expect(outcomes.map(([, outcome]) => outcome)).toEqual([
      { delivered: 3, deadLettered: 1, bytes: 3 * 9, checksum: sumOf(0, 1, 3) },
      { delivered: 4, deadLettered: 0, bytes: 4 * 9, checksum: sumOf(4, 5, 6, 7) },
      { delivered: 0, deadLettered: 2, bytes: 0, checksum: ZERO_CHECKSUM },
    ])
  })

  test('makes dead letters of refused rows, in staged order and without framing', async () => {
    expect(deadLettersOf(filled, await openRefused(refused, open))).toEqual([
      { chunk: 0, row: 2, payload: '{"row":2}', key: null, cause: 'no such column', time: expect.any(String) },
      { chunk: 0, row: 8, payload: '{"row":8}', key: null, cause: 'no such column', time: expect.any(String) },
      { chunk: 0, row: 9, payload: '{"row":9}', key: null, cause: 'too large', time: expect.any(String) },
    ])
  })
})

test('what a refused row would have been delivered with is taken out of the sum with it', () => {
  const ids = {
    bytes: new Uint8Array(Buffer.from('abc')),
    ends: Uint32Array.of(1, 2, 3),
    nulls: new Uint8Array(3),
  }
  const keyed = (row: number, id: string, key: string | null) =>
    rowChecksum(Buffer.from(`{"row":${row}}`), { id: Buffer.from(id), key: key === null ? null : Buffer.from(key) })
  const checksum = [keyed(0, 'a', null), keyed(1, 'b', 'k'), keyed(2, 'c', null)].reduce(addChecksums)
  const filled = fakeBatch(fakeRows(3))
  const pieces = filled.pieces.map(piece => ({ ...piece, checksum }))
  const lost = { payload: new Uint8Array(Buffer.from('{"row":1}')), position: 1, key: 'k', cause: 'no' }
  const expected = [keyed(0, 'a', null), keyed(2, 'c', null)].reduce(addChecksums)
  for (const batch of [
    { filled: { ...filled, pieces, ids }, id: null }, // beside the payload
    { filled: { ...filled, pieces }, id: 'b' }, // in the record
  ])
    expect(outcomesOf(batch.filled, [{ ...lost, id: batch.id }])[0]![1].checksum).toBe(expected)
})

test('a reading without checksums has none to take refused rows out of', async () => {
  const filled = fakeBatch(fakeRows(3))
  const pieces = filled.pieces.map(piece => ({ ...piece, checksum: ZERO_CHECKSUM }))
  const refused = [
    { position: 1, payload: new Uint8Array(Buffer.from('{}')), key: null, id: null, cause: new Error('too large') },
  ]
  const [first] = outcomesOf({ ...filled, pieces }, refused)
  expect(first![1].checksum).toBe(ZERO_CHECKSUM)
})

test('a dead letter has the key of its record', () => {
  const refused = [
    { position: 1, payload: new Uint8Array(Buffer.from('{}')), key: 'é', id: null, cause: new Error('too large') },
  ]
  expect(deadLettersOf(fakeBatch(fakeRows(2)), refused)).toEqual([
    { chunk: 0, row: 1, payload: '{}', key: 'é', cause: 'too large', time: expect.any(String) },
  ])
})

test('where no row was refused, none is opened', async () => {
  const open = () => Promise.reject(new Error('nothing was to be opened'))
  expect(await openRefused(new Map(), open)).toEqual([])
})

test('a dead letter has the chunk of its own span', async () => {
  const rows = [...fakeRows(9).slice(7), ...fakeRows(3).map(row => ({ ...row, chunk: 4 }))]
  const filled = fakeBatch(rows)
  const refused = new Map([0, 1, 2, 4].map(position => [position, new Error('refused')]))
  const open = (positions: readonly number[]) => openRows(framedRows(filled, { kind: 'rows' }), positions)
  const letters = deadLettersOf(filled, await openRefused(refused, open))
  expect(letters.map(({ chunk, row }) => [chunk, row])).toEqual([
    [0, 7],
    [0, 8],
    [4, 0],
    [4, 2],
  ])
})

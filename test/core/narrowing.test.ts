import { describe, expect, test } from 'vitest'
import type { Encoding, TextColumn } from '../../src/columnar/read-plan.ts'
import type { FramedRows } from '../../src/columnar/reframe.ts'
import { narrow, narrowAll, spanStarts } from '../../src/core/narrowing.ts'
import { type MessageBatch, textBytes } from '../../src/sinks/sink.ts'
import { fakeMessage, fakeRows, fakeUnit, frame, payloadsOf } from './fake-batch.ts'

const ROWS: Encoding = { kind: 'rows' }

function batchOf(encoding: Encoding = ROWS, extras: Partial<MessageBatch> = {}): MessageBatch {
  return { ...fakeMessage(fakeUnit(), fakeRows(10, 4), encoding), ...extras }
}

function column(values: readonly (string | null)[]): TextColumn {
  const { bytes, ends } = frame(
    values.map(value => Buffer.from(value ?? '')),
    ROWS,
  )
  return { bytes, ends, nulls: Uint8Array.from(values, value => (value === null ? 1 : 0)) }
}

function texts(column: TextColumn): (string | null)[] {
  return Array.from(column.ends, (_, index) => {
    const bytes = textBytes(column, index)
    return bytes && Buffer.from(bytes).toString()
  })
}

test.each<[Exclude<Encoding['kind'], 'kafka-batch'>, readonly number[], string]>([
  ['rows', [0, 9], '{"row":0}{"row":9}'],
  ['rows', [4], '{"row":4}'],
  ['ndjson', [3, 4, 9], '{"row":3}\n{"row":4}\n{"row":9}\n'],
  ['json-array', [0, 1], '[{"row":0},{"row":1}]'],
  ['json-array', [7, 9], '[{"row":7},{"row":9}]'],
  ['json-array', [9], '[{"row":9}]'],
])('keeps rows in the framing %s: %o', (kind, keep, text) => {
  const narrowed = narrow(batchOf({ kind }), { kind }, keep)
  expect(Buffer.from(narrowed.bytes).toString()).toBe(text)
  expect(narrowed.rows).toBe(keep.length)
  expect(payloadsOf(narrowed, { kind })).toEqual(keep.map(row => `{"row":${row}}`))
})

test('leaves the batch as it was, and shares no memory with it', () => {
  const batch = batchOf({ kind: 'json-array' })
  const before = Buffer.from(batch.bytes).toString()
  const narrowed = narrow(batch, { kind: 'json-array' }, [2, 3])
  narrowed.bytes.fill(0)
  expect(Buffer.from(batch.bytes).toString()).toBe(before)
})

test('narrows the spans, and leaves those out that have no row left', () => {
  const narrowed = narrow(batchOf(), ROWS, [2, 3, 9])
  expect(batchOf().spans).toEqual([
    { chunk: 0, row: 0, first: 0, rows: 4 },
    { chunk: 0, row: 4, first: 0, rows: 4 },
    { chunk: 0, row: 8, first: 0, rows: 2 },
  ])
  expect(narrowed.spans).toEqual([
    { chunk: 0, row: 0, first: 2, rows: 2 },
    { chunk: 0, row: 8, first: 1, rows: 1 },
  ])
})

test('narrows ids and columns, NULLs included, and keeps unit and partition', () => {
  const values = Array.from({ length: 10 }, (_, index) => (index % 3 === 0 ? null : `value ${index}`))
  const ids = column(Array.from({ length: 10 }, (_, index) => `job-0-${index}`))
  const narrowed = narrow(batchOf(ROWS, { partition: 7, ids, columns: { key: column(values) } }), ROWS, [2, 3, 8])
  expect([narrowed.unit, narrowed.partition]).toEqual(['job/uid/0/0', 7])
  expect(texts(narrowed.ids!)).toEqual(['job-0-2', 'job-0-3', 'job-0-8'])
  expect(texts(narrowed.columns!['key']!)).toEqual(['value 2', null, 'value 8'])
})

test('has no partition, ids or columns where the batch has none', () => {
  expect(Object.keys(narrow(batchOf(), ROWS, [1])).toSorted()).toEqual([
    'bytes',
    'ends',
    'name',
    'rows',
    'spans',
    'unit',
  ])
})

describe('the name', () => {
  test('is the same for the same rows, and another for others', () => {
    const names = [[1, 2], [1, 2], [1, 3], [12]].map(
      keep =>
        narrow(
          { ...batchOf(), rows: 20 },
          ROWS,
          keep.filter(row => row < 10),
        ).name,
    )
    expect(names[0]).toBe(names[1])
    expect(new Set([...names, batchOf().name]).size).toBe(4)
  })

  test('starts with the name of the batch', () => {
    const { name } = batchOf()
    expect(narrow(batchOf(), ROWS, [1]).name).toMatch(new RegExp(`^${name}~[0-9a-f]{8}$`))
  })
})

test('several batches come of one, their bytes made by whoever is asked', async () => {
  const batch = batchOf(ROWS, { partition: 2 })
  const asked: unknown[] = []
  const parts = await narrowAll(batch, ROWS, [[0, 9], [4]], async (framed, groups) => {
    asked.push(framed, groups)
    return groups.map(
      (_, index): FramedRows => ({ ...framed, bytes: Uint8Array.of(index), ends: Uint32Array.of(index) }),
    )
  })
  const { rows, bytes, ends } = batch
  expect(asked).toEqual([{ encoding: ROWS, rows, bytes, ends }, [[0, 9], [4]]])
  const made = (keep: readonly number[], index: number) => ({
    ...narrow(batch, ROWS, keep),
    ...{ bytes: Uint8Array.of(index), ends: Uint32Array.of(index) },
  })
  expect(parts).toEqual([made([0, 9], 0), made([4], 1)])
})

test('rows that the framing hides cannot be had at once', () => {
  const hidden: Encoding = { kind: 'kafka-batch', partitions: 1, timestamp: 'now', headers: {}, compression: 'none' }
  expect(() => narrow(batchOf(), hidden, [1])).toThrow('hides its rows')
})

test('says where spans start in a batch', () => {
  expect(spanStarts([])).toEqual([0])
  expect(spanStarts([{ rows: 4 }, { rows: 1 }, { rows: 3 }])).toEqual([0, 4, 5, 8])
})

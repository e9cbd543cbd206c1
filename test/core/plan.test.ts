import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Predicate } from '../../src/columnar/predicate.ts'
import { planReading, planSpanRows, planUnits } from '../../src/core/plan.ts'
import type { Checkpoint } from '../../src/core/unit.ts'
import type { StagedFile } from '../../src/sources/source.ts'
import { fakeUnit } from './fake-batch.ts'

function files(...bytes: readonly number[]): StagedFile[] {
  return bytes.map((bytes, index) => ({ name: `${index}.parquet`, bytes }))
}

describe('units', () => {
  test.each<[string, number[], number[][]]>([
    ['none for no files', [], []],
    ['many small files in one', [10, 20, 30, 40], [[0, 1, 2, 3]]],
    ['the file that does not fit begins the next', [60, 40, 1], [[0, 1], [2]]],
    ['a large file alone', [500, 10, 20], [[0], [1, 2]]],
    ['a large file behind small ones', [10, 20, 500, 10], [[0, 1], [2], [3]]],
    ['files of no bytes with their neighbours', [0, 100, 0, 0], [[0, 1, 2, 3]]],
  ])('%s', (_, bytes, units) => {
    expect(planUnits(files(...bytes), 100)).toEqual(units)
  })

  test('hold every file once, in order, and no more bytes than allowed unless one file has them', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300)), fc.integer({ min: 1, max: 400 }), (bytes, unitBytes) => {
        const units = planUnits(files(...bytes), unitBytes)
        expect(units.flat()).toEqual(bytes.map((_, index) => index))
        for (const [index, unit] of units.entries()) {
          const size = unit.reduce((sum, chunk) => sum + bytes[chunk]!, 0)
          expect(unit.length === 1 || size <= unitBytes).toBe(true)
          const next = units[index + 1]
          if (next) expect(size + bytes[next[0]!]!).toBeGreaterThan(unitBytes)
        }
      }),
    )
  })
})

describe('rows of a span', () => {
  const MEBIBYTE = 1 << 20

  test.each<[string, Partial<StagedFile>[], number]>([
    ['8,192 where nothing is known', [{}], 8_192],
    ['8,192 for narrow rows', [{ bytes: MEBIBYTE, rows: 100_000 }], 8_192],
    ['8,192 for rows of up to 512 bytes', [{ bytes: 512 * 1_000, rows: 1_000 }], 8_192],
    ['half of that for wider ones', [{ bytes: 513 * 1_000, rows: 1_000 }], 4_096],
    ['64 for rows of 64 KiB', [{ bytes: 64 * MEBIBYTE, rows: 1_024 }], 64],
    ['never fewer than 64', [{ bytes: 100 * MEBIBYTE, rows: 3 }], 64],
    [
      'by the widest file',
      [
        { bytes: 1_000, rows: 1_000 },
        { bytes: 4_096 * 10, rows: 10 },
      ],
      1_024,
    ],
    [
      'without files that have no rows',
      [
        { bytes: 400 * MEBIBYTE, rows: 0 },
        { bytes: 1_000, rows: 1_000 },
      ],
      8_192,
    ],
  ])('%s', (_, given, spanRows) => {
    expect(planSpanRows(given.map((file, index) => ({ name: `${index}.parquet`, bytes: 1, ...file })))).toBe(spanRows)
  })
})

describe('reading', () => {
  const file = (name: string): StagedFile => ({ name, bytes: name.length })
  const unit = fakeUnit({
    chunks: ['a.parquet', 'b.arrow', 'c.arrows', 'd'].map((name, chunk) => ({ chunk, file: file(name) })),
    spanRows: 1_024,
    limits: { rowGroupBudgetBytes: 1_000_000 },
  })
  const session = { write: async () => {}, close: async () => {} }
  const mark = (chunk: number, row: number, done: boolean): Checkpoint => ({
    chunk,
    row,
    done,
    delivered: row,
    filtered: 0,
    deadLettered: 0,
    bytes: 0,
    checksum: '0000000000000000',
  })

  test('is planned with the defaults of a sink that says nothing', () => {
    expect(planReading(unit, session, [])).toEqual({
      chunks: [
        { chunk: 0, name: 'a.parquet', format: 'parquet', bytes: 9, fromRow: 0 },
        { chunk: 1, name: 'b.arrow', format: 'arrow-file', bytes: 7, fromRow: 0 },
        { chunk: 2, name: 'c.arrows', format: 'arrow-stream', bytes: 8, fromRow: 0 },
        { chunk: 3, name: 'd', format: 'parquet', bytes: 1, fromRow: 0 },
      ],
      spanRows: 1_024,
      encoding: { kind: 'rows' },
      batchRows: 10_000,
      batchBytes: 1_048_576,
      stableBatches: false,
      rowGroupBudgetBytes: 1_000_000,
      checksums: true,
    })
  })

  test('goes on at the watermarks, and leaves out chunks that are done', () => {
    const { chunks } = planReading(unit, session, [mark(0, 5_000, true), mark(1, 2_048, false)])
    expect(chunks.map(({ chunk, fromRow }) => [chunk, fromRow])).toEqual([
      [1, 2_048],
      [2, 0],
      [3, 0],
    ])
  })

  test('takes what the sink asks for', () => {
    const asking = {
      ...session,
      encoding: { kind: 'ndjson' } as const,
      asks: { ids: true, columns: ['key'] },
      limits: { batchRows: 7, batchBytes: 70 },
      stableBatches: true,
    }
    expect(planReading(unit, asking, [])).toMatchObject({
      encoding: { kind: 'ndjson' },
      ids: { job: 'job' },
      columns: ['key'],
      batchRows: 7,
      batchBytes: 70,
      stableBatches: true,
    })
    const uniqueKey = { table: 'transfers', columns: ['hash'] }
    expect(planReading({ ...unit, uniqueKey }, asking, []).ids).toEqual(uniqueKey)
    expect(planReading({ ...unit, uniqueKey }, session, [])).not.toHaveProperty('ids')
  })

  test('has the predicate, and the format of the file where its source says it', () => {
    const predicate: Predicate = {
      filter: { column: 'a', type: { kind: 'boolean' }, values: { count: 1, inline: ['true'] } },
    }
    const chunks = [{ chunk: 0, file: { ...file('a.parquet'), format: 'arrow-stream' as const } }]
    const plan = planReading({ ...unit, predicate, chunks }, session, [])
    expect([plan.predicate, plan.chunks[0]?.format]).toEqual([predicate, 'arrow-stream'])
  })
})

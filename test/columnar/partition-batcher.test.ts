import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { addChecksums, rowChecksum, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import { decompressRecords, loadCompression } from '../../src/columnar/compress.ts'
import { NO_TIMESTAMP, PartitionBatcher } from '../../src/columnar/partition-batcher.ts'
import type { FilledBatch, KafkaEncoding } from '../../src/columnar/read-plan.ts'
import { HEADER_BYTES, RecordBatchWriter } from '../../src/columnar/record-batch.ts'
import { readWithKafkajs, readWithPlatformatic } from './kafka-records.ts'
import {
  COMPRESSIONS,
  lengthOf,
  type ModelBatch,
  modelBatches,
  NOW,
  ONE,
  type Options,
  optionsDrawn,
  planOf,
  recordsOf,
  spansDrawn,
  type TestRow,
  type TestSpan,
  TWO,
  ZERO,
} from './partition-model.ts'

beforeAll(() => Promise.all(COMPRESSIONS.map(loadCompression)))

/** What each span completed; the last entry is what a cut at the end gave. */
function fill(options: Options, spans: readonly TestSpan[]): FilledBatch[][] {
  const plan = planOf(options)
  const batcher = new PartitionBatcher(
    plan,
    length => new Uint8Array(length),
    () => NOW,
  )
  const texts = ({ key, at }: TestRow) => batcher.columns.map(name => (name === 'key' ? key : at))
  const filled = spans.map(span => {
    batcher.beginSpan(span.chunk, span.row)
    for (const row of span.rows) batcher.add(row.row, row.json, texts(row))
    expect(batcher.endSpan()).toBe(span.rows.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0))
    if (span.cut) batcher.cut()
    return batcher.takeFilled()
  })
  batcher.cut()
  return [...filled, batcher.takeFilled()]
}

/** Rows from `row` on, with these keys; `x` repeated makes their size. */
function spanOf(chunk: number, row: number, keys: readonly (string | null)[], size = 0): TestSpan {
  const rows = keys.map((key, index) => ({ row: row + index, json: `"${'x'.repeat(size)}"`, key, at: null }))
  return { chunk, row, rows }
}

/** `partition: rows` */
const placed = (batches: readonly FilledBatch[]) =>
  batches.map(({ partition, rowNumbers }) => `${partition ?? 'refused'}: ${rowNumbers.join(' ')}`)

describe('partitions', () => {
  test('each have a batch, cut in their order', () => {
    const filled = fill({}, [spanOf(0, 0, [TWO, ZERO, TWO]), spanOf(0, 3, [ONE, ZERO])])
    expect(filled.map(placed)).toEqual([[], [], ['0: 1 4', '1: 3', '2: 0 2']])
    expect(filled[2]!.map(({ pieces }) => pieces)).toMatchObject([
      [
        { chunk: 0, row: 0, first: 0, rows: 1 },
        { chunk: 0, row: 3, first: 0, rows: 1 },
      ],
      [{ chunk: 0, row: 3, first: 0, rows: 1 }],
      [{ chunk: 0, row: 0, first: 0, rows: 2 }],
    ])
  })

  test('are cut one by one where they are full', () => {
    const filled = fill({ batchRows: 2 }, [spanOf(0, 0, [TWO, TWO, ZERO, TWO, TWO]), spanOf(0, 5, [TWO])])
    expect(filled.map(placed)).toEqual([['2: 0 1'], ['2: 3 4'], ['0: 2', '2: 5']])
    expect(filled[1]![0]!.pieces).toMatchObject([{ row: 0, first: 2, rows: 2 }])
  })
})

describe('rows without a key', () => {
  const none = (count: number): null[] => Array(count).fill(null)

  test.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [7, 1],
  ])('of a unit that begins with chunk %i go to partition %i first', (chunk, partition) => {
    const filled = fill({}, [spanOf(chunk, 0, none(2)), spanOf(chunk + 1, 0, none(1))])
    expect(filled.map(placed)).toEqual([[], [], [`${partition}: 0 1 0`]])
  })

  test('go to the next one with every cut', () => {
    const filled = fill({ batchRows: 2 }, [
      spanOf(1, 0, none(5)),
      { ...spanOf(1, 5, none(1)), cut: true },
      spanOf(1, 6, none(1)),
    ])
    expect(filled.map(placed)).toEqual([['1: 0 1', '2: 2 3'], ['0: 4 5'], [], ['1: 6']])
  })

  test('go to the next one also where a row with a key was what did not fit', () => {
    const filled = fill({ batchRows: 2 }, [spanOf(0, 0, [null, null, ZERO, null])])
    expect(filled.map(placed)).toEqual([['0: 0 1'], ['0: 2', '1: 3']])
  })

  test('stay where they are when the batch of another partition is cut', () => {
    const filled = fill({ batchRows: 2 }, [spanOf(0, 0, [null, ONE, ONE, ONE, null])])
    expect(filled.map(placed)).toEqual([['1: 1 2'], ['0: 0 4', '1: 3']])
  })

  test('pass by partitions that rows with keys have filled, cutting them', () => {
    const filled = fill({ batchRows: 2 }, [spanOf(0, 0, [ONE, ONE, null, null, null])])
    expect(filled.map(placed)).toEqual([['0: 2 3', '1: 0 1'], ['2: 4']])
  })

  test('go to the next one when all is cut, or stay where nothing was filling', () => {
    const filled = fill({}, [
      { ...spanOf(0, 0, [null, ONE, TWO]), cut: true },
      { ...spanOf(0, 3, [TWO]), cut: true },
      spanOf(0, 4, none(1)),
    ])
    expect(filled.map(placed)).toEqual([['0: 0', '1: 1', '2: 2'], ['2: 3'], [], ['1: 4']])
  })
})

describe('the bytes of a batch', () => {
  const length = (...sizes: number[]): number => {
    const writer = new RecordBatchWriter({ headers: {} })
    for (const size of sizes) writer.append({ key: null, value: new Uint8Array(size + 2), timestamp: 0n, id: null })
    return writer.finish().length
  }
  const keyless = (...sizes: number[]): TestSpan => ({
    chunk: 0,
    row: 0,
    rows: sizes.map((size, row) => ({ row, json: `"${'x'.repeat(size)}"`, key: null, at: null })),
  })
  const one = { partitions: 1 }

  test('are limited with their header', () => {
    const batchBytes = length(10, 20, 30)
    expect(placed(fill({ ...one, batchBytes }, [keyless(10, 20, 30, 0)]).flat())).toEqual(['0: 0 1 2', '0: 3'])
    expect(placed(fill({ ...one, batchBytes: batchBytes - 1 }, [keyless(10, 20, 30, 0)]).flat())).toEqual([
      '0: 0 1',
      '0: 2 3',
    ])
  })

  test('are limited by what the topic takes, if that is less', () => {
    const maxBatchBytes = length(10, 20)
    expect(placed(fill({ ...one, maxBatchBytes }, [keyless(10, 20, 30)]).flat())).toEqual(['0: 0 1', '0: 2'])
  })

  test('may be more for a single row', () => {
    expect(placed(fill({ ...one, batchBytes: 100 }, [keyless(1, 500, 1)]).flat())).toEqual(['0: 0', '0: 1', '0: 2'])
  })

  test('are never more than the topic takes: the row is refused', () => {
    const span = keyless(1, 500, 501, 1)
    const filled = fill({ partitions: 2, maxBatchBytes: length(500) }, [span]).flat()
    expect(placed(filled)).toEqual(['0: 0', '1: 1', 'refused: 2', '1: 3'])
    const refused = filled[2]!
    expect(refused.refusal).toBe(
      `a record batch of ${length(501)} bytes with this row alone is more than the topic takes (max.message.bytes = ${length(500)})`,
    )
    expect(Buffer.from(refused.bytes).toString()).toBe(span.rows[2]!.json)
    expect([...refused.ends]).toEqual([503])
    expect(refused.pieces).toMatchObject([{ row: 0, first: 1, rows: 1, bytes: 503 }])
    expect(filled[3]!.pieces).toMatchObject([{ row: 0, first: 1, rows: 1 }])
  })

  test.each(COMPRESSIONS.slice(1))('count for the topic when they are compressed (%s)', compression => {
    const filled = fill({ ...one, compression, maxBatchBytes: 1_000 }, [keyless(1, 9_000, 1)]).flat()
    expect(placed(filled)).toEqual(['0: 0', '0: 1', '0: 2'])
    expect(filled[1]!.bytes.length).toBeLessThan(1_000)
    expect(readWithPlatformatic(filled[1]!.bytes).records.map(({ value }) => value.length)).toEqual([9_002])
  })

  test('come from where they are to come from, at the beginning of a buffer', () => {
    for (const compression of COMPRESSIONS) {
      const given: Uint8Array[] = []
      const plan = planOf({ compression, maxBatchBytes: 3_000 })
      const batcher = new PartitionBatcher(plan, length => {
        const bytes = new Uint8Array(new ArrayBuffer(length + 100), 0, length)
        given.push(bytes)
        return bytes
      })
      batcher.beginSpan(0, 0)
      for (let row = 0; row < 100; row++)
        batcher.add(row, JSON.stringify({ text: `row ${row % 10}` }), [`key ${row % 7}`])
      batcher.endSpan()
      batcher.cut()
      const filled = batcher.takeFilled()
      expect(filled.map(({ bytes }) => bytes)).toEqual(given)
      expect(filled.map(({ bytes }) => [bytes.byteOffset, bytes.buffer.byteLength - bytes.length])).toEqual(
        filled.map(() => [0, 100]),
      )
    }
  })
})

describe('timestamps', () => {
  const rowsAt = (...at: (string | null)[]): TestSpan => ({
    chunk: 0,
    row: 0,
    rows: at.map((at, row) => ({ row, json: String(row), key: null, at })),
  })
  const column = { timestamp: { column: 'at' } } as const

  test('are cut to milliseconds; NULL is now', () => {
    const span = rowsAt('2024-01-01T00:00:00.123999999Z', null, '1970-01-01T00:00:00Z', '2023-12-31T23:59:59.9Z')
    const [batch] = fill(column, [span]).flat()
    const { baseTimestamp, maxTimestamp, records } = readWithPlatformatic(batch!.bytes)
    expect(records.map(({ timestamp }) => timestamp)).toEqual([1_704_067_200_123n, BigInt(NOW), 0n, 1_704_067_199_900n])
    expect([baseTimestamp, maxTimestamp]).toEqual([1_704_067_200_123n, BigInt(NOW)])
  })

  test('are left to the sender where they are to be those of sending', () => {
    const [batch] = fill({}, [rowsAt(null, null)]).flat()
    const { baseTimestamp, maxTimestamp, records } = readWithPlatformatic(batch!.bytes)
    expect([baseTimestamp, maxTimestamp, ...records.map(({ timestamp }) => timestamp)]).toEqual([0n, 0n, 0n, 0n])
  })

  test('that Kafka cannot carry refuse their rows, those of a span together and behind the others', () => {
    const early = '1969-12-31T23:59:59.999999999Z'
    const spans = [
      rowsAt(early, '2024-01-01T00:00:00Z', early, '+292278995-01-01T00:00:00Z'),
      { ...rowsAt('2024-01-01T00:00:00Z', early), row: 4 },
    ]
    const filled = fill({ ...column, batchRows: 2 }, spans)
    expect(filled.map(placed)).toEqual([['refused: 0 2', 'refused: 3'], ['refused: 1'], ['0: 1 0']])
    const refused = filled.flat().slice(0, 3)
    expect(refused.map(({ refusal }) => refusal)).toEqual([NO_TIMESTAMP, NO_TIMESTAMP, NO_TIMESTAMP])
    expect(refused.map(({ bytes, ends }) => [Buffer.from(bytes).toString(), ...ends])).toEqual([
      ['02', 1, 2],
      ['3', 1],
      ['1', 1],
    ])
    expect(refused.map(({ pieces }) => pieces)).toMatchObject([
      [{ row: 0, first: 0, rows: 2, bytes: 2, checksum: sum('0', '2') }],
      [{ row: 0, first: 2, rows: 1, bytes: 1, checksum: sum('3') }],
      [{ row: 4, first: 0, rows: 1, bytes: 1, checksum: sum('1') }],
    ])
    expect(filled[2]![0]!.pieces).toMatchObject([
      { row: 0, first: 0, rows: 1 },
      { row: 4, first: 0, rows: 1 },
    ])
  })

  test('come from a timestamp column alone', () => {
    expect(() => fill(column, [rowsAt('12')])).toThrow('column "at" has no timestamps, which the records are to have')
  })
})

test('every buffer but that of the bytes is no larger than it needs to be, so that it can be transferred', () => {
  const filled = fill({ batchRows: 2, timestamp: { column: 'at' } }, [spanOf(0, 0, [ONE, TWO, ONE, ONE, null])]).flat()
  const views = filled.flatMap(({ ends, rowNumbers }) => [ends, rowNumbers])
  expect(views.length).toBe(8)
  for (const view of views) expect(view.byteLength).toBe(view.buffer.byteLength)
  expect(new Set(views.map(view => view.buffer)).size).toBe(8)
  for (const batch of filled) expect(Object.keys(batch)).not.toContain('columns')
})

test('whatever the limits, keys and cuts, batches are those of the model, and other clients read them', async () => {
  await fc.assert(
    fc.asyncProperty(optionsDrawn, spansDrawn, async (options, spans) => {
      const { encoding } = planOf(options)
      const filled = fill(options, spans).flat()
      const expected = modelBatches(options, spans)
      const numbers = expected.map(({ rows }) => rows.map(({ row }) => row.row))
      expect(filled.map(({ rowNumbers }) => [...rowNumbers])).toEqual(numbers)
      for (const [index, batch] of filled.entries()) {
        checkPieces(batch, encoding, expected[index]!)
        if (batch.refusal === undefined) await checkRecords(batch, encoding, expected[index]!)
        else checkRefused(batch, encoding, expected[index]!)
      }
    }),
  )
})

async function checkRecords(
  batch: FilledBatch,
  encoding: KafkaEncoding,
  { partition, rows }: ModelBatch,
): Promise<void> {
  const own = rows.map(({ row }) => row)
  const records = recordsOf(encoding, own).map((record, offset) => ({ ...record, offset, headers: encoding.headers }))
  const read = readWithPlatformatic(batch.bytes)
  expect(read.records).toEqual(records)
  expect(await readWithKafkajs(batch.bytes)).toEqual(read)
  expect([batch.partition, batch.ends.length]).toEqual([partition, 0])
  expect(batch.bytes.length).toBeLessThanOrEqual(encoding.maxBatchBytes ?? Number.POSITIVE_INFINITY)
  const length = lengthOf(encoding, own)
  expect((await decompressRecords(batch.bytes)).length + HEADER_BYTES).toBe(length)
  expect(batch.bytes.length).toBeLessThanOrEqual(length)
}

function checkRefused(batch: FilledBatch, encoding: KafkaEncoding, { partition, rows }: ModelBatch): void {
  const own = rows.map(({ row }) => row)
  if (partition === undefined) expect(batch.refusal).toBe(NO_TIMESTAMP)
  else expect([own.length, lengthOf(encoding, own) > encoding.maxBatchBytes!]).toEqual([1, true])
  expect('partition' in batch).toBe(false)
  expect(Buffer.from(batch.bytes).toString()).toBe(own.map(({ json }) => json).join(''))
  expect([batch.ends.length, batch.ends.at(-1)]).toEqual([own.length, batch.bytes.length])
}

function checkPieces(batch: FilledBatch, encoding: KafkaEncoding, { rows }: ModelBatch): void {
  expect(batch.rows).toBe(rows.length)
  expect(batch.pieces).toEqual(
    [...Map.groupBy(rows, ({ span }) => span)].map(([span, own]) => ({
      chunk: span.chunk,
      row: span.row,
      first: own[0]!.first,
      rows: own.length,
      bytes: own.reduce((sum, { row }) => sum + Buffer.byteLength(row.json), 0),
      checksum: total(own.map(({ row }) => checksumOf(batch, encoding, row))),
    })),
  )
}

/** A row without a time is refused before its key is looked at. */
function checksumOf({ refusal }: FilledBatch, encoding: KafkaEncoding, { json, key }: TestRow): string {
  const hasKey = key !== null && encoding.key !== undefined && refusal !== NO_TIMESTAMP
  return rowChecksum(Buffer.from(json), hasKey ? { key: Buffer.from(key) } : {})
}

function sum(...rows: string[]): string {
  return total(rows.map(row => rowChecksum(Buffer.from(row))))
}

function total(checksums: readonly string[]): string {
  return checksums.reduce(addChecksums, ZERO_CHECKSUM)
}

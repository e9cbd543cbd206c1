import {
  Binary,
  type Data,
  Field,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import type { RowPlan } from '../../src/columnar/encoder.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import type { FilledBatch, KafkaEncoding, TextColumn } from '../../src/columnar/read-plan.ts'
import { textBytes } from '../../src/sinks/sink.ts'
import { readWithPlatformatic } from './kafka-records.ts'

const PLAN: RowPlan = {
  ...{ encoding: { kind: 'ndjson' }, batchRows: 100, batchBytes: 10_000, stableBatches: false, checksums: true },
}
const KAFKA: KafkaEncoding = {
  ...{ kind: 'kafka-batch', partitions: 1, timestamp: 'now', headers: {}, compression: 'none' },
}
const NOW = 1_800_000_000_123

/** Row 1 is NULL. */
const AT = makeData({
  type: new TimestampMicrosecond(),
  length: 4,
  nullCount: 1,
  nullBitmap: Uint8Array.of(0b1101),
  data: BigInt64Array.of(1_700_000_000_123_999n, 0n, 0n, 5_000n),
})

const rows = batchOf({
  id: vectorFromArray([1n, -2n, null, 4n], new Int64()).data[0]!,
  name: vectorFromArray(['é', null, '', 'd'], new Utf8()).data[0]!,
  raw: vectorFromArray([Buffer.from('abc'), Buffer.from(''), null, Buffer.from('d')], new Binary()).data[0]!,
  at: AT,
})

function batchOf(columns: Record<string, Data>): RecordBatch {
  const children = Object.values(columns)
  const fields = Object.entries(columns).map(([name, { type }]) => new Field(name, type, true))
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length: 4, children }))
}

function encode(plan: Partial<RowPlan>, selected?: readonly number[]): FilledBatch[] {
  const encoder = new JavaScriptEncoder(
    { ...PLAN, ...plan },
    length => new Uint8Array(length),
    () => NOW,
  )
  const span = { chunk: 3, row: 10, name: 'file', batch: rows }
  encoder.add({ ...span, selected: selected && Uint32Array.from(selected) })
  encoder.cut()
  return encoder.takeFilled()
}

const records = (encoding: Partial<KafkaEncoding>, selected?: readonly number[]) =>
  encode({ encoding: { ...KAFKA, ...encoding } }, selected).flatMap(({ bytes }) => readWithPlatformatic(bytes).records)

const texts = (column: TextColumn) =>
  Array.from(column.ends, (_, row) => textBytes(column, row)).map(value => value && Buffer.from(value).toString())

test('the selected rows are encoded, under their numbers in the chunk, with their ids and columns', () => {
  const [batch] = encode({ ids: { job: 'job' }, columns: ['at', 'name'] }, [1, 3])
  expect(Buffer.from(batch!.bytes).toString()).toBe(
    '{"id":-2,"name":null,"raw":"","at":null}\n{"id":4,"name":"d","raw":"ZA==","at":"1970-01-01T00:00:00.005Z"}\n',
  )
  expect([...batch!.rowNumbers]).toEqual([11, 13])
  expect(texts(batch!.ids!)).toEqual(['job-3-11', 'job-3-13'])
  expect(texts(batch!.columns!['at']!)).toEqual([null, '1970-01-01T00:00:00.005Z'])
  expect(texts(batch!.columns!['name']!)).toEqual([null, 'd'])
})

describe('record batches', () => {
  test('have the rows as values', () => {
    expect(records({}, [2]).map(({ value }) => value)).toEqual([
      '{"id":null,"name":"","raw":null,"at":"1970-01-01T00:00:00Z"}',
    ])
  })

  test('have any column as text for a key', () => {
    const keys = ['id', 'name', 'raw', 'at'].map(key => records({ key }).map(record => record.key))
    expect(keys).toEqual([
      ['1', '-2', null, '4'],
      ['é', null, '', 'd'],
      ['YWJj', '', null, 'ZA=='],
      ['2023-11-14T22:13:20.123999Z', null, '1970-01-01T00:00:00Z', '1970-01-01T00:00:00.005Z'],
    ])
  })

  test('have a column for their timestamps, with and without keys', () => {
    const expected = [1_700_000_000_123n, BigInt(NOW), 0n, 5n]
    for (const key of [{}, { key: 'name' }, { key: 'at' }])
      expect(records({ ...key, timestamp: { column: 'at' } }).map(({ timestamp }) => timestamp)).toEqual(expected)
  })

  test('need the columns that they are to have', () => {
    expect(() => records({ key: 'nope' })).toThrow('has no column "nope"')
    expect(() => records({ timestamp: { column: 'name' } })).toThrow('column "name" has no timestamps')
  })
})

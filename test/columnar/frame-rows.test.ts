import { tableFromArrays } from 'apache-arrow'
import { expect, test } from 'vitest'
import { addChecksums, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import { frameRows } from '../../src/columnar/frame-rows.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import type { Encoding, FilledBatch, RowIds } from '../../src/columnar/read-plan.ts'
import { textRowChecksum } from '../../src/columnar/text-row.ts'

const IDS: readonly RowIds[] = [{ job: 'job' }, { table: 'things', columns: ['word', 'id'] }]
const KAFKA = { kind: 'kafka-batch', partitions: 3, headers: { by: 'é' }, compression: 'none' } as const
const ENCODINGS: readonly Encoding[] = [
  { kind: 'rows' },
  { kind: 'ndjson' },
  { kind: 'json-array' },
  { ...KAFKA, timestamp: 'now' },
  { ...KAFKA, timestamp: 'now', key: 'word', idHeader: 'id' },
  { ...KAFKA, timestamp: { column: 'at' }, key: 'id', compression: 'zstd' },
]

const words = ['one', 'é"\\', null, '😀', '', 'one', 'seven', 'eight', 'nine', 'ten']
const table = tableFromArrays({
  id: BigInt64Array.from({ length: 10 }, (_, index) => 2n ** 60n + BigInt(index)),
  word: words,
  at: Array.from({ length: 10 }, (_, index) => new Date(index === 3 ? -1 : 1_000 * index)),
})

const cases = IDS.flatMap(ids => ENCODINGS.map(encoding => [encoding, ids] as const))

test.each(cases)('rows that are text are framed as an encoder frames them: %j %j', async (encoding, ids) => {
  const plan = {
    encoding,
    batchRows: 3,
    batchBytes: 1 << 20,
    stableBatches: false,
    checksums: true,
    ids,
  }
  const asks = encoding.kind === 'kafka-batch' ? plan : { ...plan, columns: ['word', 'id'] }
  const encoder = new JavaScriptEncoder(
    asks,
    length => new Uint8Array(length),
    () => 0,
  )
  encoder.add({ chunk: 4, row: 100, name: 'file', batch: table.batches[0]!, selected: undefined })
  encoder.cut()

  const plain = new JavaScriptEncoder(
    { ...plan, encoding: { kind: 'rows' }, batchRows: 1 },
    length => new Uint8Array(length),
  )
  plain.add({ chunk: 4, row: 100, name: 'file', batch: table.batches[0]!, selected: undefined })
  plain.cut()
  const rows = plain
    .takeFilled()
    .map(({ bytes, rowNumbers }) => ({ chunk: 4, row: rowNumbers[0]!, payload: Buffer.from(bytes).toString() }))
  expect(rows).toHaveLength(10)

  const framed = await frameRows(asks, rows)
  expect(comparable(framed)).toEqual(comparable(encoder.takeFilled()))
  const carried = framed.filter(({ refusal }) => refusal === undefined)
  const sums = carried.flatMap(({ pieces }) => pieces.map(({ checksum }) => checksum))
  const refused = new Set(framed.flatMap(({ refusal, rowNumbers }) => (refusal === undefined ? [] : [...rowNumbers])))
  const each = rows.filter(({ row }) => !refused.has(row)).map(row => textRowChecksum(asks, row))
  expect(sums.reduce(addChecksums, ZERO_CHECKSUM)).toBe(each.reduce(addChecksums, ZERO_CHECKSUM))
})

test('the rows of each chunk are a span of their own, and no rows are no batch', async () => {
  const plan = {
    encoding: { kind: 'ndjson' },
    batchRows: 10,
    batchBytes: 1 << 20,
    stableBatches: false,
    checksums: false,
  } as const
  const rows = [
    { chunk: 0, row: 7, payload: '{}' },
    { chunk: 0, row: 9, payload: '{}' },
    { chunk: 3, row: 1, payload: '{}' },
  ]
  const [batch, ...more] = await frameRows(plan, rows)
  expect(more).toEqual([])
  expect(Buffer.from(batch!.bytes).toString()).toBe('{}\n{}\n{}\n')
  expect([...batch!.rowNumbers]).toEqual([7, 9, 1])
  expect(batch!.pieces).toMatchObject([
    { chunk: 0, row: 7, first: 0, rows: 2 },
    { chunk: 3, row: 1, first: 0, rows: 1 },
  ])
  expect(await frameRows(plan, [])).toEqual([])
})

/** Buffers of batches may be longer than what is used of them. */
function comparable(batches: readonly FilledBatch[]) {
  return batches.map(({ bytes, ...batch }) => ({ ...batch, bytes: Buffer.from(bytes).toString('latin1') }))
}

import { tableFromArrays } from 'apache-arrow'
import { expect, test } from 'vitest'
import { addChecksums, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import type { RowPlan } from '../../src/columnar/encoder.ts'
import { frameRows } from '../../src/columnar/frame-rows.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import type { FilledBatch, RowIds } from '../../src/columnar/read-plan.ts'

const IDS: readonly RowIds[] = [{ job: 'job' }, { table: 'things', columns: ['word', 'id'] }]
const KAFKA = { kind: 'kafka-batch', partitions: 3, headers: { by: 'é' }, compression: 'none' } as const
const ENCODINGS: readonly RowPlan['encoding'][] = [
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
  const encoded = encoder.takeFilled()
  expect(comparable(framed)).toEqual(comparable(encoded))
  for (const { pieces, rowNumbers } of framed)
    expect(pieces.map(({ row, rows, first }) => [row, rows, first])).toEqual(Array.from(rowNumbers, row => [row, 1, 0]))
  expect(inOrder(framed).map(sumOf)).toEqual(inOrder(encoded).map(sumOf))
})

function sumOf({ pieces }: FilledBatch) {
  return {
    bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0),
    checksum: pieces.map(({ checksum }) => checksum).reduce(addChecksums, ZERO_CHECKSUM),
  }
}

test('each row is a span of its own, and no rows are no batch', async () => {
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
    { chunk: 0, row: 7, first: 0, rows: 1 },
    { chunk: 0, row: 9, first: 0, rows: 1 },
    { chunk: 3, row: 1, first: 0, rows: 1 },
  ])
  expect(await frameRows(plan, [])).toEqual([])
})

/** Buffers of batches may be longer than what is used of them; and spans are other ones here. */
function comparable(batches: readonly FilledBatch[]) {
  return inOrder(batches).map(({ bytes, pieces: _, rowsHash: __, ...batch }) => ({
    ...batch,
    bytes: Buffer.from(bytes).toString('latin1'),
  }))
}

/** What is refused comes where its span ends. */
function inOrder(batches: readonly FilledBatch[]): readonly FilledBatch[] {
  return batches.toSorted((one, other) => one.rowNumbers[0]! - other.rowNumbers[0]!)
}

import { DataType, tableFromIPC } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArrowEncoder } from '../../src/columnar/arrow-encoder.ts'
import { streamOf, streamRows } from '../../src/columnar/arrow-stream.ts'
import type { EncoderPlan } from '../../src/columnar/encoder.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import type { FilledBatch } from '../../src/columnar/read-plan.ts'
import { openRows, reframe } from '../../src/columnar/reframe.ts'
import { anyKind, dictionaries, lists, structs } from './arrow-column.ts'
import { integers, LEAVES, strings } from './arrow-leaf.ts'
import { batchOf, cutouts, nameOf, type Spans, spanOf, spansOf, tablesOf, UNLIMITED } from './encoders.ts'

const RUNS = Number(process.env['MILLRACE_TEST_RUNS'] ?? 100)
const PLAN: EncoderPlan = { ...UNLIMITED, encoding: { kind: 'arrow-stream' }, checksums: false }
const allocate = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length)

function encode(plan: Partial<EncoderPlan>, spans: Spans): FilledBatch[] {
  const encoder = new ArrowEncoder({ ...PLAN, ...plan }, allocate)
  for (const span of spans) encoder.add(span())
  encoder.cut()
  return encoder.takeFilled()
}

function rowsOf(batches: readonly Pick<FilledBatch, 'bytes' | 'rows'>[]): string[] {
  return batches.flatMap(({ bytes, rows }) =>
    streamRows(
      bytes,
      Array.from({ length: rows }, (_, row) => row),
    ),
  )
}

/** What the rows are as JSON. */
function expectedRows(spans: Spans): string[] {
  const encoder = new JavaScriptEncoder(UNLIMITED, allocate)
  for (const span of spans) encoder.add(span())
  encoder.cut()
  return encoder.takeFilled().flatMap(({ bytes, ends }) => {
    const text = Buffer.from(bytes)
    return Array.from(ends, (end, row) => text.toString('utf8', row === 0 ? 0 : ends[row - 1]!, end))
  })
}

function hasUnion(type: DataType): boolean {
  if (DataType.isUnion(type)) return true
  if (DataType.isDictionary(type)) return hasUnion(type.dictionary)
  return (type.children ?? []).some(child => hasUnion(child.type))
}

describe('rows as Arrow streams', () => {
  test('keep the values of columns of any types, however they are selected and cut', () => {
    const kinds = fc.array(
      anyKind(2).filter(({ type }) => !hasUnion(type)),
      { minLength: 1, maxLength: 4 },
    )
    const limits = fc.record({
      batchRows: fc.integer({ min: 1, max: 20 }),
      batchBytes: fc.integer({ min: 1, max: 2_000 }),
      stableBatches: fc.boolean(),
    })
    const property = fc.property(limits, tablesOf(kinds), cutouts, (limits, table, cutouts) => {
      const spans = spansOf(table, cutouts)
      const batches = encode(limits, spans)
      expect(rowsOf(batches)).toEqual(expectedRows(spans))
      for (const { rows, pieces } of batches) {
        expect(rows).toBeLessThanOrEqual(limits.batchRows)
        expect(pieces.reduce((sum, piece) => sum + piece.rows, 0)).toBe(rows)
      }
    })
    fc.assert(property, { numRuns: RUNS })
  })

  const wide = batchOf(4, [
    dictionaries(strings, LEAVES.find(({ type }) => DataType.isInt(type) && type.bitWidth === 16)!.type as never).build(
      ['one', null, 'two', 'one'].map(text => text && Buffer.from(text)),
    ),
    lists(structs(strings), true).build([[[Buffer.from('a')]], [], null, [null, [null]]]),
  ])

  test('are read by others, who find plain types', () => {
    const [batch] = encode({}, [() => spanOf(wide)])
    const table = tableFromIPC(batch!.bytes)
    expect(table.schema.fields.map(({ name, type }) => [name, `${type}`])).toEqual([
      [nameOf(0), 'Utf8'],
      [nameOf(1), 'List<Struct<{a:Utf8}>>'],
    ])
    expect(table.toArray().map(row => row.toJSON()[nameOf(0)])).toEqual(['one', null, 'two', 'one'])
  })

  test('have the columns, order and names that are asked for, with ids and texts beside them', () => {
    const columns = [{ column: nameOf(1), name: 'list', quoted: false }]
    const [batch] = encode({ shape: { columns, omitNulls: false }, ids: { job: 'job' }, columns: [nameOf(0)] }, [
      () => ({ ...spanOf(wide), selected: Uint32Array.of(1, 3) }),
    ])
    expect(rowsOf([batch!])).toEqual(['{"list":[]}', '{"list":[null,{"a":null}]}'])
    expect(Buffer.from(batch!.ids!.bytes).toString()).toBe('job-0-1job-0-3')
    expect(Buffer.from(batch!.columns![nameOf(0)]!.bytes).toString()).toBe('one')
    expect([...batch!.rowNumbers]).toEqual([1, 3])
  })

  test('are cut in the same places on every reading where batches are stable', () => {
    const ids = batchOf(
      10,
      [integers(LEAVES.find(({ type }) => DataType.isInt(type) && type.bitWidth === 64)!.type, 64, true)].map(kind =>
        kind.build(Array.from({ length: 10 }, (_, id) => BigInt(id))),
      ),
    )
    const spans = [4, 3, 3].map((count, index) => () => {
      const row = [0, 4, 7][index]!
      return { ...spanOf(ids.slice(row, row + count)), row }
    })
    const cuts = (spans: Spans) =>
      encode({ stableBatches: true, batchRows: 6 }, spans).map(({ rows, rowsHash }) => [rows, rowsHash])
    const all = cuts(spans)
    expect(all.map(([rows]) => rows)).toEqual([4, 6])
    expect(cuts(spans.slice(1))).toEqual(all.slice(1))
  })

  test('begin anew where a file has a column of another type', () => {
    const number = batchOf(1, [LEAVES.find(({ type }) => DataType.isInt(type))!.build([7n])])
    const text = batchOf(1, [strings.build([Buffer.from('seven')])])
    const batches = encode({}, [() => spanOf(number), () => spanOf(text)])
    expect(batches.map(({ rows }) => rows)).toEqual([1, 1])
    expect(rowsOf(batches)).toEqual(['{"c\\"0":7}', '{"c\\"0":"seven"}'])
  })

  test('are taken apart again', async () => {
    const [{ bytes, rows, ends }] = encode({}, [() => spanOf(wide)]) as [FilledBatch]
    const framed = { encoding: { kind: 'arrow-stream' }, bytes, rows, ends } as const
    const opened = await openRows(framed, [2])
    expect(opened.map(({ payload }) => Buffer.from(payload).toString())).toEqual([`{"c\\"0":"two","c\\"1":null}`])
    const [part] = await reframe(framed, [[1, 3]])
    expect(rowsOf([part!])).toEqual(rowsOf([{ bytes, rows }]).filter((_, row) => row % 2 === 1))
    expect(streamRows(streamOf(bytes, []), [])).toEqual([])
  })

  test('cannot be made of unions', () => {
    fc.assert(
      fc.property(tablesOf(fc.tuple(anyKind(1).filter(({ type }) => DataType.isUnion(type)))), table => {
        expect(() => encode({}, spansOf(table, [{ from: 0, count: 9, selected: null }]))).toThrow('is a union')
      }),
      { numRuns: 5 },
    )
  })
})

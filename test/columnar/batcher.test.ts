import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batcher } from '../../src/columnar/batcher.ts'
import { addChecksums, rowChecksum, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import type { FilledBatch, PlainEncoding, TextColumn } from '../../src/columnar/read-plan.ts'
import { rowBytes, textBytes } from '../../src/sinks/sink.ts'

type Options = ConstructorParameters<typeof Batcher>[0]

/** A span: its rows' payloads by row number. Gaps are rows that were filtered out. */
interface TestSpan {
  readonly chunk: number
  readonly row: number
  readonly rows: readonly { readonly row: number; readonly json: string }[]
}

const UNLIMITED: Options = {
  encoding: { kind: 'rows' },
  batchRows: 1_000_000,
  batchBytes: 1_000_000,
  stableBatches: false,
  checksums: true,
}

/** What each span completed; `cuts`: indexes of spans that a cut follows. The last entry is what a cut at the end gave. */
function fill(
  options: Partial<Options>,
  spans: readonly TestSpan[],
  cuts: ReadonlySet<number> = new Set(),
): FilledBatch[][] {
  const batcher = new Batcher({ ...UNLIMITED, ...options }, length => new Uint8Array(length))
  const filled = spans.map((span, index) => {
    batcher.beginSpan(span.chunk, span.row)
    for (const { row, json } of span.rows) batcher.add(row, json, [])
    const bytes = batcher.endSpan()
    expect(bytes).toBe(span.rows.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0))
    if (cuts.has(index)) batcher.cut()
    return batcher.takeFilled()
  })
  batcher.cut()
  return [...filled, batcher.takeFilled()]
}

function span(chunk: number, row: number, ...json: string[]): TestSpan {
  return { chunk, row, rows: json.map((json, index) => ({ row: row + index, json })) }
}

const text = (batch: FilledBatch): string => Buffer.from(batch.bytes).toString()
const numbers = (batches: readonly FilledBatch[]): number[][] => batches.map(batch => [...batch.rowNumbers])

describe('framing', () => {
  const spans = [span(0, 0, '{"a":1}', '{"a":"é€😀"}'), span(0, 2, '{}')]

  test('rows lie one behind the other', () => {
    const [batch] = fill({ encoding: { kind: 'rows' } }, spans).flat()
    expect(text(batch!)).toBe('{"a":1}{"a":"é€😀"}{}')
    expect([...batch!.ends]).toEqual([7, 24, 26])
  })

  test('ndjson ends each row with a newline that belongs to it', () => {
    const [batch] = fill({ encoding: { kind: 'ndjson' } }, spans).flat()
    expect(text(batch!)).toBe('{"a":1}\n{"a":"é€😀"}\n{}\n')
    expect([...batch!.ends]).toEqual([8, 26, 29])
  })

  test('a JSON array has a bracket or comma before each row, which belongs to it, and a bracket behind the last', () => {
    const [batch] = fill({ encoding: { kind: 'json-array' } }, spans).flat()
    expect(text(batch!)).toBe('[{"a":1},{"a":"é€😀"},{}]')
    expect([...batch!.ends]).toEqual([8, 26, 29])
  })

  test('each array is complete, also where rows had to move to the next batch', () => {
    const filled = fill({ encoding: { kind: 'json-array' }, batchRows: 2, stableBatches: true }, [
      span(0, 0, '1'),
      span(0, 1, '2', '3'),
    ]).flat()
    expect(filled.map(text)).toEqual(['[1]', '[2,3]'])
  })

  test('counts payload without framing', () => {
    for (const kind of ['rows', 'ndjson', 'json-array'] as const) {
      const [batch] = fill({ encoding: { kind } }, spans).flat()
      expect(batch!.pieces).toEqual([
        { chunk: 0, row: 0, first: 0, rows: 2, bytes: 24, checksum: sum('{"a":1}', '{"a":"é€😀"}') },
        { chunk: 0, row: 2, first: 0, rows: 1, bytes: 2, checksum: sum('{}') },
      ])
    }
  })

  test('checksums are 0 where none are asked for', () => {
    const [batch] = fill({ checksums: false }, spans).flat()
    expect(batch!.pieces.map(piece => piece.checksum)).toEqual([ZERO_CHECKSUM, ZERO_CHECKSUM])
  })
})

describe('greedy batches', () => {
  test('are cut before they exceed the rows', () => {
    const filled = fill({ batchRows: 3 }, [span(0, 0, 'a', 'b'), span(0, 2, 'c', 'd', 'e'), span(1, 0, 'f', 'g')])
    expect(filled.map(numbers)).toEqual([[], [[0, 1, 2]], [[3, 4, 0]], [[1]]])
    expect(filled[2]![0]!.pieces).toMatchObject([
      { chunk: 0, row: 2, first: 1, rows: 2 },
      { chunk: 1, row: 0, first: 0, rows: 1 },
    ])
    expect(filled[3]![0]!.pieces).toMatchObject([{ chunk: 1, row: 0, first: 1, rows: 1 }])
  })

  test('are cut before they exceed the bytes, framing included', () => {
    const rows = span(0, 0, 'aaa', 'bbb', 'ccc')
    const cutAt = (encoding: PlainEncoding, batchBytes: number) =>
      numbers(fill({ encoding, batchBytes }, [rows]).flat())
    expect(cutAt({ kind: 'rows' }, 6)).toEqual([[0, 1], [2]])
    expect(cutAt({ kind: 'rows' }, 5)).toEqual([[0], [1], [2]])
    expect(cutAt({ kind: 'ndjson' }, 8)).toEqual([[0, 1], [2]])
    expect(cutAt({ kind: 'ndjson' }, 7)).toEqual([[0], [1], [2]])
    expect(cutAt({ kind: 'json-array' }, 9)).toEqual([[0, 1], [2]])
    expect(cutAt({ kind: 'json-array' }, 8)).toEqual([[0], [1], [2]])
  })

  test('hold a larger row alone', () => {
    const filled = fill({ batchBytes: 4 }, [span(0, 0, 'a', 'bbbbbbbb', 'c', 'd')]).flat()
    expect(numbers(filled)).toEqual([[0], [1], [2, 3]])
  })

  test('are cut on demand, and never empty', () => {
    const filled = fill({}, [span(0, 0, 'a'), span(0, 1), span(0, 1, 'b')], new Set([0, 1]))
    expect(filled.map(numbers)).toEqual([[[0]], [], [], [[1]]])
  })
})

describe('stable batches', () => {
  const stable = { stableBatches: true, batchRows: 4 }

  test('are whole spans, as many as fit', () => {
    const filled = fill(stable, [span(0, 0, 'a', 'b'), span(0, 2, 'c'), span(0, 3, 'd', 'e')])
    expect(filled.map(numbers)).toEqual([[], [], [[0, 1, 2]], [[3, 4]]])
  })

  test('or pieces of one span, the rest of which stays alone', () => {
    const filled = fill(stable, [span(0, 0, 'a'), span(0, 1, ...'bcdefg'), span(0, 7, 'h')])
    expect(filled.map(numbers)).toEqual([[], [[0], [1, 2, 3, 4], [5, 6]], [], [[7]]])
    expect(filled[1]!.map(batch => batch.pieces)).toMatchObject([
      [{ row: 0, first: 0, rows: 1 }],
      [{ row: 1, first: 0, rows: 4 }],
      [{ row: 1, first: 4, rows: 2 }],
    ])
  })

  test('begin anew where a large row pushes out what was before it', () => {
    const filled = fill({ stableBatches: true, batchBytes: 10 }, [
      span(0, 0, 'a'),
      span(0, 1, 'bbbbb', 'cccccccc'),
      span(0, 3, 'd'),
    ])
    expect(filled.map(numbers)).toEqual([[], [[0], [1], [2]], [], [[3]]])
  })
})

describe('what is handed out beside the payload', () => {
  const column = ({ bytes, ends, nulls }: TextColumn): (string | null)[] =>
    [...ends].map((_, index) => {
      const value = textBytes({ bytes, ends, nulls }, index)
      return value && Buffer.from(value).toString()
    })

  test('is cut with the rows', () => {
    const batcher = new Batcher(
      { ...UNLIMITED, batchRows: 2, ids: { job: 'job' }, columns: ['key', 'other'] },
      length => new Uint8Array(length),
    )
    batcher.beginSpan(5, 100)
    batcher.add(100, '1', ['é', 'x'], 'job-5-100')
    batcher.add(103, '2', [null, 'y'], 'job-5-103')
    batcher.add(104, '3', ['', 'z'], 'job-5-104')
    batcher.endSpan()
    batcher.cut()
    const filled = batcher.takeFilled()
    expect(filled.map(batch => column(batch.ids!))).toEqual([['job-5-100', 'job-5-103'], ['job-5-104']])
    expect(filled.map(batch => Object.keys(batch.columns!))).toEqual([
      ['key', 'other'],
      ['key', 'other'],
    ])
    expect(filled.map(batch => column(batch.columns!['key']!))).toEqual([['é', null], ['']])
    expect(filled.map(batch => column(batch.columns!['other']!))).toEqual([['x', 'y'], ['z']])
  })

  test('is left out where it is not asked for', () => {
    const [batch] = fill({}, [span(0, 0, 'a')]).flat()
    expect(batch).not.toHaveProperty('ids')
    expect(batch).not.toHaveProperty('columns')
    expect(batch).not.toHaveProperty('partition')
  })
})

const spansOf = fc.array(
  fc.tuple(
    fc.boolean(),
    fc.array(fc.tuple(fc.nat(2), fc.string({ unit: 'binary', maxLength: 12 })), { maxLength: 12 }),
  ),
  {
    maxLength: 12,
  },
)

/** Spans of chunks 0, 1, ...: `true` begins a chunk; numbers are the rows left out before each row. */
function toSpans(drawn: readonly (readonly [boolean, readonly (readonly [number, string])[]])[]): TestSpan[] {
  let chunk = 0
  let row = 0
  return drawn.map(([begins, rows]) => {
    if (begins) {
      chunk++
      row = 0
    }
    const start = row
    const kept = rows.map(([gap, value]) => {
      row += gap + 1
      return { row: row - 1, json: JSON.stringify(value.toWellFormed()) }
    })
    row++
    return { chunk, row: start, rows: kept }
  })
}

const options = fc.record({
  encoding: fc.constantFrom<PlainEncoding>({ kind: 'rows' }, { kind: 'ndjson' }, { kind: 'json-array' }),
  batchRows: fc.integer({ min: 1, max: 20 }),
  batchBytes: fc.integer({ min: 1, max: 200 }),
  stableBatches: fc.boolean(),
})

test('whatever the limits and cuts, every row comes once, in order, with its own framing and tallies', () => {
  fc.assert(
    fc.property(options, spansOf, fc.array(fc.nat(12)), (options, drawn, cuts) => {
      const spans = toSpans(drawn)
      const batches = fill(options, spans, new Set(cuts)).flat()
      expect(batches.flatMap(batch => payloads(batch, options.encoding))).toEqual(
        spans.flatMap(({ rows }) => rows.map(({ json }) => json)),
      )
      expect(batches.flatMap(batch => [...batch.rowNumbers])).toEqual(
        spans.flatMap(({ rows }) => rows.map(({ row }) => row)),
      )
      for (const batch of batches) checkBatch(batch, options)
      checkPieces(batches, spans)
    }),
  )
})

test('greedy batches are as full as the limits allow', () => {
  fc.assert(
    fc.property(options, spansOf, (options, drawn) => {
      const batches = fill({ ...options, stableBatches: false }, toSpans(drawn)).flat()
      batches.slice(1).forEach((next, index) => {
        const batch = batches[index]!
        const isFull = batch.rows === options.batchRows || batch.bytes.length + next.ends[0]! > options.batchBytes
        expect(isFull).toBe(true)
      })
    }),
  )
})

test('stable batches are the same on every reading, from wherever one of them ends with a span', () => {
  fc.assert(
    fc.property(options, spansOf, (drawnOptions, drawn) => {
      const options = { ...drawnOptions, stableBatches: true }
      const spans = toSpans(drawn)
      const batches = fill(options, spans).flat()
      for (const batch of batches) {
        const isPiece = batch.pieces.length === 1
        const wholeSpans = batch.pieces.every(
          ({ chunk, row, first, rows }) => first === 0 && rows === find(spans, chunk, row).rows.length,
        )
        expect(wholeSpans || isPiece).toBe(true)
      }
      batches.forEach((batch, index) => {
        const { chunk, row, first, rows } = batch.pieces.at(-1)!
        const last = find(spans, chunk, row)
        if (first + rows < last.rows.length) return
        const rest = fill(options, spans.slice(spans.indexOf(last) + 1)).flat()
        expect(rest).toEqual(batches.slice(index + 1))
      })
    }),
  )
})

test('every buffer is of its own and no larger than it needs to be, so that it can be transferred', () => {
  const batcher = new Batcher(
    { ...UNLIMITED, batchRows: 2, ids: { job: 'job' }, columns: ['key'] },
    length => new Uint8Array(length),
  )
  batcher.beginSpan(0, 0)
  for (let row = 0; row < 5; row++) batcher.add(row, '{}', [String(row)], `id ${row}`)
  batcher.endSpan()
  batcher.cut()
  const views = batcher.takeFilled().flatMap(({ bytes, ends, rowNumbers, ids, columns }) => {
    const texts = [ids!, columns!['key']!]
    return [bytes, ends, rowNumbers, ...texts.flatMap(text => [text.bytes, text.ends, text.nulls])]
  })
  expect(views).toHaveLength(27)
  expect(new Set(views.map(view => view.buffer)).size).toBe(27)
  for (const view of views) expect(view.byteLength).toBe(view.buffer.byteLength)
  expect(() => structuredClone(views, { transfer: views.map(view => view.buffer) })).not.toThrow()
})

function find(spans: readonly TestSpan[], chunk: number, row: number): TestSpan {
  return spans.find(span => span.chunk === chunk && span.row === row)!
}

function sum(...rows: string[]): string {
  return rows.map(row => rowChecksum(Buffer.from(row))).reduce(addChecksums, ZERO_CHECKSUM)
}

function payloads(batch: FilledBatch, { kind }: PlainEncoding): string[] {
  return Array.from({ length: batch.rows }, (_, index) => {
    const row = Buffer.from(rowBytes(batch, index)).toString()
    if (kind === 'ndjson') return row.slice(0, -1)
    return kind === 'json-array' ? row.slice(1) : row
  })
}

function checkBatch(
  batch: FilledBatch,
  { encoding, batchRows, batchBytes }: Pick<Options, 'encoding' | 'batchRows' | 'batchBytes'>,
): void {
  const rows = payloads(batch, encoding)
  expect(batch.rows).toBeGreaterThan(0)
  expect(batch.rows === 1 || (batch.rows <= batchRows && batch.bytes.length <= batchBytes)).toBe(true)
  if (encoding.kind === 'rows') expect(text(batch)).toBe(rows.join(''))
  if (encoding.kind === 'ndjson') expect(text(batch)).toBe(rows.map(row => `${row}\n`).join(''))
  if (encoding.kind === 'json-array') expect(text(batch)).toBe(`[${rows.join(',')}]`)
  expect(batch.rowsHash).toBe(naiveHash(batch))
  let position = 0
  for (const piece of batch.pieces) {
    const own = rows.slice(position, position + piece.rows)
    position += piece.rows
    expect(piece.bytes).toBe(own.reduce((sum, row) => sum + Buffer.byteLength(row), 0))
    expect(piece.checksum).toBe(sum(...own))
  }
  expect(position).toBe(batch.rows)
}

/** The pieces of each span, one behind the other, are the span. */
function checkPieces(batches: readonly FilledBatch[], spans: readonly TestSpan[]): void {
  const pieces = batches.flatMap(batch => batch.pieces)
  for (const { chunk, row, rows } of spans) {
    let first = 0
    for (const piece of pieces.filter(piece => piece.chunk === chunk && piece.row === row)) {
      expect(piece.first).toBe(first)
      first += piece.rows
    }
    expect(first).toBe(rows.length)
  }
}

function naiveHash({ pieces, rowNumbers }: FilledBatch): string {
  let position = 0
  const values = pieces.flatMap(({ chunk, rows }) => {
    position += rows
    return [chunk, ...rowNumbers.slice(position - rows, position)]
  })
  let hash = 2166136261n
  for (const value of values) {
    for (const byte of Buffer.from(Uint32Array.of(value).buffer)) hash = ((hash ^ BigInt(byte)) * 16777619n) % 2n ** 32n
  }
  return hash.toString(16).padStart(8, '0')
}

/** Row groups that a predicate excludes are not read, which loses no row. */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { formatDate, formatTimestamp } from '../../src/columnar/calendar.ts'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import { type RowGroup, readFooter } from '../../src/columnar/parquet-footer.ts'
import type { Predicate } from '../../src/columnar/predicate.ts'
import { openUnitReader } from '../../src/columnar/reader.ts'
import { loadSet } from '../../src/columnar/value-sets.ts'
import { chunkOf, countingAccess, planOf, readUnit, rowsOf } from './read-units.ts'
import { parquetFile } from './staged-files.ts'

const GROUP_ROWS = 2048
const ROWS = 6 * GROUP_ROWS

interface TestColumn {
  readonly type: ColumnType
  readonly sql: string
  /** Canonical text of the value in row `i`, which is NULL in every 11th and in all of row group 4. */
  text(i: number): string
  /** Whether there can be a window over it. */
  readonly windows?: true
}

/** Sorted, apart from `bucket`. */
const COLUMNS = {
  instant: {
    type: { kind: 'timestamp', unit: 'us', zone: false },
    sql: "TIMESTAMP '2026-03-01' + to_microseconds(i * 60000001)",
    text: i => formatTimestamp(1_772_323_200_000_000_000n + BigInt(i) * 60_000_001_000n),
    windows: true,
  },
  nanos: {
    type: { kind: 'timestamp', unit: 'ns', zone: false },
    sql: 'make_timestamp_ns(i * 1000003 - 5000000000)',
    text: i => formatTimestamp(BigInt(i) * 1_000_003n - 5_000_000_000n),
    windows: true,
  },
  day: {
    type: { kind: 'date' },
    sql: "DATE '1969-12-01' + (i // 100)::INT",
    text: i => formatDate(Math.floor(i / 100) - 31),
    windows: true,
  },
  block: {
    type: { kind: 'integer', bits: 64, signed: true },
    sql: 'i * 3 - 9000',
    text: i => String(i * 3 - 9000),
    windows: true,
  },
  number: {
    type: { kind: 'decimal', precision: 38, scale: 0 },
    sql: "(i * 3 - 9000)::DECIMAL(38,0) * '10000000000000000000000'::DECIMAL(38,0)",
    text: i => String(BigInt(i * 3 - 9000) * 10n ** 22n),
  },
  amount: {
    type: { kind: 'decimal', precision: 18, scale: 3 },
    sql: '((i - 4000) / 8)::DECIMAL(18,3)',
    text: i => ((i - 4000) / 8).toFixed(3),
  },
  ratio: { type: { kind: 'float', bits: 64 }, sql: '(i - 4000) / 8', text: i => String((i - 4000) / 8) },
  token: {
    type: { kind: 'string' },
    sql: "printf('0x%08x', i // 5)",
    text: i =>
      `0x${Math.floor(i / 5)
        .toString(16)
        .padStart(8, '0')}`,
  },
  bucket: {
    type: { kind: 'integer', bits: 32, signed: true },
    sql: '(i * 7919 % 1000)::INT',
    text: i => String((i * 7919) % 1000),
  },
} satisfies Readonly<Record<string, TestColumn>>

type Name = keyof typeof COLUMNS
const NAMES = Object.keys(COLUMNS) as Name[]
const columnOf = (name: Name): TestColumn => COLUMNS[name]
const isNull = (i: number): boolean => i % 11 === 0 || Math.floor(i / GROUP_ROWS) === 4

let bytes: Uint8Array
let groups: readonly RowGroup[]

beforeAll(async () => {
  const columns = NAMES.map(
    name => `CASE WHEN i % 11 > 0 AND i // ${GROUP_ROWS} <> 4 THEN ${columnOf(name).sql} END AS ${name}`,
  )
  // so much text that no row group lies within the end of the file that is read for the footer
  const query = `SELECT i, ${columns}, md5(i::VARCHAR) || md5((i + 0.5)::VARCHAR) AS filling FROM range(${ROWS}) r(i) ORDER BY i`
  bytes = await parquetFile(query, `ROW_GROUP_SIZE ${GROUP_ROWS}`)
  const chunk = chunkOf(bytes)
  const file = await openFileBytes(chunk, async () => countingAccess(bytes), new AbortController().signal)
  groups = (await readFooter(chunk, file)).row_groups
})

async function read(predicate: Predicate, fromRow = 0) {
  const access = countingAccess(bytes)
  const reader = openUnitReader(
    planOf([chunkOf(bytes, 'parquet', fromRow)], { predicate, batchRows: ROWS }),
    async () => access,
    async set => loadSet(set, [Array.from({ length: set.count }, (_, i) => COLUMNS.block.text(2 * GROUP_ROWS + i))]),
  )
  const { spans, batches } = await readUnit(reader)
  const rows = rowsOf(batches).map(row => (row as { i: number }).i)
  return { rows, spans, reads: access.reads }
}

/** Of all columns of a row group. */
function range({ columns }: RowGroup): [number, number] {
  const starts = columns.map(column => column.dictionary_page_offset ?? column.data_page_offset)
  return [Math.min(...starts), Math.max(...columns.map((column, i) => starts[i]! + column.total_compressed_size))]
}

/** The row groups that were read: of each all of its bytes, each byte once, and of the rest only the footer. */
function groupsRead(reads: readonly [number, number][]): number[] {
  const [footer, ...pieces] = reads
  expect(footer).toEqual([bytes.length - 65_536, bytes.length])
  return groups.flatMap((group, index) => {
    const [start, end] = range(group)
    const inside = pieces.filter(piece => piece[0] >= start && piece[1] <= end)
    for (const piece of inside) pieces.splice(pieces.indexOf(piece), 1)
    const sum = inside.reduce((total, [from, to]) => total + to - from, 0)
    if (index === groups.length - 1) expect(pieces).toEqual([])
    if (sum === 0) return []
    expect(sum).toBe(end - start)
    return [index]
  })
}

const window = (name: Name, start: number, end: number): Predicate => {
  const { type, text } = columnOf(name)
  return { window: { column: name, type, start: text(start), end: text(end) } }
}
const filter = (name: Name, rows: readonly number[]): Predicate => {
  const { type, text } = columnOf(name)
  return { filter: { column: name, type, values: { count: rows.length, inline: rows.map(text) } } }
}

describe('of a file that is sorted', () => {
  test('only the row groups within the window are read, and the spans are cut as always', async () => {
    const { rows, spans, reads } = await read(window('instant', 2 * GROUP_ROWS + 50, 3 * GROUP_ROWS + 1))
    expect(groupsRead(reads)).toEqual([2, 3])
    expect(rows).toEqual(
      Array.from({ length: ROWS }, (_, i) => i)
        .slice(2 * GROUP_ROWS + 50, 3 * GROUP_ROWS + 1)
        .filter(i => !isNull(i)),
    )
    const all = await read({})
    const shape = ({ row, rows, last }: (typeof spans)[number]) => [row, rows, last]
    expect(spans.map(shape)).toEqual(all.spans.map(shape))
    expect(spans.filter(({ filtered, rows }) => filtered < rows).map(({ row }) => row)).toEqual([
      4096, 5096, 6096, 6144,
    ])
    expect(all.rows).toHaveLength(ROWS)
  })

  test('a row group that ends right before the window, or begins at its end, is not read', async () => {
    // no value is NULL at these places
    const [first, behind] = [GROUP_ROWS, 2 * GROUP_ROWS]
    expect(isNull(first) || isNull(first - 1) || isNull(behind) || isNull(behind - 1)).toBe(false)
    const reads = async (start: number, end: number) => groupsRead((await read(window('block', start, end))).reads)
    expect(await reads(first, behind)).toEqual([1])
    expect(await reads(first - 1, behind)).toEqual([0, 1])
    expect(await reads(first, behind + 1)).toEqual([1, 2])
  })

  test('only those are read that may have a value of the filter, whether listed or a set', async () => {
    const { rows, reads } = await read(filter('token', [1, 5 * GROUP_ROWS + 20]))
    expect(groupsRead(reads)).toEqual([0, 5])
    expect(rows.length).toBeGreaterThan(5)
    const { type } = COLUMNS.block
    const named = await read({ filter: { column: 'block', type, values: { count: 10_000, ref: 'set' } } })
    // with more values than are sorted, from the first to the last
    expect(groupsRead(named.reads)).toEqual([2, 3, 5])
    expect(named.rows.length).toBeGreaterThan(3 * GROUP_ROWS * 0.9)
  })

  test('none is read where nothing can match, and none where all is NULL', async () => {
    const nothing = await read(filter('block', [ROWS + 5]))
    expect([groupsRead(nothing.reads), nothing.rows]).toEqual([[], []])
    expect(nothing.spans.reduce((sum, { filtered }) => sum + filtered, 0)).toBe(ROWS)
    expect(groupsRead((await read(window('day', 4 * GROUP_ROWS + 100, 5 * GROUP_ROWS - 100))).reads)).toEqual([])
  })

  test('all are read where the values lie anywhere', async () => {
    expect(groupsRead((await read(filter('bucket', [1]))).reads)).toEqual([0, 1, 2, 3, 5])
  })

  test('reading goes on behind row groups that were skipped', async () => {
    const { rows, reads } = await read(window('instant', 0, ROWS), 3 * GROUP_ROWS + 1000)
    expect(groupsRead(reads)).toEqual([3, 5])
    expect(rows[0]).toBe(3 * GROUP_ROWS + 1000)
  })
})

test('any window and values select what they do without pruning', async () => {
  const row = fc.oneof(
    fc.integer({ min: -5, max: ROWS + 5 }),
    fc.tuple(fc.nat(6), fc.integer({ min: -2, max: 2 })).map(([group, step]) => group * GROUP_ROWS + step),
  )
  const windows = NAMES.filter(name => columnOf(name).windows)
  const bounds = fc.tuple(fc.constantFrom(...windows), row, row)
  const values = fc.tuple(fc.constantFrom(...NAMES), fc.array(row, { maxLength: 6 }))
  await fc.assert(
    fc.asyncProperty(fc.option(bounds), fc.option(values), async (inWindow, listed) => {
      const predicate = {
        ...(inWindow && window(inWindow[0], Math.min(inWindow[1], inWindow[2]), Math.max(inWindow[1], inWindow[2]))),
        ...(listed && filter(...listed)),
      }
      const texts = new Set(listed?.[1].map(columnOf(listed[0]).text))
      const [low, high] = [predicate.window?.start, predicate.window?.end]
      const compare = inWindow && order(columnOf(inWindow[0]))
      const expected = Array.from({ length: ROWS }, (_, i) => i).filter(i => {
        if ((inWindow || listed) && isNull(i)) return false
        if (listed && !texts.has(columnOf(listed[0]).text(i))) return false
        return (
          !compare ||
          (compare(low!) <= compare(columnOf(inWindow[0]).text(i)) &&
            compare(columnOf(inWindow[0]).text(i)) < compare(high!))
        )
      })
      const { rows, spans } = await read(predicate)
      expect(rows).toEqual(expected)
      expect(spans.reduce((sum, { filtered }) => sum + filtered, 0)).toBe(ROWS - expected.length)
    }),
    { numRuns: 30 },
  )
})

/** As numbers that a double holds well enough for the values above. */
function order({ type }: TestColumn): (text: string) => number {
  if (type.kind === 'integer') return Number
  return text => {
    const [, whole, fraction = ''] = /^(.*?)(?:\.(\d+)Z)?$/.exec(text)!
    return (
      Date.parse(whole!.endsWith('Z') || whole!.length === 10 ? whole! : `${whole}Z`) * 1e6 +
      Number(fraction.padEnd(9, '0'))
    )
  }
}

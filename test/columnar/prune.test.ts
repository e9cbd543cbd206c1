import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import type { Predicate } from '../../src/columnar/predicate.ts'
import { pruneBy } from '../../src/columnar/prune.ts'
import type { ColumnRange, Part } from '../../src/columnar/spans.ts'
import { keyOf } from '../../src/columnar/value-keys.ts'
import { loadSet } from '../../src/columnar/value-sets.ts'

function partOf(columns: Readonly<Record<string, ColumnRange>>): Part {
  return {
    rows: 1,
    range: column => columns[column],
    async *decode() {},
  }
}

/** Of a column `c` with values from `min` to `max`. */
function part(type: ColumnType, min: string, max: string): Part {
  return partOf({ c: { type, values: { min: keyOf(min, type)!, max: keyOf(max, type)! } } })
}

async function isPruned(predicate: Predicate, found: Part): Promise<boolean> {
  const { filter } = predicate
  const values = filter && 'inline' in filter.values ? [filter.values.inline] : []
  const set = filter && (await loadSet({ type: filter.type, count: filter.values.count }, values))
  return pruneBy(predicate, set)(found)
}

const window = (type: ColumnType, start: string, end: string): Predicate => ({
  window: { column: 'c', type, start, end },
})
const filter = (type: ColumnType, ...inline: string[]): Predicate => ({
  filter: { column: 'c', type, values: { count: inline.length, inline } },
})

const integer: ColumnType = { kind: 'integer', bits: 64, signed: true }
const unsigned: ColumnType = { kind: 'integer', bits: 64, signed: false }
const huge: ColumnType = { kind: 'integer', bits: 128, signed: true }
const decimal: ColumnType = { kind: 'decimal', precision: 38, scale: 0 }
const cents: ColumnType = { kind: 'decimal', precision: 9, scale: 2 }
const date: ColumnType = { kind: 'date' }
const micros: ColumnType = { kind: 'timestamp', unit: 'us', zone: false }
const millis: ColumnType = { kind: 'timestamp', unit: 'ms', zone: true }
const string: ColumnType = { kind: 'string' }
const double: ColumnType = { kind: 'float', bits: 64 }
const float: ColumnType = { kind: 'float', bits: 32 }

/** Of five values in order, the second and the fourth bound the column. */
const ORDERED: readonly (readonly [string, ColumnType, ColumnType, readonly string[]])[] = [
  ['integers', integer, integer, ['-6', '-5', '0', '7', '8']],
  ['integers in decimals', integer, decimal, ['-6', '-5', '0', '7', '8']],
  ['wide integers in decimals', huge, decimal, ['-6', '-5', '0', '7', '8']],
  ['unsigned integers', unsigned, unsigned, ['0', '1', '9', String(2n ** 63n), String(2n ** 64n - 1n)]],
  ['dates', date, date, ['1969-12-30', '1969-12-31', '2026-01-01', '2026-03-01', '2026-03-02']],
  [
    'instants',
    micros,
    millis,
    [
      '1969-12-31T23:59:59.998Z',
      '1969-12-31T23:59:59.999Z',
      '1970-01-01T00:00:00Z',
      '2026-03-01T00:00:00Z',
      '2026-03-01T00:00:00.001Z',
    ],
  ],
]

describe('a window', () => {
  test.each(ORDERED)(
    'leaves out what ends before its start or begins at its end: %s',
    async (_, type, found, values) => {
      const [below, min, within, max, above] = values as [string, string, string, string, string]
      const column = part(found, min, max)
      const pruned = (start: string, end: string) => isPruned(window(type, start, end), column)
      expect([await pruned(below, min), await pruned(below, within)]).toEqual([true, false])
      expect([await pruned(above, above), await pruned(max, above), await pruned(within, above)]).toEqual([
        true,
        false,
        false,
      ])
      expect([await pruned(min, max), await pruned(within, within), await pruned(below, above)]).toEqual([
        false,
        false,
        false,
      ])
    },
  )

  test('of instants over a column of dates, and the other way round', async () => {
    const days = part(date, '2026-03-01', '2026-03-02')
    expect(await isPruned(window(micros, '2026-03-02T00:00:00Z', '2026-03-03T00:00:00Z'), days)).toBe(false)
    expect(await isPruned(window(micros, '2026-03-02T00:00:00.000001Z', '2026-03-03T00:00:00Z'), days)).toBe(true)
    const instants = part(micros, '2026-03-01T12:00:00Z', '2026-03-02T00:00:00Z')
    expect(await isPruned(window(date, '2026-03-02', '2026-03-03'), instants)).toBe(false)
    expect(await isPruned(window(date, '2026-02-01', '2026-03-01'), instants)).toBe(true)
  })

  test.each<[string, ColumnType, ColumnType, string, string]>([
    ['floats', integer, double, '1', '2'],
    ['decimals with places', integer, cents, '1.00', '2.00'],
    ['text', integer, string, '1', '2'],
    ['numbers as instants', micros, integer, '1', '2'],
  ])('leaves out nothing where it would compare %s', async (_, type, found, min, max) => {
    const [start, end] = type === integer ? ['8', '9'] : ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']
    expect(await isPruned(window(type, start!, end!), part(found, min, max))).toBe(false)
  })
})

describe('a filter', () => {
  test.each<[string, ColumnType, ColumnType, readonly [string, string, string, string, string]]>([
    ...ORDERED.filter(([, type, found]) => type.kind === found.kind).map(
      ([name, type, found, values]) =>
        [name, type, found, values as readonly [string, string, string, string, string]] as [
          string,
          ColumnType,
          ColumnType,
          readonly [string, string, string, string, string],
        ],
    ),
    ['strings', string, string, ['a', 'aa', 'b', 'ä', '😀']],
    ['binary values', { kind: 'binary' }, { kind: 'binary' }, ['AA==', 'AAA=', 'gA==', '/w==', '/wA=']],
    ['decimals', cents, cents, ['-1.01', '-1.00', '0.00', '2.50', '2.51']],
    ['integers as decimals', decimal, integer, ['-6', '-5', '0', '7', '8']],
    [
      'times',
      { kind: 'time', unit: 'us' },
      { kind: 'time', unit: 'ms' },
      ['00:00:00', '00:00:00.001', '12:00:00', '13:00:00', '13:00:00.000001'],
    ],
    ['doubles', double, double, ['-2.5', '-2', '0', '0.1', '0.2']],
    ['floats', float, float, ['-2.5', '-2', '0', '0.1', '0.2']],
  ])('leaves out what has none of its values within the bounds: %s', async (_, type, found, values) => {
    const [below, min, within, max, above] = values
    const column = part(found, min, max)
    const pruned = (...texts: string[]) => isPruned(filter(type, ...texts), column)
    expect([await pruned(below), await pruned(above), await pruned(below, above), await pruned()]).toEqual(
      Array(4).fill(true),
    )
    expect([await pruned(min), await pruned(max), await pruned(within), await pruned(above, below, within)]).toEqual(
      Array(4).fill(false),
    )
  })

  test('of many values goes by the first and the last of them', async () => {
    const even = Array.from({ length: 5_000 }, (_, i) => String(2 * i))
    expect(await isPruned(filter(integer, ...even), part(integer, '9998', '10000'))).toBe(false)
    expect(await isPruned(filter(integer, ...even), part(integer, '9999', '10000'))).toBe(true)
    expect(await isPruned(filter(integer, ...even), part(integer, '-3', '-1'))).toBe(true)
    expect(await isPruned(filter(integer, ...even), part(integer, '-3', '0'))).toBe(false)
    // a shorter one is searched
    expect(await isPruned(filter(integer, ...even), part(integer, '7', '7'))).toBe(false)
    expect(await isPruned(filter(integer, ...even.slice(0, 4_000)), part(integer, '7', '7'))).toBe(true)
  })

  test.each<[string, ColumnType, ColumnType]>([
    ['decimals of another scale', cents, decimal],
    ['floats of another width', double, float],
    ['text as numbers', integer, string],
    ['instants as dates', date, micros],
    ['numbers of another width', huge, integer],
  ])('leaves out nothing where it would compare %s', async (_, type, found) => {
    const [min, max] = found === micros ? ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'] : ['1', '2']
    expect(await isPruned(filter(type), part(found, min!, max!))).toBe(false)
  })
})

test('a column of nothing but NULL matches nothing, if it can be compared at all', async () => {
  const none = partOf({ c: { type: integer, values: 'none' } })
  expect(await isPruned(window(integer, '0', '9'), none)).toBe(true)
  expect(await isPruned(filter(integer, '0'), none)).toBe(true)
  expect(await isPruned(window(micros, '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'), none)).toBe(false)
  expect(await isPruned(filter(string, '0'), none)).toBe(false)
})

test('a part of which nothing is known is read, and one that any test excludes is not', async () => {
  const predicate: Predicate = {
    window: { column: 'c', type: integer, start: '0', end: '9' },
    filter: { column: 'd', type: string, values: { count: 1, inline: ['x'] } },
  }
  const range = (type: ColumnType, at: string): ColumnRange => ({
    type,
    values: { min: keyOf(at, type)!, max: keyOf(at, type)! },
  })
  const results = [
    partOf({}),
    { rows: 1, async *decode() {} },
    partOf({ c: range(integer, '5'), d: range(string, 'x') }),
    partOf({ c: range(integer, '9') }),
    partOf({ c: range(integer, '5'), d: range(string, 'y') }),
  ].map(found => isPruned(predicate, found))
  expect(await Promise.all(results)).toEqual([false, false, false, true, true])
})

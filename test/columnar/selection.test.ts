import {
  Bool,
  type Data,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimeSecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint64,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatTimestamp } from '../../src/columnar/calendar.ts'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import type { Predicate } from '../../src/columnar/predicate.ts'
import { compilePredicate } from '../../src/columnar/selection.ts'
import { loadSet } from '../../src/columnar/value-sets.ts'
import { noValueSet } from './read-units.ts'

function batchOf(columns: Readonly<Record<string, Data>>): RecordBatch {
  const children = Object.values(columns)
  const fields = Object.entries(columns).map(([name, { type }]) => new Field(name, type, true))
  const length = children[0]!.length
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length, children }))
}

function column(type: DataType, values: readonly unknown[]): Data {
  return vectorFromArray([...values], type).data[0]!
}

/** 64-bit values as they lie in memory; null where NULL. */
function raw64(type: DataType, values: readonly (bigint | null)[]): Data {
  const data = type instanceof Uint64 ? new BigUint64Array(values.length) : new BigInt64Array(values.length)
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  for (const [row, value] of values.entries()) {
    data[row] = value ?? 12_345n
    if (value !== null) nullBitmap[row >> 3]! |= 1 << (row & 7)
  }
  return makeData({ type, length: values.length, data, nullBitmap } as Parameters<typeof makeData>[0]) as Data
}

/** Selected rows; undefined where all are. */
async function select(predicate: Predicate, batch: RecordBatch, valueSet = noValueSet): Promise<number[] | undefined> {
  const rows = (await compilePredicate(predicate, valueSet)).select(batch, 'part-0')
  return rows && [...rows]
}

const window = (type: ColumnType, start: string, end: string): Predicate => ({
  window: { column: 'c', type, start, end },
})
const filter = (type: ColumnType, ...inline: string[]): Predicate => ({
  filter: { column: 'c', type, values: { count: inline.length, inline } },
})

const integer: ColumnType = { kind: 'integer', bits: 64, signed: true }
const timestamp: ColumnType = { kind: 'timestamp', unit: 'us', zone: false }

describe('a window', () => {
  test.each([
    ['Int32', column(new Int32(), [4, 5, null, 9, 10, -1])],
    ['Int64', raw64(new Int64(), [4n, 5n, null, 9n, 10n, -1n])],
    ['Float64', column(new Float64(), [4, 5, null, 9, 10, -1])],
    ['Decimal', decimal(0, [4n, 5n, null, 9n, 10n, -1n])],
  ])('of integers selects from its start to before its end: %s', async (_, c) => {
    expect(await select(window(integer, '5', '10'), batchOf({ c }))).toEqual([1, 3])
  })

  test('of integers tells apart what doubles cannot', async () => {
    const values = [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]
    const c = raw64(new Uint64(), values)
    expect(await select(window(integer, '9007199254740993', '18446744073709551615'), batchOf({ c }))).toEqual([1, 2])
    const wide = decimal(0, [10n ** 30n, 10n ** 30n + 1n])
    expect(await select(window(integer, `1${'0'.repeat(30)}`, `1${'0'.repeat(29)}1`), batchOf({ c: wide }))).toEqual([
      0,
    ])
  })

  test.each([
    [
      'days',
      column(new DateDay(), [dayOf('2026-02-28'), dayOf('2026-03-01'), null, dayOf('2026-03-31'), dayOf('2026-04-01')]),
    ],
    [
      'milliseconds',
      raw64(
        new DateMillisecond(),
        [dayOf('2026-02-28'), dayOf('2026-03-01'), null, dayOf('2026-03-31'), dayOf('2026-04-01')].map(
          day => day && BigInt(day.getTime()),
        ),
      ),
    ],
  ])('of dates selects by days: %s', async (_, c) => {
    expect(await select(window({ kind: 'date' }, '2026-03-01', '2026-04-01'), batchOf({ c }))).toEqual([1, 3])
  })

  test.each([
    ['seconds', new TimestampSecond(), 10n ** 9n],
    ['milliseconds', new TimestampMillisecond(), 10n ** 6n],
    ['microseconds', new TimestampMicrosecond(), 10n ** 3n],
    ['nanoseconds', new TimestampNanosecond(), 1n],
  ])('of instants means the same for a column of %s, whatever the unit of its bounds', async (_, type, unit) => {
    const nanos = fc.bigInt({ min: -4n * 10n ** 18n, max: 4n * 10n ** 18n })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(nanos), { minLength: 1 }), nanos, nanos, async (instants, start, end) => {
        const values = instants.map(instant => instant && instant / unit)
        // and right at the bounds
        values.push(start / unit, start / unit + 1n, end / unit, end / unit - 1n)
        const expected = values.flatMap((value, row) =>
          value !== null && value * unit >= start && value * unit < end ? [row] : [],
        )
        const predicate = window(timestamp, formatTimestamp(start), formatTimestamp(end))
        const selected = await select(predicate, batchOf({ c: raw64(type, values) }))
        expect(selected ?? values.map((_, row) => row)).toEqual(expected)
      }),
    )
  })

  test('of instants can be asked of a column of dates', async () => {
    const c = column(new DateDay(), ['2026-03-01', '2026-03-02', '2026-03-03'].map(dayOf))
    expect(await select(window(timestamp, '2026-03-01T00:00:01Z', '2026-03-03T00:00:00Z'), batchOf({ c }))).toEqual([1])
  })

  test.each([
    ['text', column(new Utf8(), ['5']), integer],
    ['decimals with places', decimal(2, [500n]), integer],
    ['integers', column(new Int32(), [5]), timestamp],
    ['encoded integers', column(new Dictionary(new Int32(), new Int32()), [5]), integer],
  ])('cannot be asked of a column of %s', async (_, c, type) => {
    const bounds: [string, string] = type === integer ? ['0', '9'] : ['2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z']
    await expect(select(window(type, ...bounds), batchOf({ c }))).rejects.toMatchObject({
      code: 'unsupported_type',
      message: expect.stringMatching(
        /^column "c" of the staged file "part-0" is .*, which cannot be compared as (integer|timestamp): /,
      ),
    })
  })
})

describe('a filter', () => {
  test.each<[string, Data, ColumnType, string[], number[]]>([
    ['text', column(new Utf8(), ['a', null, 'b', 'ä', '']), { kind: 'string' }, ['ä', 'a', 'zz'], [0, 3]],
    ['empty text', column(new Utf8(), ['a', null, '']), { kind: 'string' }, [''], [2]],
    [
      'encoded text',
      column(new Dictionary(new Utf8(), new Int32()), ['a', 'b', null, 'a']),
      { kind: 'string' },
      ['a'],
      [0, 3],
    ],
    ['integers', raw64(new Int64(), [1n, null, 2n ** 62n]), integer, [String(2n ** 62n)], [2]],
    [
      'integers in decimals',
      decimal(0, [1n, null, 10n ** 30n]),
      { ...integer, bits: 128 },
      [`1${'0'.repeat(30)}`],
      [2],
    ],
    ['decimals', decimal(2, [150n, null, 15n]), { kind: 'decimal', precision: 9, scale: 2 }, ['1.50'], [0]],
    [
      'doubles',
      column(new Float64(), [0.1, Number.NaN, null]),
      { kind: 'float', bits: 64 },
      ['0.1', 'NaN', 'null'],
      [0],
    ],
    ['booleans', column(new Bool(), [true, false, null]), { kind: 'boolean' }, ['false'], [1]],
    ['dates', column(new DateDay(), [dayOf('2026-03-01'), null]), { kind: 'date' }, ['2026-03-01', '1970-01-01'], [0]],
    ['times', column(new TimeSecond(), [3661, null]), { kind: 'time', unit: 'us' }, ['01:01:01'], [0]],
    [
      'instants of another unit',
      raw64(new TimestampSecond(), [1n, null, 2n]),
      timestamp,
      ['1970-01-01T00:00:02Z'],
      [2],
    ],
  ])('compares %s as they are delivered', async (_, c, type, values, expected) => {
    expect(await select(filter(type, ...values), batchOf({ c }))).toEqual(expected)
  })

  test.each<[string, Data, ColumnType]>([
    ['decimals of another scale', decimal(3, [1500n]), { kind: 'decimal', precision: 9, scale: 2 }],
    ['floats of another width', column(new Float32(), [0.1]), { kind: 'float', bits: 64 }],
    ['numbers as text', column(new Int32(), [1]), { kind: 'string' }],
    ['text as numbers', column(new Utf8(), ['1']), integer],
  ])('does not silently compare %s', async (_, c, type) => {
    await expect(select(filter(type, '1.50'), batchOf({ c }))).rejects.toMatchObject({ code: 'unsupported_type' })
  })

  test('takes its values from a value set by name, loaded once', async () => {
    const asked: string[] = []
    const compiled = await compilePredicate(
      { filter: { column: 'c', type: { kind: 'string' }, values: { count: 2, ref: 'sha-1' } } },
      async set => {
        asked.push(set.ref)
        return loadSet(set, [['b']])
      },
    )
    const batch = batchOf({ c: column(new Utf8(), ['a', 'b']) })
    for (let round = 0; round < 3; round++) expect([...compiled.select(batch, 'part-0')!]).toEqual([1])
    expect(asked).toEqual(['sha-1'])
  })
})

test('a window and a filter select what both do', async () => {
  const batch = batchOf({ i: column(new Int32(), [1, 2, 3, 4]), s: column(new Utf8(), ['a', 'b', 'a', 'a']) })
  const predicate: Predicate = {
    window: { column: 'i', type: integer, start: '2', end: '4' },
    filter: { column: 's', type: { kind: 'string' }, values: { count: 1, inline: ['a'] } },
  }
  expect(await select(predicate, batch)).toEqual([2])
})

test('where all rows are selected there is no list, where none is it is empty', async () => {
  const batch = batchOf({ c: column(new Int32(), [1, 2, 3]) })
  expect(await select(window(integer, '1', '4'), batch)).toBeUndefined()
  expect(await select(window(integer, '4', '9'), batch)).toEqual([])
  expect(await select({}, batch)).toBeUndefined()
})

test('a column that the file does not have is an error with both names', async () => {
  const batch = batchOf({ other: column(new Int32(), [1]) })
  for (const predicate of [window(integer, '1', '4'), filter(integer, '1')]) {
    await expect(select(predicate, batch)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: 'the staged file "part-0" has no column "c": stage it again',
    })
  }
})

test('a slice of a batch is selected by its own rows', async () => {
  const batch = batchOf({ c: raw64(new Int64(), [1n, null, 3n, 4n, null, 6n]), s: column(new Utf8(), [...'abcdef']) })
  const predicate: Predicate = {
    ...window(integer, '3', '9'),
    filter: { column: 's', type: { kind: 'string' }, values: { count: 2, inline: ['c', 'e', 'f'] } },
  }
  expect(await select(predicate, batch.slice(2, 6))).toEqual([0, 3])
})

function dayOf(date: string): Date {
  return new Date(`${date}T00:00:00Z`)
}

/** 128-bit integers of the given scale. */
function decimal(scale: number, values: readonly (bigint | null)[]): Data {
  const data = new Uint32Array(4 * values.length)
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  for (const [row, value] of values.entries()) {
    if (value === null) continue
    nullBitmap[row >> 3]! |= 1 << (row & 7)
    for (let word = 0; word < 4; word++) data[4 * row + word] = Number(BigInt.asUintN(32, value >> BigInt(32 * word)))
  }
  return makeData({ type: new Decimal(scale, 38, 128), length: values.length, data, nullBitmap })
}

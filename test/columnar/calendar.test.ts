import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ceilDivide,
  DAY_NANOS,
  formatClock,
  formatDate,
  formatDuration,
  formatInterval,
  formatTime,
  formatTimestamp,
  readDate,
  readDateNanos,
  readTime,
  readTimestamp,
} from '../../src/columnar/calendar.ts'

const DATE_LIMIT_DAYS = 100_000_000

describe('dates', () => {
  it('agrees with Date wherever Date has an answer', () => {
    fc.assert(
      fc.property(fc.integer({ min: -DATE_LIMIT_DAYS, max: DATE_LIMIT_DAYS }), days => {
        const text = new Date(days * 86_400_000).toISOString().replace(/T.*/, '')
        expect(formatDate(days)).toBe(text)
        expect(readDate(text)).toBe(days)
      }),
      { numRuns: 2000 },
    )
  })

  it('goes there and back for every day that a 64-bit count of seconds can reach', () => {
    const limit = 106_751_991_167_300
    fc.assert(
      fc.property(fc.integer({ min: -limit, max: limit }), days => {
        expect(readDate(formatDate(days))).toBe(days)
        expect(formatDate(days + 1) === formatDate(days)).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['1970-01-01', 0],
    ['1969-12-31', -1],
    ['2000-02-29', 11_016],
    ['2026-03-01', 20_513],
    ['0000-01-01', -719_528],
    ['0000-02-29', -719_469],
    ['-000001-12-31', -719_529],
    ['9999-12-31', 2_932_896],
    ['+010000-01-01', 2_932_897],
    ['+275760-09-13', 100_000_000],
    ['+275760-09-14', 100_000_001],
    ['+5881580-07-11', 2 ** 31 - 1],
    ['-5877641-06-23', -(2 ** 31)],
  ])('%s is day %i', (text, days) => {
    expect(readDate(text)).toBe(days)
    expect(formatDate(days)).toBe(text)
  })

  it('reads years that have more digits than they need', () => {
    expect(readDate('+002026-03-01')).toBe(20_513)
    expect(readDate('+000000-01-01')).toBe(-719_528)
    expect(readDate('-0000001-12-31')).toBe(-719_529)
  })

  it.each([
    '',
    '2026',
    '2026-3-1',
    '20260301',
    '2026-00-10',
    '2026-13-01',
    '2026-01-00',
    '2026-01-32',
    '2026-04-31',
    '2026-02-29',
    '1900-02-29',
    '2100-02-29',
    '-000000-01-01',
    '-0000000-01-01',
    '-0001-01-01',
    '+02026-03-01',
    '+1234567890123-01-01',
    ' 2026-03-01',
    '2026-03-01 ',
    '2026-03-01\n',
    '２０２６-03-01',
  ])('has no day for %j', text => {
    expect(readDate(text)).toBeUndefined()
    expect(readDateNanos(text)).toBeUndefined()
  })
})

describe('times', () => {
  it.each([
    ['00:00:00', 0n],
    ['23:59:59.999999999', DAY_NANOS - 1n],
    ['12:34:56.700', 45_296_700_000_000n],
    ['12:34:56.000700', 45_296_000_700_000n],
    ['12:34:56.000000007', 45_296_000_000_007n],
  ])('%s is %i nanoseconds, with the fewest digits', (text, nanos) => {
    expect(readTime(text)).toBe(nanos)
    expect(formatTime(nanos)).toBe(text)
  })

  it('reads fewer and more digits than it writes', () => {
    expect(readTime('12:34')).toBe(45_240_000_000_000n)
    expect(readTime('12:34:56.7')).toBe(45_296_700_000_000n)
    expect(readTime('12:34:56.700000000')).toBe(45_296_700_000_000n)
  })

  it.each([
    '24:00:00',
    '24:00',
    '23:60:00',
    '23:59:60',
    '1:00:00',
    '12',
    '12:34:56.',
    '12:34:56.1234567890',
    '-01:00:00',
    '12:34:56Z',
  ])('has no time for %j', text => expect(readTime(text)).toBeUndefined())

  it('writes what is no time of day all the same', () => {
    expect(formatTime(DAY_NANOS)).toBe('24:00:00')
    expect(formatTime(-1_500_000_000n)).toBe('-00:00:01.500')
    expect(formatTime(2n ** 63n - 1n)).toBe('2562047:47:16.854775807')
  })

  it('writes the same from seconds and nanoseconds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 86_399 }), fc.integer({ min: 0, max: 999_999_999 }), (seconds, nanos) => {
        expect(formatClock(seconds, nanos)).toBe(formatTime(BigInt(seconds) * 1_000_000_000n + BigInt(nanos)))
      }),
    )
  })
})

describe('timestamps', () => {
  it('agrees with Date to the millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: -8.64e15, max: 8.64e15 }), millis => {
        const text = new Date(millis).toISOString().replace('.000Z', 'Z')
        expect(formatTimestamp(BigInt(millis) * 1_000_000n)).toBe(text)
        expect(readTimestamp(text)).toBe(BigInt(millis) * 1_000_000n)
      }),
      { numRuns: 2000 },
    )
  })

  it('goes there and back for every count of 64 bits in every unit', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.constantFrom(0, 3, 6, 9),
        (count, digits) => {
          const nanos = count * 10n ** BigInt(9 - digits)
          expect(readTimestamp(formatTimestamp(nanos))).toBe(nanos)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['2026-03-01T00:00:00Z', 1_772_323_200_000_000_000n],
    ['1969-12-31T23:59:59.999999999Z', -1n],
    ['2262-04-11T23:47:16.854775807Z', 2n ** 63n - 1n],
    ['1677-09-21T00:12:43.145224192Z', -(2n ** 63n)],
  ])('%s is %i nanoseconds', (text, nanos) => {
    expect(readTimestamp(text)).toBe(nanos)
    expect(formatTimestamp(nanos)).toBe(text)
  })

  it.each([
    '2026-03-01T01:00:00+01:00',
    '2026-03-01T01:00:00+0100',
    '2026-03-01T01:00+01',
    '2026-02-28T23:30:00-00:30',
    '2026-03-01T00:00:00+00:00',
    '2026-03-01T00:00:00-00:00',
    '2026-03-01 00:00:00',
    '2026-03-01t00:00z',
    '+002026-03-01T00:00:00.000000000Z',
    '2026-03-01T23:59:00+23:59',
  ])('%s is the same instant as midnight in UTC', text => expect(readTimestamp(text)).toBe(1_772_323_200_000_000_000n))

  it.each([
    '2026-03-01',
    '2026-02-29T00:00:00Z',
    '2026-03-01T24:00:00Z',
    '2026-03-01T00:00:00.1234567890Z',
    '2026-03-01T00:00:00,5Z',
    '2026-03-01T00:00:00+24:00',
    '2026-03-01T00:00:00+01:60',
    '2026-03-01T00:00:00+1',
    '2026-03-01T00:00:00 Z',
    '2026-03-01T00:00:00UTC',
    '1772323200',
    'now',
  ])('has no instant for %j', text => expect(readTimestamp(text)).toBeUndefined())
})

describe('durations and intervals', () => {
  it.each([
    [0n, 'PT0S'],
    [1n, 'PT0.000000001S'],
    [-1_500_000_000n, '-PT1.500S'],
    [3_600_000_000_000n, 'PT1H'],
    [36n * 3_600_000_000_000n + 90_000_000_000n, 'PT36H1M30S'],
    [2n ** 63n - 1n, 'PT2562047H47M16.854775807S'],
    [-(2n ** 63n), '-PT2562047H47M16.854775808S'],
  ])('%i nanoseconds are %s', (nanos, text) => expect(formatDuration(nanos)).toBe(text))

  it.each([
    [0, 0, 0n, 'PT0S'],
    [14, 3, 4_567_891_000n, 'P1Y2M3DT4.567891S'],
    [-14, -3, -4_000_000_000n, '-P1Y2M3DT4S'],
    [12, 0, 0n, 'P1Y'],
    [0, 1, -7_200_000_000_000n, 'P1DT-2H'],
    [1, -3, 0n, 'P1M-3D'],
    [-13, 1, -61_500_000_000n, 'P-1Y-1M1DT-1M-1.500S'],
    [-(2 ** 31), -(2 ** 31), 0n, '-P178956970Y8M2147483648D'],
  ])('%i months, %i days and %i nanoseconds are %s', (months, days, nanos, text) =>
    expect(formatInterval(months, days, nanos)).toBe(text),
  )
})

it('divides upwards on both sides of zero', () => {
  expect([7n, 6n, 1n, 0n, -1n, -5n, -6n].map(value => ceilDivide(value, 6n))).toEqual([2n, 1n, 1n, 0n, 0n, 0n, -1n])
})

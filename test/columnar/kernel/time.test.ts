import { DateDay, Time, Timestamp, type TimeUnit } from 'apache-arrow'
import { describe, expect, it } from 'vitest'
import { readDate, readTimestamp } from '../../../src/columnar/calendar.ts'
import { oracleText } from '../oracle.ts'
import { compileKernelFile } from './compiled.ts'
import { randomBits, withRandomWords } from './random.ts'

interface Times {
  writeDate(days: bigint, target: number): number
  writeTime(value: bigint, unitDigits: number, target: number): number
  writeTimestamp(value: bigint, unitDigits: number, target: number): number
}

const { exports, text } = await compileKernelFile<Times>('time.ts')

const UNITS: readonly TimeUnit[] = [0, 1, 2, 3]
const DAY_SECONDS = 86_400n

const date = (days: bigint): string => text(target => exports.writeDate(days, target))
const time = (value: bigint, unit: TimeUnit): string => text(target => exports.writeTime(value, 3 * unit, target))
const timestamp = (value: bigint, unit: TimeUnit): string =>
  text(target => exports.writeTimestamp(value, 3 * unit, target))

const checkDate = (days: bigint): void => expect(date(days)).toBe(oracleText(new DateDay(), days))
const checkTime = (value: bigint, unit: TimeUnit): void =>
  expect(time(value, unit)).toBe(oracleText(new Time(unit, 64), value))
const checkTimestamp = (value: bigint, unit: TimeUnit): void =>
  expect(timestamp(value, unit)).toBe(oracleText(new Timestamp(unit), value))

function signed(next: () => number, bits: number): bigint {
  const size = randomBits(next, bits)
  return next() % 2 === 0 ? size : -size
}

describe('dates in the kernel', () => {
  it.each([
    '1970-01-01',
    '1969-12-31',
    '2000-02-29',
    '1900-03-01',
    '0000-01-01',
    '0000-02-29',
    '0000-03-01',
    '9999-12-31',
    '-000001-12-31',
    '+010000-01-01',
    '+012345-06-07',
    '+999999-12-31',
    '+1000000-01-01',
    '-100000000-01-01',
    '-271821-04-20',
    '+5881580-07-11',
  ])('print %s', day => expect(date(BigInt(readDate(day)!))).toBe(day))

  it('print every day of 400 years', () => {
    for (let days = 0n; days < 146_097n; days += 1n) {
      if (date(days) !== oracleText(new DateDay(), days)) checkDate(days)
    }
  })

  it('print the days around those where the form changes, and the ends of 32 bits', () => {
    for (const turn of [readDate('0000-01-01')!, readDate('0000-03-01')!, readDate('+010000-01-01')!]) {
      for (let step = -400; step <= 400; step++) checkDate(BigInt(turn + step))
    }
    for (const days of [-(2n ** 31n), 2n ** 31n - 1n, -(2n ** 62n), 2n ** 62n]) checkDate(days)
  })

  it('print any day', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 500; i++) checkDate(signed(next, 62))
    })
  })
})

describe('times of day in the kernel', () => {
  it.each([
    [0n, 2, '00:00:00'],
    [86_399_999_999n, 2, '23:59:59.999999'],
    [1_500n, 1, '00:00:01.500'],
    [1_500_000n, 2, '00:00:01.500'],
    [1_500_000_000n, 3, '00:00:01.500'],
    [1_000_001_000n, 3, '00:00:01.000001'],
    [1_000_000_001n, 3, '00:00:01.000000001'],
    [86_400n, 0, '24:00:00'],
    [-1n, 0, '-00:00:01'],
    [-1n, 3, '-00:00:00.000000001'],
    [360_000n, 0, '100:00:00'],
  ] as const)('%d of unit %d is %s', (value, unit, expected) => expect(time(value, unit)).toBe(expected))

  it('print every second of a day', () => {
    for (let seconds = 0n; seconds < DAY_SECONDS; seconds += 1n) {
      if (time(seconds, 0) !== oracleText(new Time(0, 32), seconds)) checkTime(seconds, 0)
    }
  })

  it('print any time of any unit, and what is none', () => {
    for (const unit of UNITS) {
      for (const value of [2n ** 63n - 1n, -(2n ** 63n)]) checkTime(value, unit)
    }
    withRandomWords(20, next => {
      for (let i = 0; i < 500; i++) {
        const unit = UNITS[i % 4]!
        checkTime(signed(next, 63), unit)
        checkTime(randomBits(next, 60) % (DAY_SECONDS * 1000n ** BigInt(unit)), unit)
      }
    })
  })
})

describe('timestamps in the kernel', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0],
    ['2026-03-01T12:34:56Z', 2],
    ['2026-03-01T12:34:56.500Z', 2],
    ['2026-03-01T12:34:56.000001Z', 2],
    ['1969-12-31T23:59:59.999Z', 1],
    ['1969-12-31T23:59:59.999999999Z', 3],
    ['-000001-12-31T23:59:59Z', 1],
    ['+010000-01-01T00:00:00Z', 1],
  ] as const)('print %s of unit %d', (instant, unit) => {
    const nanos = readTimestamp(instant)!
    expect(timestamp(nanos / 1000n ** BigInt(3 - unit), unit)).toBe(instant)
  })

  it('print the ends of 64 bits and the days around the epoch in every unit', () => {
    for (const unit of UNITS) {
      for (const value of [-(2n ** 63n), 1n - 2n ** 63n, 2n ** 63n - 1n]) checkTimestamp(value, unit)
      const day = DAY_SECONDS * 1000n ** BigInt(unit)
      for (let days = -3n; days <= 3n; days++) {
        for (let step = -2n; step <= 2n; step++) checkTimestamp(days * day + step, unit)
      }
    }
  })

  it('print any instant of any unit', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 1000; i++) checkTimestamp(signed(next, 63), UNITS[i % 4]!)
    })
  })

  it('print any instant of this age, with as many digits as it needs', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 1000; i++) {
        const unit = UNITS[i % 4]!
        const fraction = BigInt(next()) % 10n ** BigInt(next() % 10)
        checkTimestamp(BigInt(next()) * 1000n ** BigInt(unit) + fraction, unit)
      }
    })
  })
})

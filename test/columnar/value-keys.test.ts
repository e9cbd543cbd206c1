import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDate, formatTime, formatTimestamp } from '../../src/columnar/calendar.ts'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import { doubleKey, keyOf, wholeKey } from '../../src/columnar/value-keys.ts'

interface Case {
  readonly type: ColumnType
  readonly value: fc.Arbitrary<bigint | number | string>
  text(value: never): string
}

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 3n }),
  fc.constantFrom(2n ** 31n, 2n ** 32n, -(2n ** 31n), -(2n ** 32n), 2n ** 63n - 1n, -(2n ** 63n)),
)
const wide = fc.oneof(int64, fc.bigInt({ min: -(10n ** 76n), max: 10n ** 76n }))
const withPoint = (value: bigint): string =>
  `${value < 0n ? '-' : ''}${String(value < 0n ? -value : value)
    .padStart(3, '0')
    .replace(/(..)$/, '.$1')}`

const CASES: readonly (readonly [string, Case])[] = [
  ['integers', { type: { kind: 'integer', bits: 64, signed: true }, value: int64, text: String }],
  ['decimals', { type: { kind: 'decimal', precision: 38, scale: 2 }, value: int64, text: withPoint }],
  ['wide decimals', { type: { kind: 'decimal', precision: 76, scale: 2 }, value: wide, text: withPoint }],
  [
    'doubles',
    { type: { kind: 'float', bits: 64 }, value: fc.double({ noNaN: true, noDefaultInfinity: true }), text: String },
  ],
  [
    'floats',
    { type: { kind: 'float', bits: 32 }, value: fc.float({ noNaN: true, noDefaultInfinity: true }), text: String },
  ],
  ['timestamps', { type: { kind: 'timestamp', unit: 'ns', zone: true }, value: int64, text: formatTimestamp }],
  [
    'times',
    { type: { kind: 'time', unit: 'ns' }, value: fc.bigInt({ min: 0n, max: 86_399_999_999_999n }), text: formatTime },
  ],
  ['dates', { type: { kind: 'date' }, value: fc.integer(), text: formatDate }],
  ['strings', { type: { kind: 'string' }, value: fc.string({ unit: 'grapheme' }), text: String }],
]

/** UTF-8 is ordered as code points are, and so not as JavaScript orders strings. */
function comparable(type: ColumnType, value: bigint | number | string): bigint | number | string {
  if (typeof value === 'string') return Buffer.from(value).toString('latin1')
  return type.kind === 'float' && type.bits === 32 ? Math.fround(Number(value)) : value
}

function order(left: bigint | number | string, right: typeof left): number {
  return left < right ? -1 : left > right ? 1 : 0
}

describe('keys', () => {
  test.each(CASES)('of %s are ordered as the values are, and equal where they are', (_, { type, value, text }) => {
    const near = fc.tuple(value, fc.constantFrom(0, 1, -1)).map(([first, step]) => {
      const second = typeof first === 'bigint' ? first + BigInt(step) : typeof first === 'number' ? first + step : first
      return [first, second] as const
    })
    fc.assert(
      fc.property(fc.oneof(fc.tuple(value, value), near), ([left, right]) => {
        const [a, b] = [keyOf(text(left as never), type), keyOf(text(right as never), type)]
        fc.pre(a !== undefined && b !== undefined)
        expect(Math.sign(Buffer.compare(a, b))).toBe(order(comparable(type, left), comparable(type, right)))
      }),
      { numRuns: 300 },
    )
  })

  test.each<[string, ColumnType, string]>([
    ['no number', { kind: 'integer', bits: 64, signed: true }, 'x'],
    ['a fraction of an integer', { kind: 'integer', bits: 64, signed: true }, '1.5'],
    ['another scale', { kind: 'decimal', precision: 9, scale: 2 }, '1.5'],
    ['more than 128 bits', { kind: 'decimal', precision: 38, scale: 0 }, String(2n ** 127n)],
    ['NaN', { kind: 'float', bits: 64 }, 'NaN'],
    ['null', { kind: 'float', bits: 64 }, 'null'],
    ['too large a float', { kind: 'float', bits: 32 }, '1e39'],
    ['no date', { kind: 'date' }, '2026-02-30'],
    ['no time', { kind: 'time', unit: 'us' }, '24:00:00'],
    ['no boolean', { kind: 'boolean' }, '1'],
    ['a type that is not compared', { kind: 'other' }, '1'],
  ])('there is none of %s', (_, type, text) => {
    expect(keyOf(text, type)).toBeUndefined()
  })

  test('of numbers are those of their text', () => {
    expect(wholeKey(-7n, 16)).toEqual(keyOf('-0.07', { kind: 'decimal', precision: 9, scale: 2 }))
    expect(doubleKey(-0)).toEqual(keyOf('0', { kind: 'float', bits: 64 }))
    expect(doubleKey(Math.fround(0.1))).toEqual(keyOf('0.1', { kind: 'float', bits: 32 }))
    expect([doubleKey(Number.NaN), doubleKey(-Infinity), wholeKey(2n ** 127n, 16)]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(wholeKey(0n, 32)).toHaveLength(32)
  })

  test('of binary values are their bytes', () => {
    expect(keyOf('AP8=', { kind: 'binary' })).toEqual(Buffer.from([0, 255]))
  })
})

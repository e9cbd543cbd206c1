import { describe, expect, it } from 'vitest'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import { readBound, readLiteral, type Scalar } from '../../src/columnar/literal.ts'

const BIGINT: ColumnType = { kind: 'integer', bits: 64, signed: true }
const MICROS: ColumnType = { kind: 'timestamp', unit: 'us', zone: false }
const DATE: ColumnType = { kind: 'date' }

function problem(value: Scalar, type: ColumnType): string | undefined {
  const read = readLiteral(value, type)
  return typeof read === 'string' ? undefined : read.problem
}

describe('integers', () => {
  it.each([
    [8, true, '-128', '127'],
    [8, false, '0', '255'],
    [16, true, '-32768', '32767'],
    [16, false, '0', '65535'],
    [32, true, '-2147483648', '2147483647'],
    [32, false, '0', '4294967295'],
    [64, true, '-9223372036854775808', '9223372036854775807'],
    [64, false, '0', '18446744073709551615'],
    [128, true, '-170141183460469231731687303715884105728', '170141183460469231731687303715884105727'],
    [128, false, '0', '340282366920938463463374607431768211455'],
  ] as const)('of %i bits (signed: %s) reach from %s to %s and no further', (bits, signed, low, high) => {
    const type: ColumnType = { kind: 'integer', bits, signed }
    expect(readLiteral(low, type)).toBe(low)
    expect(readLiteral(high, type)).toBe(high)
    expect(problem(String(BigInt(low) - 1n), type)).toBe(`is outside ${low} to ${high}`)
    expect(problem(String(BigInt(high) + 1n), type)).toBe(`is outside ${low} to ${high}`)
  })

  it.each([
    [42, '42'],
    [-0, '0'],
    ['-0', '0'],
    ['+7', '7'],
    ['007', '7'],
    [1e3, '1000'],
    [9007199254740991, '9007199254740991'],
  ])('%j reads as %s', (value, text) => expect(readLiteral(value, BIGINT)).toBe(text))

  it.each([1.5, '1.0', '1e3', '', '-', ' 1', '0x10', true, 'seven', '1'.repeat(65)])('%j is none', value =>
    expect(problem(value, BIGINT)).toMatch(/^must be an integer/),
  )

  it('refuses a JSON number that may have lost digits on its way', () => {
    expect(problem(9007199254740992, BIGINT)).toBe('is too large for a JSON number: send it as a string')
  })
})

describe('decimals', () => {
  it('carry the full scale of the column and no needless zeros before the point', () => {
    const type: ColumnType = { kind: 'decimal', precision: 38, scale: 6 }
    expect(readLiteral('1.5', type)).toBe('1.500000')
    expect(readLiteral('0001.50000000000', type)).toBe('1.500000')
    expect(readLiteral(-2, type)).toBe('-2.000000')
    expect(readLiteral('-0.0', type)).toBe('0.000000')
    expect(readLiteral('-0.000001', type)).toBe('-0.000001')
  })

  it('reads 38 digits and says which digits are too many', () => {
    const nines = '9'.repeat(38)
    expect(readLiteral(nines, { kind: 'decimal', precision: 38, scale: 0 })).toBe(nines)
    expect(readLiteral(`-0.${nines}`, { kind: 'decimal', precision: 38, scale: 38 })).toBe(`-0.${nines}`)
    expect(problem(`1${nines}`, { kind: 'decimal', precision: 38, scale: 0 })).toBe(
      'has more digits than DECIMAL(38,0)',
    )
    expect(problem('1', { kind: 'decimal', precision: 38, scale: 38 })).toBe('has more digits than DECIMAL(38,38)')
    expect(problem('0.01', { kind: 'decimal', precision: 4, scale: 1 })).toBe(
      'has more than the 1 decimal places of the column',
    )
  })

  it.each(['', '.', '.5', '5.', '1e3', '1,5', ' 1', true, '1'.repeat(129)])('%j is none', value =>
    expect(problem(value, { kind: 'decimal', precision: 38, scale: 2 })).toMatch(/^must be a decimal number/),
  )

  it.each([1e21, 2 ** 53, 1e-7])('refuses %d, which JSON does not carry digit by digit', value =>
    expect(problem(value, { kind: 'decimal', precision: 38, scale: 10 })).toBe(
      'is not exact as a JSON number: send it as a string, without an exponent',
    ),
  )
})

describe('floats', () => {
  const double: ColumnType = { kind: 'float', bits: 64 }
  const single: ColumnType = { kind: 'float', bits: 32 }

  it.each([
    [0.1, '0.1', '0.1'],
    ['0.1', '0.1', '0.1'],
    ['.5', '0.5', '0.5'],
    ['5.', '5', '5'],
    ['1e21', '1e+21', '1e+21'],
    [-0, '0', '0'],
    ['-0.0', '0', '0'],
    [16777217, '16777217', '16777216'],
    ['3.14159265358979', '3.14159265358979', '3.1415927'],
    [5e-324, '5e-324', '0'],
  ])('%j reads as the double %s and the float32 %s, as the rows print them', (value, asDouble, asSingle) => {
    expect(readLiteral(value, double)).toBe(asDouble)
    expect(readLiteral(value, single)).toBe(asSingle)
  })

  it.each(['', '.', 'e5', '1e', 'NaN', 'Infinity', '0x10', true])('%j is none', value =>
    expect(problem(value, double)).toMatch(/^must be a finite number/),
  )

  it('refuses what the width cannot hold', () => {
    expect(problem(1e39, single)).toBe('is outside the range of a 32-bit float')
    expect(problem('1e309', double)).toMatch(/^must be a finite number/)
  })

  it('looks at a megabyte of digits only once', () => {
    expect(problem(`${'1'.repeat(1_000_000)}x`, double)).toMatch(/^must be a finite number/)
  })
})

describe('strings, binary and booleans', () => {
  it('takes any well-formed string as it is', () => {
    const huge = 'ä"\u2028😀'.repeat(100_000)
    expect(readLiteral('', { kind: 'string' })).toBe('')
    expect(readLiteral(huge, { kind: 'string' })).toBe(huge)
    expect(problem('\ud83d', { kind: 'string' })).toBe('holds half of a surrogate pair, which is no text')
    expect(problem(1, { kind: 'string' })).toBe('must be a string, not a number')
  })

  it.each(['', 'AA==', '/+8=', 'AAAA'])('%j is base64', value =>
    expect(readLiteral(value, { kind: 'binary' })).toBe(value),
  )

  it.each(['A', 'AA', 'AA=', 'AB==', 'A===', '====', '-_8=', 'AA ==', 'AAAA\n', 1])('%j is not base64', value =>
    expect(problem(value, { kind: 'binary' })).toMatch(/^must be base64/),
  )

  it('reads booleans and their words', () => {
    expect([true, 'true', false, 'false'].map(value => readLiteral(value, { kind: 'boolean' }))).toEqual([
      'true',
      'true',
      'false',
      'false',
    ])
    for (const value of [1, 0, 'TRUE', 't', ''])
      expect(problem(value, { kind: 'boolean' })).toMatch(/^must be true or false/)
  })

  it('compares nothing with a column of another type', () => {
    expect(problem('[1]', { kind: 'other' })).toBe('cannot be compared with a column of this type')
  })
})

describe('dates, times and timestamps', () => {
  it('have one form each', () => {
    expect(readLiteral('+002026-03-01', DATE)).toBe('2026-03-01')
    expect(readLiteral('12:34', { kind: 'time', unit: 's' })).toBe('12:34:00')
    expect(readLiteral('2026-03-01 01:00+01:00', MICROS)).toBe('2026-03-01T00:00:00Z')
    expect(readLiteral('2026-03-01T00:00:00.1000', MICROS)).toBe('2026-03-01T00:00:00.100Z')
    expect(readLiteral('0000-01-01T00:00:00-01:00', MICROS)).toBe('0000-01-01T01:00:00Z')
    expect(readLiteral('0000-01-01T00:00:00+01:00', MICROS)).toBe('-000001-12-31T23:00:00Z')
  })

  it('cannot be finer than the column', () => {
    expect(problem('12:34:56.001', { kind: 'time', unit: 's' })).toBe("is finer than the column's unit (s)")
    expect(problem('2026-03-01T00:00:00.000000001Z', MICROS)).toBe("is finer than the column's unit (us)")
  })

  it('cannot be where the column ends', () => {
    const nanos: ColumnType = { kind: 'timestamp', unit: 'ns', zone: true }
    expect(readLiteral('2262-04-11T23:47:16.854775807Z', nanos)).toBe('2262-04-11T23:47:16.854775807Z')
    expect(problem('2262-04-11T23:47:16.854775808Z', nanos)).toBe('is outside the range of the column')
    expect(readLiteral('1677-09-21T00:12:43.145224192Z', nanos)).toBe('1677-09-21T00:12:43.145224192Z')
    expect(problem('1677-09-21T00:12:43.145224191Z', nanos)).toBe('is outside the range of the column')
    expect(readLiteral('+294247-01-10T04:00:54.775807Z', MICROS)).toBe('+294247-01-10T04:00:54.775807Z')
    expect(problem('+294247-01-10T04:00:54.775808Z', MICROS)).toBe('is outside the range of the column')
    expect(readLiteral('+5881580-07-11', DATE)).toBe('+5881580-07-11')
    expect(problem('+5881580-07-12', DATE)).toBe('is outside the range of the column')
  })

  it.each([
    [DATE, '2026-02-29', 'must be a date that exists, as 2026-03-01'],
    [DATE, 20260301, 'must be a date that exists, as 2026-03-01, not a number'],
    [{ kind: 'time', unit: 'us' }, '24:00:00', 'must be a time as 12:34:56'],
    [MICROS, '2026-03-01', 'must be a date or time that exists, as 2026-03-01T00:00:00Z (ISO 8601)'],
    [MICROS, 1772323200, 'must be a date or time that exists, as 2026-03-01T00:00:00Z (ISO 8601), not a number'],
  ] satisfies [ColumnType, Scalar, string][])('%j does not read %j', (type, value, message) =>
    expect(problem(value, type)).toBe(message),
  )
})

describe('bounds', () => {
  it('are rounded up to the unit of the column', () => {
    const seconds: ColumnType = { kind: 'timestamp', unit: 's', zone: false }
    expect(readBound('2026-03-01T00:00:00.000000001Z', seconds)).toEqual({
      text: '2026-03-01T00:00:01Z',
      order: 1_772_323_201_000_000_000n,
    })
    expect(readBound('1969-12-31T23:59:59.5Z', seconds)).toEqual({ text: '1970-01-01T00:00:00Z', order: 0n })
    expect(readBound('1969-12-31T00:00:01', DATE)).toEqual({ text: '1970-01-01', order: 0n })
    expect(readBound('1969-12-31', DATE)).toEqual({ text: '1969-12-31', order: -1n })
  })

  it('may be a date where the column has a time', () => {
    expect(readBound('2026-03-01', MICROS)).toEqual({ text: '2026-03-01T00:00:00Z', order: 1_772_323_200_000_000_000n })
  })

  it('may be integers beyond the column', () => {
    expect(readBound(27_000_000, BIGINT)).toEqual({ text: '27000000', order: 27_000_000n })
    expect(readBound('18446744073709551616', BIGINT)).toEqual({ text: '18446744073709551616', order: 2n ** 64n })
  })

  it.each([
    ['yesterday', MICROS],
    ['2026-02-30', DATE],
    [5, MICROS],
    [1.5, BIGINT],
    ['a', { kind: 'string' }],
  ] satisfies [string | number, ColumnType][])('%j is none for %j', (value, type) =>
    expect(readBound(value, type)).toHaveProperty('problem'),
  )
})

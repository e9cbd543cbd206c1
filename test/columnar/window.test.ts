import { DataType, DateUnit, Precision, TimeUnit } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDate, formatTimestamp } from '../../src/columnar/calendar.ts'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import { windowTest } from '../../src/columnar/window.ts'
import { type Kind, LEAVES } from './arrow-leaf.ts'

const DAY = 86_400_000_000_000n

/** What a window over the column is typed as, and how many of the bounds' units a value is; undefined where there is none. */
function windowType(type: DataType): { readonly type: ColumnType; readonly unit: bigint } | undefined {
  if (DataType.isInt(type)) return { type: { kind: 'integer', bits: 64, signed: true }, unit: 1n }
  if (DataType.isDecimal(type) && type.scale === 0)
    return { type: { kind: 'integer', bits: 128, signed: true }, unit: 1n }
  if (DataType.isFloat(type) && type.precision !== Precision.HALF)
    return { type: { kind: 'integer', bits: 64, signed: true }, unit: 1n }
  if (DataType.isDate(type)) return { type: { kind: 'date' }, unit: type.unit === DateUnit.DAY ? DAY : 1_000_000n }
  if (!DataType.isTimestamp(type)) return undefined
  const unit = [10n ** 9n, 10n ** 6n, 1000n, 1n][
    [TimeUnit.SECOND, TimeUnit.MILLISECOND, TimeUnit.MICROSECOND, TimeUnit.NANOSECOND].indexOf(type.unit)
  ]!
  return { type: { kind: 'timestamp', unit: 'ns', zone: false }, unit }
}

const KINDS: readonly Kind[] = LEAVES.filter(({ type }) => windowType(type) !== undefined)

/** Bounds anywhere, and right beside the values; in days for dates. */
function bounds(kind: Kind, values: readonly unknown[]): fc.Arbitrary<bigint> {
  const { type, unit } = windowType(kind.type)!
  const whole = values
    .filter(value => Number.isFinite(Number(value)))
    .map(value => BigInt(typeof value === 'bigint' ? value : Math.floor(value as number)))
  const near = fc
    .tuple(fc.constantFrom(0n, ...whole), fc.bigInt({ min: -2n, max: 2n }))
    .map(
      ([value, step]) =>
        (type.kind === 'date' ? (value * unit) / DAY : type.kind === 'timestamp' ? value * unit : value) + step,
    )
  // dates in days, instants within years of twelve digits
  const most = { date: 10n ** 7n, timestamp: 2n ** 92n }[type.kind as string] ?? 2n ** 130n
  return fc.oneof(near, fc.bigInt({ min: -most, max: most }))
}

function boundText({ kind }: ColumnType, bound: bigint): string {
  return kind === 'date' ? formatDate(Number(bound)) : kind === 'timestamp' ? formatTimestamp(bound) : String(bound)
}

describe('a window over', () => {
  test.each(KINDS.map(kind => [String(kind.type), kind] as const))(
    '%s has the rows from its start to before its end',
    (_, kind) => {
      const { type, unit } = windowType(kind.type)!
      const cases = fc
        .array(kind.value, { minLength: 1, maxLength: 12 })
        .chain(values => fc.tuple(fc.constant(values), bounds(kind, values), bounds(kind, values)))
      fc.assert(
        fc.property(cases, ([values, one, other]) => {
          const [start, end] = one < other ? [one, other] : [other, one]
          const [from, to] = [boundText(type, start), boundText(type, end)]
          const isIn = windowTest({ column: 'c', type, start: from, end: to }, kind.build(values))!
          const scale = type.kind === 'date' ? DAY : 1n
          const expected = values.map(value =>
            typeof value === 'bigint'
              ? value * unit >= start * scale && value * unit < end * scale
              : (value as number) >= start && (value as number) < end,
          )
          expect(values.map((_, row) => isIn(row))).toEqual(expected)
        }),
        { numRuns: 150 },
      )
    },
  )

  test.each(LEAVES.filter(kind => !KINDS.includes(kind)).map(kind => [String(kind.type), kind] as const))(
    '%s there is none',
    (_, kind) => {
      const window = { column: 'c', type: { kind: 'integer', bits: 64, signed: true }, start: '0', end: '1' } as const
      expect(windowTest(window, kind.build([]))).toBeUndefined()
    },
  )
})

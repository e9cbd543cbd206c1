/// <reference lib="esnext.float16" />
/**
 * Arrow columns for tests, built from values as `oracle.ts` has them, straight into buffers: apache-arrow's own builders
 * take milliseconds for timestamps, doubles for decimals, and know no dictionaries in pieces. Here the types without
 * children; `arrow-column.ts` has the others.
 *
 * What lies under a NULL is never zero or empty here: nobody may look at it.
 */
import {
  Binary,
  BinaryView,
  Bool,
  type Data,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Duration,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  Interval,
  IntervalUnit,
  LargeBinary,
  LargeUtf8,
  makeData,
  Null,
  Time,
  Timestamp,
  TimeUnit,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Utf8View,
} from 'apache-arrow'
import fc from 'fast-check'
import type { IntervalValue } from './oracle.ts'

/** A type with its values and the way to lay them down. */
export interface Kind {
  readonly type: DataType
  /** Values that are not NULL. */
  readonly value: fc.Arbitrary<unknown>
  build(values: readonly unknown[]): Data
}

export function validity(values: readonly unknown[]): { nullBitmap?: Uint8Array; length: number } {
  if (!values.includes(null)) return { length: values.length }
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  values.forEach((value, row) => {
    if (value !== null) nullBitmap[row >> 3]! |= 1 << (row & 7)
  })
  return { nullBitmap, length: values.length }
}

/** A kind of values of so many bytes each, of which `write` writes one. */
function fixed(
  type: DataType,
  width: number,
  value: fc.Arbitrary<unknown>,
  write: (view: DataView, value: unknown) => void,
): Kind {
  return {
    type,
    value,
    build(values) {
      const bytes = new Uint8Array(values.length * width).fill(0xa5)
      values.forEach((item, row) => {
        if (item !== null) write(new DataView(bytes.buffer, row * width, width), item)
      })
      return makeData({ type, data: bytes, ...validity(values) } as Parameters<typeof makeData>[0])
    },
  }
}

export function integers(type: DataType, bits: number, signed: boolean): Kind {
  const size = 1n << BigInt(signed ? bits - 1 : bits)
  const range = { min: signed ? -size : 0n, max: size - 1n }
  const value = fc.oneof(
    fc.bigInt(range),
    fc.bigInt({ min: signed ? -100n : 0n, max: 100n }),
    fc.constantFrom(range.min, range.max, ...nearSafe(range.min, range.max)),
  )
  return fixed(type, bits / 8, value, writeInteger)
}

function nearSafe(min: bigint, max: bigint): bigint[] {
  return [53n, 32n, 31n]
    .flatMap(power => [2n ** power, -(2n ** power)])
    .flatMap(value => [value - 1n, value, value + 1n])
    .filter(value => value >= min && value <= max)
}

function writeInteger(view: DataView, value: unknown): void {
  let rest = value as bigint
  for (let i = 0; i < view.byteLength; i++, rest >>= 8n) view.setUint8(i, Number(rest & 0xffn))
}

function decimals(precision: number, scale: number, bits: number): Kind {
  return integers(new Decimal(scale, precision, bits), bits, true)
}

const doubles = fc.oneof(
  fc.double(),
  fc.float(),
  fc.integer(),
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308),
)

function float16s(): Kind {
  return fixed(new Float16(), 2, doubles.map(Math.f16round), (view, value) =>
    view.setUint16(0, new Uint16Array(Float16Array.of(value as number).buffer)[0]!, true),
  )
}

function intervals(unit: IntervalUnit): Kind {
  const int32 = fc.oneof(fc.integer(), fc.integer({ min: -30, max: 30 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1))
  const none = fc.constant(0)
  const parts = {
    [IntervalUnit.YEAR_MONTH]: [4, int32, none, fc.constant(0n)],
    [IntervalUnit.DAY_TIME]: [8, none, int32, int32.map(millis => BigInt(millis) * 1_000_000n)],
    [IntervalUnit.MONTH_DAY_NANO]: [16, int32, int32, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  } as const
  const [width, months, days, nanos] = parts[unit]
  return fixed(new Interval(unit), width, fc.record({ months, days, nanos }), (view, value) => {
    const { months, days, nanos } = value as IntervalValue
    if (unit === IntervalUnit.YEAR_MONTH) return view.setInt32(0, months, true)
    if (unit === IntervalUnit.DAY_TIME) {
      view.setInt32(0, days, true)
      return view.setInt32(4, Number(nanos / 1_000_000n), true)
    }
    view.setInt32(0, months, true)
    view.setInt32(4, days, true)
    view.setBigInt64(8, nanos, true)
  })
}

const bools: Kind = {
  type: new Bool(),
  value: fc.boolean(),
  build(values) {
    const data = new Uint8Array(Math.ceil(values.length / 8))
    values.forEach((value, row) => {
      if (value !== false) data[row >> 3]! |= 1 << (row & 7)
    })
    return makeData({ type: new Bool(), data, ...validity(values) })
  },
}

const nulls: Kind = {
  type: new Null(),
  value: fc.constant(null),
  build: values => makeData({ type: new Null(), length: values.length }),
}

/** Text of all kinds. */
const texts = fc.oneof(
  fc.string({ unit: 'grapheme-ascii' }).map(utf8),
  fc.string({ unit: 'binary' }).map(utf8),
  fc.constantFrom('', '"', '\\', '\u0000\u001f', '\u007f', '\u2028\u2029', '😀', '\ufeffa', 'a'.repeat(300)).map(utf8),
)
/** Text, and bytes that are no UTF-8. */
const textBytes = fc.oneof(texts, fc.uint8Array({ maxLength: 20 }))

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Under a NULL: well-formed all the same, since some readers look. */
const GARBAGE = utf8('~"')

/** Offsets begin beyond 0, and NULLs have bytes of their own. */
function variable(type: DataType, value: fc.Arbitrary<unknown>, wide: boolean): Kind {
  return {
    type,
    value,
    build(values) {
      const parts = values.map(item => (item as Uint8Array | null) ?? GARBAGE)
      const lead = Uint8Array.of(0x5c, 0x80)
      const ends = accumulate(lead.length, parts)
      const data = new Uint8Array(Buffer.concat([lead, ...parts]))
      const valueOffsets = wide ? BigInt64Array.from(ends, BigInt) : Int32Array.from(ends)
      return makeData({ type, data, valueOffsets, ...validity(values) } as Parameters<typeof makeData>[0])
    },
  }
}

export function accumulate(start: number, parts: readonly { length: number }[]): number[] {
  const ends = [start]
  for (const part of parts) ends.push(ends.at(-1)! + part.length)
  return ends
}

/** Two buffers in turns, with a byte between the values. */
function views(type: DataType, value: fc.Arbitrary<unknown>): Kind {
  return {
    type,
    value,
    build(values) {
      const bytes = new Uint8Array(values.length * 16)
      const buffers: number[][] = [[], [0xff]]
      for (const [row, item] of values.entries()) {
        const content = (item as Uint8Array | null) ?? GARBAGE
        const view = new DataView(bytes.buffer, row * 16, 16)
        view.setInt32(0, content.length, true)
        bytes.set(content.subarray(0, 12), row * 16 + 4)
        if (content.length <= 12) continue
        const buffer = buffers[row % 2]!
        view.setInt32(8, row % 2, true)
        view.setInt32(12, buffer.length, true)
        buffer.push(...content, 0x5c)
      }
      const variadicBuffers = buffers.map(buffer => Uint8Array.from(buffer))
      return makeData({ type, views: bytes, variadicBuffers, ...validity(values) } as Parameters<typeof makeData>[0])
    },
  }
}

const UNITS = [TimeUnit.SECOND, TimeUnit.MILLISECOND, TimeUnit.MICROSECOND, TimeUnit.NANOSECOND]
const bytes = fc.uint8Array({ maxLength: 30 })

export const strings: Kind = variable(new Utf8(), textBytes, false)

/** For writers that refuse what is no UTF-8. */
export const WELL_FORMED: readonly Kind[] = [
  variable(new Utf8(), texts, false),
  variable(new LargeUtf8(), texts, true),
  views(new Utf8View(), texts),
]

export const LEAVES: readonly Kind[] = [
  nulls,
  bools,
  integers(new Int8(), 8, true),
  integers(new Int16(), 16, true),
  integers(new Int32(), 32, true),
  integers(new Int64(), 64, true),
  integers(new Uint8(), 8, false),
  integers(new Uint16(), 16, false),
  integers(new Uint32(), 32, false),
  integers(new Uint64(), 64, false),
  float16s(),
  fixed(new Float32(), 4, doubles.map(Math.fround), (view, value) => view.setFloat32(0, value as number, true)),
  fixed(new Float64(), 8, doubles, (view, value) => view.setFloat64(0, value as number, true)),
  decimals(9, 2, 32),
  decimals(18, 18, 64),
  decimals(38, 0, 128),
  decimals(38, 10, 128),
  decimals(38, 38, 128),
  decimals(20, -3, 128),
  decimals(76, 5, 256),
  strings,
  variable(new LargeUtf8(), textBytes, true),
  views(new Utf8View(), textBytes),
  variable(new Binary(), bytes, false),
  variable(new LargeBinary(), bytes, true),
  views(new BinaryView(), bytes),
  fixed(new FixedSizeBinary(5), 5, fc.uint8Array({ minLength: 5, maxLength: 5 }), (view, value) =>
    new Uint8Array(view.buffer, view.byteOffset, 5).set(value as Uint8Array),
  ),
  integers(new DateDay(), 32, true),
  integers(new DateMillisecond(), 64, true),
  ...UNITS.map(unit =>
    integers(new Time(unit, unit < TimeUnit.MICROSECOND ? 32 : 64), unit < TimeUnit.MICROSECOND ? 32 : 64, true),
  ),
  ...UNITS.map(unit => integers(new Timestamp(unit, null), 64, true)),
  ...UNITS.map(unit => integers(new Timestamp(unit, 'Asia/Kathmandu'), 64, true)),
  ...UNITS.map(unit => integers(new Duration(unit), 64, true)),
  ...[IntervalUnit.YEAR_MONTH, IntervalUnit.DAY_TIME, IntervalUnit.MONTH_DAY_NANO].map(intervals),
]

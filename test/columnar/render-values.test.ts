/** Values at the edges of their types, spelled out. What holds for any value is in `render.test.ts`. */
import {
  type Data,
  Decimal,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  makeData,
  Timestamp,
  TimeUnit,
  Uint64,
  Utf8,
  Vector,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatFloat32 } from '../../src/columnar/float.ts'
import { renderColumn } from '../../src/columnar/render.ts'

function json(data: Data): string[] {
  const column = renderColumn(new Field('c', data.type, true), data)
  return Array.from({ length: data.length }, (_, row) => column.json(row))
}

function strings(...values: Uint8Array[]): Data<Utf8> {
  const valueOffsets = new Int32Array(values.length + 1)
  values.forEach((value, i) => {
    valueOffsets[i + 1] = valueOffsets[i]! + value.length
  })
  return makeData({ type: new Utf8(), valueOffsets, data: Buffer.concat(values) })
}

describe('text', () => {
  it.each([
    ['a byte that begins nothing', [0x61, 0xff, 0x62], 'a\ufffdb'],
    ['a byte that continues nothing', [0x80], '\ufffd'],
    ['an overlong slash', [0xc0, 0xaf], '\ufffd\ufffd'],
    ['an overlong NUL of three bytes', [0xe0, 0x80, 0x80], '\ufffd\ufffd\ufffd'],
    ['a high surrogate alone (WTF-8)', [0xed, 0xa0, 0xbd], '\ufffd\ufffd\ufffd'],
    ['a low surrogate alone', [0xed, 0xb2, 0xa9], '\ufffd\ufffd\ufffd'],
    ['a surrogate pair (CESU-8)', [0xed, 0xa0, 0xbd, 0xed, 0xb2, 0xa9], '\ufffd'.repeat(6)],
    ['a character cut off after two of three bytes', [0xe6, 0xbc, 0x61], '\ufffda'],
    ['a character cut off at the end', [0x61, 0xf0, 0x9f, 0x98], 'a\ufffd'],
    ['a code point beyond the last', [0xf4, 0x90, 0x80, 0x80], '\ufffd'.repeat(4)],
    ['a byte order mark, which is kept', [0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
    ['the last code point', [0xf4, 0x8f, 0xbf, 0xbf], '\u{10ffff}'],
    ['a non-character', [0xef, 0xbf, 0xbf], '\uffff'],
  ])('with %s', (_, bytes, text) => {
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))).toBe(text)
    // alone, between plain neighbours, and where a character of the neighbours seems to complete it
    const value = Uint8Array.from(bytes)
    const [plain, tail] = [Buffer.from('plain'), Uint8Array.of(0x98, 0x80)]
    expect(json(strings(value))).toEqual([JSON.stringify(text)])
    expect(json(strings(plain, value, plain))).toEqual(['"plain"', JSON.stringify(text), '"plain"'])
    expect(json(strings(value, tail))[0]).toBe(JSON.stringify(text))
  })

  it('escapes each byte of ASCII as JSON.stringify does, wherever it stands in a word of four', () => {
    for (let code = 0; code < 128; code++) {
      for (let lead = 0; lead < 9; lead++) {
        const text = 'a'.repeat(lead) + String.fromCharCode(code) + 'z'.repeat(8 - lead)
        const [found] = json(strings(Buffer.from(text)))
        if (found !== JSON.stringify(text)) expect(found).toBe(JSON.stringify(text))
      }
    }
  })

  it('is the same at every alignment of its bytes', () => {
    const text = 'plain text of some length'
    for (let offset = 0; offset < 9; offset++) {
      const bytes = Buffer.from(`${'\\'.repeat(offset)}${text}\\`)
      const data = new Uint8Array(bytes).subarray(offset, offset + text.length)
      expect(json(makeData({ type: new Utf8(), valueOffsets: Int32Array.of(0, text.length), data }))).toEqual([
        `"${text}"`,
      ])
    }
  })
})

describe('numbers', () => {
  it('prints any double as JSON.stringify does', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 100, maxLength: 200 }), bits => {
        const values = new Float64Array(BigUint64Array.from(bits).buffer)
        expect(json(makeData({ type: new Float64(), data: values }))).toEqual(
          Array.from(values, value => JSON.stringify(value)),
        )
      }),
      { numRuns: 200 },
    )
  })

  it('prints any float32 in its own shortest form', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 50 }), bits => {
        const values = new Float32Array(Uint32Array.from(bits).buffer)
        const expected = Array.from(values, value => (Number.isFinite(value) ? formatFloat32(value) : 'null'))
        expect(json(makeData({ type: new Float32(), data: values }))).toEqual(expected)
      }),
    )
  })

  it('keeps every digit of 64 bits', () => {
    const signed = [0n, -1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
    expect(json(makeData({ type: new Int64(), data: BigInt64Array.from(signed) }))).toEqual(signed.map(String))
    const unsigned = [0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]
    expect(json(makeData({ type: new Uint64(), data: BigUint64Array.from(unsigned) }))).toEqual(unsigned.map(String))
  })

  it('keeps the scale of a decimal, whichever it is', () => {
    const decimal = (scale: number, ...values: number[]): string[] =>
      json(
        makeData({
          type: new Decimal(scale, 38),
          data: Int32Array.from(values.flatMap(value => [value, ...Array(3).fill(value >> 31)])),
        } as never),
      )
    expect(decimal(6, 1_500_000, -1, 0, 12_345_678)).toEqual(['1.500000', '-0.000001', '0.000000', '12.345678'])
    expect(decimal(0, 42, -42)).toEqual(['42', '-42'])
    expect(decimal(-3, 42, -42, 0)).toEqual(['42000', '-42000', '0'])
  })
})

describe('timestamps', () => {
  const timestamps = (unit: TimeUnit, zone: string | null, ...values: bigint[]): string[] =>
    json(makeData({ type: new Timestamp(unit, zone), data: BigInt64Array.from(values) }))

  it('choose their digits one by one', () => {
    const second = 1_772_323_200_000_000_000n
    const values = [0n, 1n, 1000n, 1_000_000n, 120_000_000n].map(nanos => second + nanos)
    expect(timestamps(TimeUnit.NANOSECOND, null, ...values)).toEqual([
      '"2026-03-01T00:00:00Z"',
      '"2026-03-01T00:00:00.000000001Z"',
      '"2026-03-01T00:00:00.000001Z"',
      '"2026-03-01T00:00:00.001Z"',
      '"2026-03-01T00:00:00.120Z"',
    ])
  })

  it('are in UTC, with and without a zone', () => {
    for (const zone of [null, 'UTC', 'America/New_York', '+05:45']) {
      expect(timestamps(TimeUnit.MICROSECOND, zone, -1n)).toEqual(['"1969-12-31T23:59:59.999999Z"'])
    }
  })

  it('reach to both ends of every unit', () => {
    const ends = [-(2n ** 63n), 2n ** 63n - 1n]
    expect(timestamps(TimeUnit.NANOSECOND, null, ...ends)).toEqual([
      '"1677-09-21T00:12:43.145224192Z"',
      '"2262-04-11T23:47:16.854775807Z"',
    ])
    expect(timestamps(TimeUnit.MICROSECOND, null, ...ends)).toEqual([
      '"-290308-12-21T19:59:05.224192Z"',
      '"+294247-01-10T04:00:54.775807Z"',
    ])
    expect(timestamps(TimeUnit.MILLISECOND, null, ...ends)).toEqual([
      '"-292275055-05-16T16:47:04.192Z"',
      '"+292278994-08-17T07:12:55.807Z"',
    ])
    expect(timestamps(TimeUnit.SECOND, null, ...ends)).toEqual([
      '"-292277022657-01-27T08:29:52Z"',
      '"+292277026596-12-04T15:30:07Z"',
    ])
  })
})

it('finds a value in whichever piece of a dictionary it is', () => {
  const pieces = [strings(Buffer.from('a')), strings(), strings(Buffer.from('b"'), Buffer.from('c'))]
  const data = makeData({
    type: new Dictionary(new Utf8(), new Int32()),
    data: Int32Array.of(2, 0, 1, 2, 0),
    dictionary: new Vector(pieces),
  })
  expect(json(data)).toEqual(['"c"', '"a"', '"b\\""', '"c"', '"a"'])
  const column = renderColumn(new Field('c', data.type, true), data)
  expect([0, 1, 2].map(row => column.text(row))).toEqual(['c', 'a', 'b"'])
})

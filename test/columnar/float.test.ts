import { Float16, Float32 } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatFloat16, formatFloat32 } from '../../src/columnar/float.ts'
import { oracleText } from './oracle.ts'

/** A float of any width as its neighbours see it: everything between the two middles reads back as it. */
interface Narrow {
  readonly value: number
  readonly even: boolean
  /** As exact fractions. */
  readonly lower: Fraction
  readonly upper: Fraction
}

type Fraction = readonly [numerator: bigint, denominator: bigint]

const float32 = (bits: number): number => new DataView(Uint32Array.of(bits).buffer).getFloat32(0, true)
const float16 = (bits: number): number => new Float16Array(Uint16Array.of(bits).buffer)[0]!

/** `bits`: of a positive finite float below the greatest. Middles of neighbours are exact as doubles. */
function narrow(bits: number, decode: (bits: number) => number): Narrow {
  const value = decode(bits)
  const middle = (other: number): Fraction => exact((value + other) / 2)
  return { value, even: bits % 2 === 0, lower: middle(decode(bits - 1)), upper: middle(decode(bits + 1)) }
}

function exact(double: number): Fraction {
  let denominator = 1n
  while (!Number.isInteger(double)) {
    double *= 2
    denominator *= 2n
  }
  return [BigInt(double), denominator]
}

function decimal(digits: bigint, exponent: number): Fraction {
  return exponent >= 0 ? [digits * 10n ** BigInt(exponent), 1n] : [digits, 10n ** BigInt(-exponent)]
}

function compare([a, b]: Fraction, [c, d]: Fraction): number {
  return Number(a * d > c * b) - Number(a * d < c * b)
}

function readsBack(fraction: Fraction, { lower, upper, even }: Narrow): boolean {
  const [low, high] = [compare(fraction, lower), compare(fraction, upper)]
  return even ? low >= 0 && high <= 0 : low > 0 && high < 0
}

/** The digits and the exponent of a text, zeros at the end dropped. */
function parse(text: string): { digits: bigint; exponent: number; count: number } {
  const [mantissa = '', power = '0'] = text.split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const all = (whole + fraction).replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  return {
    digits: BigInt(digits),
    exponent: Number(power) - fraction.length + all.length - digits.length,
    count: digits.length,
  }
}

/** Whether some decimal with one digit less than `text` reads back: if any does, then one of the two around the value. */
function hasShorter(text: string, float: Narrow): boolean {
  const { count } = parse(text)
  if (count === 1) return false
  const [mantissa = '', power = '0'] = float.value.toExponential(count - 2).split('e')
  const digits = BigInt(mantissa.replace('.', ''))
  const exponent = Number(power) - (count - 2)
  return [-1n, 0n, 1n].some(step => readsBack(decimal(digits + step, exponent), float))
}

function check(text: string, float: Narrow): void {
  const { digits, exponent } = parse(text)
  expect({ text, readsBack: readsBack(decimal(digits, exponent), float) }).toEqual({ text, readsBack: true })
  expect({ text, hasShorter: hasShorter(text, float) }).toEqual({ text, hasShorter: false })
  expect(JSON.stringify(Number(text))).toBe(text)
}

describe('float32', () => {
  it('prints the shortest decimal that reads back, for any bits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x7f7ffffe }), bits => {
        const float = narrow(bits, float32)
        const text = formatFloat32(float.value)
        check(text, float)
        expect(text).toBe(oracleText(new Float32(), float.value))
        expect(Math.fround(Number(text))).toBe(float.value)
        expect(formatFloat32(-float.value)).toBe(`-${text}`)
      }),
      { numRuns: 3000 },
    )
  })

  it('prints the shortest decimal of every power of two, which have uneven neighbours', () => {
    for (let exponent = -149; exponent < 128; exponent++) {
      const bits = new DataView(Float32Array.of(2 ** exponent).buffer).getUint32(0, true)
      check(formatFloat32(2 ** exponent), narrow(bits, float32))
    }
  })

  it('prints for neither of two floats the one decimal that readers take for the one or for the other', () => {
    expect(formatFloat32(float32(363_742_205))).toBe('7.0385307e-26')
    expect(formatFloat32(float32(363_742_206))).toBe('7.0385313e-26')
  })

  it.each([
    [0, '0'],
    [-0, '0'],
    [0.1, '0.1'],
    [-2.5, '-2.5'],
    [16_777_216, '16777216'],
    [16_777_218, '16777218'],
    [3.4028234663852886e38, '3.4028235e+38'],
    [1.401298464324817e-45, '1e-45'],
    [1.1754943508222875e-38, '1.1754944e-38'],
    [1e21, '1e+21'],
    [1e-7, '1e-7'],
    [0.000001, '0.000001'],
    [123456790000, '123456790000'],
    [8590399488, '8590400000'],
    [1250732.25, '1250732.2'],
    [1250732.75, '1250732.8'],
    [-1250732.25, '-1250732.2'],
  ])('%d is %s', (value, text) => expect(formatFloat32(Math.fround(value))).toBe(text))
})

describe('float16', () => {
  it('prints the shortest decimal of every one that there is', () => {
    for (let bits = 1; bits < 0x7bff; bits++) {
      const float = narrow(bits, float16)
      const text = formatFloat16(float.value)
      const { digits, exponent } = parse(text)
      if (!readsBack(decimal(digits, exponent), float) || hasShorter(text, float)) check(text, float)
      if (oracleText(new Float16(), float.value) !== text) expect(text).toBe(oracleText(new Float16(), float.value))
    }
    expect([0, -0, 65504, -0.1].map(value => formatFloat16(Math.f16round(value)))).toEqual(['0', '0', '65500', '-0.1'])
  })
})

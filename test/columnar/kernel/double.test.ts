import { describe, expect, it } from 'vitest'
import { compileKernelFile } from './compiled.ts'
import { withRandomWords } from './random.ts'

interface Doubles {
  writeF64(value: number, target: number): number
}

const { exports, text } = await compileKernelFile<Doubles>('double.ts')

const view = new DataView(new ArrayBuffer(8))

function double(high: number, low: number): number {
  view.setUint32(0, high)
  view.setUint32(4, low)
  return view.getFloat64(0)
}

/** The double whose bits are so many more. */
function neighbour(value: number, steps: bigint): number {
  view.setFloat64(0, value)
  view.setBigInt64(0, view.getBigInt64(0) + steps)
  return view.getFloat64(0)
}

function check(value: number): void {
  const printed = text(target => exports.writeF64(value, target))
  const expected = JSON.stringify(value)
  if (printed !== expected) expect({ value, printed }).toEqual({ value, printed: expected })
}

function checkAround(value: number): void {
  for (let steps = -3n; steps <= 3n; steps++) {
    check(neighbour(value, steps))
    check(-neighbour(value, steps))
  }
}

describe('doubles in the kernel', () => {
  it.each([
    [0, '0'],
    [-0, '0'],
    [Number.NaN, 'null'],
    [Number.POSITIVE_INFINITY, 'null'],
    [Number.NEGATIVE_INFINITY, 'null'],
    [1, '1'],
    [-1.5, '-1.5'],
    [0.1, '0.1'],
    [0.30000000000000004, '0.30000000000000004'],
    [1 / 3, '0.3333333333333333'],
    [5e-324, '5e-324'],
    [2.2250738585072014e-308, '2.2250738585072014e-308'],
    [2.225073858507201e-308, '2.225073858507201e-308'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [9007199254740991, '9007199254740991'],
    [9007199254740992, '9007199254740992'],
    [9007199254740994, '9007199254740994'],
    // two decimals equally near: the even one
    [2 ** 50 + 0.25, '1125899906842624.2'],
    [2 ** 50 + 0.75, '1125899906842624.8'],
    [2 ** 60, '1152921504606847000'],
    [2 ** 70, '1.1805916207174113e+21'],
    [123456789012345680000, '123456789012345680000'],
    [1e21, '1e+21'],
    [999999999999999900000, '999999999999999900000'],
    [1e-6, '0.000001'],
    [1.5e-6, '0.0000015'],
    [1e-7, '1e-7'],
    [1.25e-7, '1.25e-7'],
    [9.5367431640625e-7, '9.5367431640625e-7'],
    [1e23, '1e+23'],
    [2e23, '2e+23'],
    [9.5e-100, '9.5e-100'],
    [812345.678901, '812345.678901'],
    [6.25e17, '625000000000000000'],
  ])('%d is %s', (value, expected) => expect(text(target => exports.writeF64(value, target))).toBe(expected))

  it('print powers of two, whose neighbours are not equally far away', () => {
    for (let exponent = -1074; exponent < 1024; exponent++) checkAround(2 ** exponent)
  })

  it('print powers of ten and their multiples', () => {
    for (let exponent = -323; exponent <= 308; exponent++) {
      for (let digit = 1; digit < 10; digit++) checkAround(Number(`${digit}e${exponent}`))
    }
  })

  it('print the smallest doubles and those around every integer of 53 bits', () => {
    for (let bits = 0; bits < 1000; bits++) check(double(0, bits))
    for (let exponent = 50; exponent < 70; exponent++) {
      for (let step = -500n; step < 500n; step++) check(neighbour(2 ** exponent, step))
    }
  })

  it('print any bits', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 10_000; i++) check(double(next(), next()))
    })
  })

  it('print numbers of few digits, as most columns hold', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 2000; i++) {
        const digits = (next() * 2 ** 21 + (next() >>> 11)) % 10 ** (1 + (next() % 17))
        check(Number(`${digits}e${(next() % 44) - 22}`))
        check(digits / 10 ** (next() % 10))
        check(digits * 2 ** ((next() % 40) - 20))
      }
    })
  })
})

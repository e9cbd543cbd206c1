import { describe, expect, it } from 'vitest'
import { formatFloat32 } from '../../../src/columnar/float.ts'
import { compileKernelFile } from './compiled.ts'
import { withRandomWords } from './random.ts'

interface Floats {
  writeF32(value: number, target: number): number
}

const { exports, text } = await compileKernelFile<Floats>('float.ts')

const view = new DataView(new ArrayBuffer(4))

function float(bits: number): number {
  view.setUint32(0, bits)
  return view.getFloat32(0)
}

function check(value: number): void {
  const printed = text(target => exports.writeF32(value, target))
  const expected = Number.isFinite(value) ? formatFloat32(value) : 'null'
  if (printed !== expected) expect({ value, printed }).toEqual({ value, printed: expected })
}

describe('float32 in the kernel', () => {
  it.each([
    [0, '0'],
    [-0, '0'],
    [Number.NaN, 'null'],
    [Number.POSITIVE_INFINITY, 'null'],
    [Number.NEGATIVE_INFINITY, 'null'],
    [0.1, '0.1'],
    [-2.5, '-2.5'],
    [16_777_216, '16777216'],
    [3.4028234663852886e38, '3.4028235e+38'],
    [1.401298464324817e-45, '1e-45'],
    [1e21, '1e+21'],
    [1e-7, '1e-7'],
    [8590399488, '8590400000'],
    [1250732.25, '1250732.2'],
    [1250732.75, '1250732.8'],
  ])('%d is %s', (value, expected) => expect(text(target => exports.writeF32(value, target))).toBe(expected))

  it('keeps a digit where readers disagree', () => {
    expect(text(target => exports.writeF32(float(363_742_205), target))).toBe('7.0385307e-26')
    expect(text(target => exports.writeF32(float(363_742_206), target))).toBe('7.0385313e-26')
    expect(text(target => exports.writeF32(-float(363_742_205), target))).toBe('-7.0385307e-26')
  })

  it('prints powers of two, powers of ten and their neighbours', () => {
    for (let exponent = 0; exponent < 255; exponent++) {
      for (let step = -20; step <= 20; step++) check(float(exponent * 2 ** 23 + Math.max(step, 0)))
    }
    for (let exponent = -45; exponent <= 38; exponent++) check(Math.fround(10 ** exponent))
  })

  it('prints any bits', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 5000; i++) {
        check(float(next()))
        check(Math.fround((next() % 1e8) / 10 ** (next() % 8)))
      }
    })
  })
})

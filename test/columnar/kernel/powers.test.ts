import { expect, it } from 'vitest'
import { compileKernelFile } from './compiled.ts'

interface Powers {
  powerHigh(exponent: number): bigint
  powerLow(exponent: number): bigint
}

const { exports } = await compileKernelFile<Powers>('powers.ts')

/** The first 128 bits of 10^exponent, what follows them cut off. */
function leadingBits(exponent: number): bigint {
  const number = exponent >= 0 ? (10n ** BigInt(exponent)) << 128n : (1n << 2000n) / 10n ** BigInt(-exponent)
  return number >> BigInt(number.toString(2).length - 128)
}

it('holds each power of ten to 128 bits, rounded up', () => {
  for (let exponent = -292; exponent <= 324; exponent++) {
    const power =
      (BigInt.asUintN(64, exports.powerHigh(exponent)) << 64n) | BigInt.asUintN(64, exports.powerLow(exponent))
    expect(power, `10^${exponent}`).toBe(leadingBits(exponent) + 1n)
  }
})

import { Decimal } from 'apache-arrow'
import { describe, expect, it } from 'vitest'
import { oracleText } from '../oracle.ts'
import { compileKernelFile } from './compiled.ts'
import { randomBits, withRandomWords } from './random.ts'

interface Decimals {
  writeDecimal128(low: bigint, high: bigint, scale: number, target: number): number
}

const { exports, text } = await compileKernelFile<Decimals>('decimal.ts')

function written(value: bigint, scale: number): string {
  return text(target => exports.writeDecimal128(BigInt.asIntN(64, value), value >> 64n, scale, target))
}

function check(value: bigint, scale: number): void {
  expect(written(value, scale)).toBe(oracleText(new Decimal(scale, 38), value))
}

describe('decimals in the kernel', () => {
  it.each([
    [0n, 0, '0'],
    [0n, 6, '0.000000'],
    [0n, -3, '0'],
    [1_500_000n, 6, '1.500000'],
    [-5n, 2, '-0.05'],
    [-12n, 1, '-1.2'],
    [7n, -3, '7000'],
    [-7n, -1, '-70'],
    [10n ** 38n - 1n, 38, `0.${'9'.repeat(38)}`],
    [1n - 10n ** 38n, 0, `-${'9'.repeat(38)}`],
    [2n ** 127n - 1n, 10, '17014118346046923173168730371.5884105727'],
    [-(2n ** 127n), 39, '-0.170141183460469231731687303715884105728'],
    [1n, 60, `0.${'0'.repeat(59)}1`],
    [-(2n ** 127n), -60, `-170141183460469231731687303715884105728${'0'.repeat(60)}`],
  ])('%d with scale %d is %s', (value, scale, expected) => expect(written(value, scale)).toBe(expected))

  it('print powers of two and ten and their neighbours at every scale', () => {
    for (let exponent = 0n; exponent < 127n; exponent++) {
      for (const power of [2n ** exponent, 10n ** (exponent % 38n)]) {
        for (const value of [power - 1n, power, power + 1n, -power]) check(value, Number(exponent % 42n) - 2)
      }
    }
  })

  it('print any value at any scale', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 1000; i++) {
        const size = randomBits(next, 127)
        check(next() % 2 === 0 ? size : -size, (next() % 60) - 10)
      }
    })
  })
})

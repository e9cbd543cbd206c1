import { describe, expect, it } from 'vitest'
import { compileKernelFile } from './compiled.ts'
import { randomBits, withRandomWords } from './random.ts'

interface Integers {
  writeI32(value: number, target: number): number
  writeU32(value: number, target: number): number
  writeI64(value: bigint, target: number): number
  writeU64(value: bigint, target: number): number
}

const { exports, text } = await compileKernelFile<Integers>('integer.ts')

/** Powers of two and of ten, and their neighbours. */
const EDGES = Array.from({ length: 65 }, (_, i) => [2n ** BigInt(i), 10n ** BigInt(i % 20)])
  .flat()
  .flatMap(value => [value - 1n, value, value + 1n])

/** Compares every width that the low bits of `value` can be read as. */
function check(value: bigint): void {
  const low = Number(BigInt.asIntN(32, value))
  expect(text(target => exports.writeI32(low, target))).toBe(String(low))
  expect(text(target => exports.writeU32(low, target))).toBe(String(low >>> 0))
  expect(text(target => exports.writeI64(value, target))).toBe(String(BigInt.asIntN(64, value)))
  expect(text(target => exports.writeU64(value, target))).toBe(String(BigInt.asUintN(64, value)))
}

describe('integers in the kernel', () => {
  it('print every number of few digits', () => {
    for (let value = 0n; value < 2000n; value++) check(value)
  })

  it('print powers of two and ten, their neighbours and their negatives', () => {
    for (const value of EDGES) {
      check(value)
      check(-value)
    }
  })

  it('print integers of any length', () => {
    withRandomWords(20, next => {
      for (let i = 0; i < 500; i++) check(randomBits(next, 64))
    })
  })
})

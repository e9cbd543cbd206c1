import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  addChecksums,
  formatChecksum,
  hashRow,
  rowChecksum,
  subtractChecksums,
  ZERO_CHECKSUM,
} from '../../src/columnar/checksum.ts'

// The sanity buffer and expected values of the reference implementation (xxHash, cli/xsum_sanity_check.c), seed 0.
const PRIME64 = 0x9e3779b185ebca8dn

function sanityBuffer(length: number): Uint8Array {
  let generator = 0x9e3779b1n
  return Uint8Array.from({ length }, () => {
    const byte = Number(generator >> 56n)
    generator = BigInt.asUintN(64, generator * PRIME64)
    return byte
  })
}

test.each([
  [0, 'ef46db3751d8e999'],
  [1, 'e934a84adb052768'],
  [4, '9136a0dca57457ee'],
  [14, '8282dcc4994e35c8'],
  [222, 'b641ae8cb691c174'],
])('hashes the first %i bytes of the reference buffer as the reference does', (length, expected) => {
  expect(rowChecksum(sanityBuffer(length))).toBe(expected)
})

test('hashes text as published', () => {
  expect(rowChecksum(Buffer.from('a'))).toBe('d24ec4f1a98c6e5b')
  expect(rowChecksum(Buffer.from('Nobody inspects the spammish repetition'))).toBe('fbcea83c8a378bf1')
})

const checksum = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(value => value.toString(16).padStart(16, '0'))

test('adds modulo 2^64', () => {
  expect(addChecksums('ffffffffffffffff', '0000000000000002')).toBe('0000000000000001')
  fc.assert(
    fc.property(checksum, checksum, (a, b) => {
      expect(BigInt(`0x${addChecksums(a, b)}`)).toBe((BigInt(`0x${a}`) + BigInt(`0x${b}`)) % 2n ** 64n)
    }),
  )
})

test('subtracting takes back what was added', () => {
  fc.assert(
    fc.property(checksum, checksum, (a, b) => {
      expect(subtractChecksums(addChecksums(a, b), b)).toBe(a)
    }),
  )
})

test('sums of numbers and of text agree', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), rows => {
      const sum = rows.reduce((sum, row) => sum + hashRow(row), 0n)
      expect(formatChecksum(sum)).toBe(rows.map(rowChecksum).reduce(addChecksums, ZERO_CHECKSUM))
    }),
  )
})

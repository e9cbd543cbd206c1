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
      expect(formatChecksum(sum)).toBe(rows.map(row => rowChecksum(row)).reduce(addChecksums, ZERO_CHECKSUM))
    }),
  )
})

test('what a row is delivered with seeds its checksum: its id, and then its key', () => {
  const [payload, id, key] = ['{"a":1}', 'job-0-1', 'k'].map(text => Buffer.from(text)) as [Buffer, Buffer, Buffer]
  const all = [
    rowChecksum(payload),
    rowChecksum(payload, { id }),
    rowChecksum(payload, { key }),
    rowChecksum(payload, { id, key }),
    rowChecksum(payload, { id: key, key: id }),
    rowChecksum(payload, { key: Buffer.alloc(0) }),
  ]
  // by xxHash's own library (its Python binding), with the seeds as they are said to be
  expect(all).toEqual([
    'ca0b885a32fc8b48',
    'bcba850a9663c712',
    '8f76a1d4fdf942d4',
    '3638289e99131bbe',
    'b86cbfe1b7362478',
    '85413ba9e58027cc',
  ])
  expect(rowChecksum(payload, { id: null, key: null })).toBe(all[0])
})

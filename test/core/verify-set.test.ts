import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HashSet } from '../../src/core/verify-set.ts'

test('knows what it has, as a Set does, also when it has to grow', () => {
  // few bits, so that there are repeats and clusters
  const hash = fc.oneof(fc.bigInt(0n, 60n), fc.bigInt(2n ** 64n - 40n, 2n ** 64n - 1n)).filter(hash => hash !== 1n)
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 200 }), fc.nat(20), (hashes, expected) => {
      const set = new HashSet(expected)
      const known = new Set<bigint>()
      for (const each of hashes) {
        expect(set.add(each)).toBe(!known.has(each))
        known.add(each)
      }
      expect(set.size).toBe(known.size)
    }),
  )
})

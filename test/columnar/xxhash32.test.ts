import fc from 'fast-check'
import { expect, test } from 'vitest'
import xxhash from 'xxhash-wasm'
import { xxHash32 } from '../../src/columnar/xxhash32.ts'

test('hashes as another implementation does: any bytes, any seed, at any place', async () => {
  const { h32Raw } = await xxhash()
  const bytes = fc.uint8Array({ maxLength: 100 })
  fc.assert(
    fc.property(bytes, fc.nat(9), fc.nat(0xffffffff), (value, lead, seed) => {
      const buffer = Buffer.concat([Buffer.alloc(lead, 7), value, Buffer.from('behind')])
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
      expect(xxHash32(view, lead, value.length, seed)).toBe(h32Raw(value, seed))
    }),
    { numRuns: 1000 },
  )
})

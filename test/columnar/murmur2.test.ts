import fc from 'fast-check'
import { Partitioners } from 'kafkajs'
import { expect, test } from 'vitest'
import { murmur2, partitionOf } from '../../src/columnar/murmur2.ts'

// what Apache Kafka's own UtilsTest expects
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('%s hashes to %i, as in Java', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})

test('any key lands where a client that follows Java puts it', () => {
  const partitioner = Partitioners.JavaCompatiblePartitioner()
  const elsewhere = (key: Buffer, partitions: number) =>
    partitioner({
      topic: 'topic',
      partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({ partitionId, leader: 1 }) as never),
      message: { key, value: null },
    })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (key, partitions) => {
      expect(partitionOf(key, partitions)).toBe(elsewhere(Buffer.from(key), partitions))
    }),
    { numRuns: 500 },
  )
})

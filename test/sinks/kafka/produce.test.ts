import * as kafka from '@platformatic/kafka'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RecordBatchWriter } from '../../../src/columnar/record-batch.ts'
import { loadChecksum } from '../../../src/sinks/kafka/crc32c.ts'
import { type ProduceAnswer, produceVersion, producing } from '../../../src/sinks/kafka/produce.ts'
import { stampBatch } from '../../../src/sinks/kafka/stamp.ts'
import { Wire } from '../../../src/sinks/kafka/wire.ts'
import { describeWith } from '../../servers/need.ts'
import { topicsOf } from './topics.ts'

const NO_PRODUCER = { producerId: -1n, epoch: -1, sequence: -1 }

function batchOf(value: string, key: string | null = 'key'): Uint8Array<ArrayBuffer> {
  const writer = new RecordBatchWriter({ headers: {} })
  writer.append({ key: key === null ? null : Buffer.from(key), value: Buffer.from(value), timestamp: 0n, id: null })
  return new Uint8Array(writer.finish())
}

describe('the version', () => {
  test.each([
    [0, 13, 9],
    [3, 8, 8],
    [0, 5, 5],
    [0, 4, undefined],
    [10, 13, undefined],
  ])('for a broker that offers %i to %i is %s', (minVersion, maxVersion, version) => {
    expect(produceVersion({ minVersion, maxVersion })).toBe(version)
  })
})

test('a batch is stamped in place, and its checksum covers the stamp', () => {
  const bytes = batchOf('{"a":1}')
  const crc32c = loadChecksum(kafka)
  stampBatch(
    bytes,
    { producerId: 2n ** 40n + 7n, epoch: 3, sequence: 2 ** 31 - 2, timestamp: 1_772_368_496_789 },
    crc32c,
  )
  const header = Buffer.from(bytes)
  expect(header.readBigInt64BE(43)).toBe(2n ** 40n + 7n)
  expect(header.readInt16BE(51)).toBe(3)
  expect(header.readInt32BE(53)).toBe(2 ** 31 - 2)
  expect([header.readBigInt64BE(27), header.readBigInt64BE(35)]).toEqual([1_772_368_496_789n, 1_772_368_496_789n])
  expect(header.readUInt32BE(17)).toBe(kafka.jsCRC32C(header.subarray(21)))
})

test('a batch whose records have times of their own keeps them', () => {
  const bytes = batchOf('{}')
  const before = bytes.slice(27, 43)
  stampBatch(bytes, { ...NO_PRODUCER, timestamp: undefined }, loadChecksum(kafka))
  expect(bytes.slice(27, 43)).toEqual(before)
})

await describeWith('kafka', 'produce requests', ({ brokers }) => {
  const topics = topicsOf(brokers)

  async function produce(version: number, topic: string, bytes: Uint8Array, acks = -1): Promise<ProduceAnswer> {
    const [host, port] = brokers[0]!.split(':') as [string, string]
    const connection = new kafka.Connection('millrace-tests')
    await connection.connect(host, Number(port))
    onTestFinished(() => connection.close())
    const produce = producing(kafka, version, 'millrace-tests')
    stampBatch(bytes, { ...NO_PRODUCER, timestamp: Date.now() }, loadChecksum(kafka))
    const request = { topic, partition: 0, acks, timeoutMs: 5_000, recordBatch: bytes }
    return (await produce(new Wire(kafka, connection, 5_000), request))!
  }

  test.each([5, 6, 7, 8, 9])('of version %i are understood, and so are their answers', async version => {
    const topic = await topics.create({ partitions: 1 })
    const taken = { throttleMs: 0, partition: { errorCode: 0, offset: 0n, records: [] } }
    expect(await produce(version, topic, batchOf('{"a":1}'))).toEqual(taken)
    expect((await produce(version, topic, batchOf('{"a":2}'), 1)).partition.offset).toBe(1n)
    expect((await topics.read(topic)).map(({ key, value }) => [key, value])).toEqual([
      ['key', '{"a":1}'],
      ['key', '{"a":2}'],
    ])
    const nowhere = await produce(version, topics.newName(), batchOf('{}'))
    expect(nowhere.partition).toEqual({ errorCode: 3, offset: -1n, records: [] })
  })

  test.each([
    [8, [0]],
    [7, []],
  ])('name the culprits of a refusal from version 8 on (%i)', async (version, records) => {
    const topic = await topics.create({ partitions: 1, config: { 'cleanup.policy': 'compact' } })
    expect((await produce(version, topic, batchOf('{}', null))).partition).toEqual({
      errorCode: 87,
      offset: -1n,
      records,
    })
  })
})

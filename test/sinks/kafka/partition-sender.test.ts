import * as kafka from '@platformatic/kafka'
import { expect, test } from 'vitest'
import type { Cluster } from '../../../src/sinks/kafka/cluster.ts'
import { loadChecksum } from '../../../src/sinks/kafka/crc32c.ts'
import { PartitionSender } from '../../../src/sinks/kafka/partition-sender.ts'
import type { MessageBatch } from '../../../src/sinks/sink.ts'

test('what is no record batch ends the session, and not the process', async () => {
  const ended = Promise.withResolvers<unknown>()
  const line = { isOpen: true, turn: async () => {}, pass() {} }
  const sender = new PartitionSender(0, {
    kafka,
    cluster: { lineTo: async () => line } as unknown as Cluster,
    crc32c: loadChecksum(kafka),
    topic: 'topic',
    where: 'Kafka topic "topic"',
    acks: -1,
    replicaTimeoutMs: 1_000,
    window: 5,
    producer: { id: 1n, epoch: 0 },
    stampsTime: true,
    reframe: async () => [],
    ended: new AbortController().signal,
    onFailure() {},
    giveUp: ended.resolve,
  })
  const nothing: MessageBatch = {
    unit: 'unit',
    name: 'nothing',
    rows: 1,
    bytes: new Uint8Array(0),
    ends: new Uint32Array(0),
    spans: [],
    partition: 0,
  }
  void sender.deliver(nothing, new AbortController().signal)
  expect(await ended.promise).toBeInstanceOf(RangeError)
})

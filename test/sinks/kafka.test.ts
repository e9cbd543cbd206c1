import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Consumer, type Message } from '@platformatic/kafka'
import fc from 'fast-check'
import { Partitioners } from 'kafkajs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type KafkaSinkOptions, kafkaSink } from '../../src/sinks/kafka.ts'
import type { SinkContext, SinkSession } from '../../src/sinks/sink.ts'
import { testSink } from '../../src/testing/sink.ts'
import { describeWith } from '../servers/need.ts'
import { batchOf } from './batches.ts'
import { contextOf, NEVER, rejection } from './kafka/contexts.ts'
import { type ReadRecord, topicsOf } from './kafka/topics.ts'

await describeWith('kafka', 'kafkaSink', ({ brokers }) => {
  const topics = topicsOf(brokers)

  async function withSession<T>(
    options: Partial<KafkaSinkOptions> & { readonly topic: string },
    use: (session: SinkSession) => Promise<T>,
    context: Partial<SinkContext> = {},
  ): Promise<T> {
    const session = await kafkaSink({ name: 'orders', brokers, ...options }).open(contextOf(context))
    try {
      return await use(session)
    } finally {
      await session.close()
    }
  }

  describe('keeps the contract of sinks', () => {
    const tests = testSink({
      create: () => {
        const topic = topics.newName()
        return Object.assign(
          kafkaSink({ name: 'test', brokers, topic, key: 'key', createTopic: { partitions: 4, replicas: 1 } }),
          { topic },
        )
      },
      read: async ({ topic }) => (await topics.read(topic)).map(({ value }) => value),
    })
    test.each(tests)('$name', ({ run }) => run())
  })

  test('rows and keys arrive as they were, and the proof says where', async () => {
    const topic = await topics.create()
    const rows = ['{"id":1}', '{"id":2,"text":"ünïcode 👍"}', '{"id":3}', '{}']
    const customer = ['ann', 'böb', null, '']

    const proof = await withSession({ topic, key: 'customer' }, session => {
      expect(session.asks).toEqual({ columns: ['customer'] })
      return session.write(batchOf(rows, { columns: { customer } }), NEVER)
    })

    const records = await topics.read(topic)
    expect(byValue(records, ({ key }) => key)).toEqual(
      Object.fromEntries(rows.map((row, index) => [row, customer[index]])),
    )
    expect(records.every(({ headers }) => Object.keys(headers).length === 0)).toBe(true)
    expect([...proof!].sort((a, b) => a.partition! - b.partition!)).toEqual(offsetRanges(records))
  })

  test('a key lands in the partition where a Java producer would put it', async () => {
    const topic = await topics.create({ partitions: 7 })
    const customer = fc.sample(fc.string({ unit: 'binary', minLength: 0, maxLength: 30 }), { numRuns: 300, seed: 1 })

    await withSession({ topic, key: 'customer' }, session =>
      session.write(
        batchOf(
          customer.map((_, id) => JSON.stringify({ id })),
          { columns: { customer } },
        ),
        NEVER,
      ),
    )

    const java = Partitioners.JavaCompatiblePartitioner()
    const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({ partitionId, leader: 1 }) as never)
    const records = await topics.read(topic)
    expect(records.length).toBe(300)
    for (const { key, partition } of records) {
      expect(java({ topic, partitionMetadata, message: { key: Buffer.from(key!), value: null } })).toBe(partition)
    }
    expect(new Set(records.map(({ partition }) => partition)).size).toBe(7)
  })

  test('without a key a batch goes to one partition and the next batch to the next', async () => {
    const topic = await topics.create({ partitions: 3 })

    const proofs = await withSession({ topic }, async session => {
      const written = []
      for (let batch = 0; batch < 6; batch++) {
        written.push(
          await session.write(batchOf(['{"a":1}', '{"a":2}', '{"a":3}'].map(row => row + ' '.repeat(batch))), NEVER),
        )
      }
      return written
    })

    const partitions = proofs.map(proof => proof!.map(({ partition }) => partition))
    const [[first]] = partitions as [[number]]
    expect(partitions).toEqual([0, 1, 2, 3, 4, 5].map(step => [(first + step) % 3]))
    expect((await topics.read(topic)).map(({ key }) => key)).toEqual(Array(18).fill(null))
  })

  test('records carry the fixed headers and the time of the chosen column', async () => {
    // the default retention would delete records of 2001 before they can be read
    const topic = await topics.create({ partitions: 1, config: { 'retention.ms': '-1' } })
    // out of order, and more than the 25 days apart that the client can write
    const at = [
      '2001-01-01T00:00:00Z',
      '2026-03-01T12:34:56.789123456Z',
      '1970-01-01T00:00:00Z',
      null,
      '2026-03-20T00:00:00Z',
      '2026-03-30T00:00:00Z',
      '1969-12-31T23:59:59.999Z',
    ]
    const rows = at.map((_, id) => JSON.stringify({ id }))
    const before = Date.now()

    const error = await withSession(
      { topic, timestamp: { column: 'at' }, headers: { origin: 'backfill', empty: '' } },
      session => rejection(session.write(batchOf(rows, { columns: { at } }), NEVER)),
    )

    const records = await topics.read(topic)
    expect(records.map(({ value }) => value)).toEqual(rows.slice(0, 6))
    const { timestamp: now } = records[3]!
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now())
    expect(records.map(({ timestamp }) => timestamp)).toEqual([
      978_307_200_000,
      1_772_368_496_789,
      0,
      now,
      1_773_964_800_000,
      1_774_828_800_000,
    ])
    expect(records.map(({ headers }) => headers)).toEqual(Array(6).fill({ origin: 'backfill', empty: '' }))
    expect([...error.failed!.keys()]).toEqual([6])
    expect(error).toMatchObject({ rest: 'delivered', retryable: false })
    expect(error.message).toContain('before 1970')
  })

  test.each(['gzip', 'zstd'] as const)('%s is read by another client', async compression => {
    const topic = await topics.create()
    const rows = manyRows(2_000)
    await withSession({ topic, compression }, session => session.write(batchOf(rows), NEVER))
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual(rows)
  })

  test.each(['snappy', 'lz4'] as const)(
    '%s is taken by the broker, which unpacks it to check it',
    async compression => {
      const topic = await topics.create()
      const rows = manyRows(2_000)
      await withSession({ topic, compression }, session => session.write(batchOf(rows), NEVER))
      expect(await readWithOwnClient(brokers, topic, rows.length)).toEqual(rows)
    },
  )

  test('acks are asked for as configured; those that ask for none prove nothing', async () => {
    const topic = await topics.create({ partitions: 1 })
    const asked = sentAcks()
    const write = (options: Partial<KafkaSinkOptions>, row: string) =>
      withSession({ topic, ...options }, session => session.write(batchOf([row]), NEVER))

    expect(await write({}, '1')).toEqual([{ partition: 0, first: '0', last: '0' }])
    expect(await write({ idempotent: false }, '2')).toEqual([{ partition: 0, first: '1', last: '1' }])
    expect(await write({ idempotent: false, acks: 1 }, '3')).toEqual([{ partition: 0, first: '2', last: '2' }])
    expect(await write({ idempotent: false, acks: 0 }, '4')).toEqual([])

    expect(asked).toEqual([-1, -1, 1, 0])
    await expect.poll(async () => (await topics.read(topic)).map(({ value }) => value)).toEqual(['1', '2', '3', '4'])
  })

  test('only a row that is too large is refused, and the others arrive', async () => {
    const topic = await topics.create({ partitions: 2, config: { 'max.message.bytes': '2000' } })
    const rows = ['{"small":1}', `{"large":"${'x'.repeat(5_000)}"}`, '{"small":2}']

    const error = await withSession({ topic }, session => {
      expect(session.limits!.batchBytes).toBe(1_800)
      return rejection(session.write(batchOf(rows), NEVER))
    })

    expect(error).toMatchObject({ code: 'delivery_failed', retryable: false, rest: 'delivered' })
    expect([...error.failed!.keys()]).toEqual([1])
    expect(error.message).toContain('max.message.bytes = 2000')
    expect(error.message).not.toContain('xxx')
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual([rows[0], rows[2]])
  })

  test('a row that is too large by a few bytes, as only the broker can tell, is refused alone', async () => {
    const topic = await topics.create({ partitions: 1, config: { 'max.message.bytes': '2000' } })
    const rows = ['{"small":1}', JSON.stringify('x'.repeat(1_980)), '{"small":2}']

    const error = await withSession({ topic }, session => rejection(session.write(batchOf(rows), NEVER)))

    expect([...error.failed!.keys()]).toEqual([1])
    expect(error.message).toContain('MESSAGE_TOO_LARGE')
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual([rows[0], rows[2]])
  })

  test('when the broker refuses a batch without a culprit, the culprits are found and the rest arrives in order', async () => {
    const topic = await topics.create({ partitions: 3 })
    const rows = manyRows(400).map((row, id) => (id === 7 || id === 311 ? row + ' '.repeat(5_000) : row))
    const customer = rows.map((_, id) => `customer ${id % 10}`)

    const error = await withSession({ topic, key: 'customer' }, async session => {
      await topics.setConfig(topic, 'max.message.bytes', '4000')
      return rejection(session.write(batchOf(rows, { columns: { customer } }), NEVER))
    })

    expect([...error.failed!.keys()].sort()).toEqual([311, 7])
    const records = await topics.read(topic)
    for (const key of new Set(customer)) {
      const expected = rows.filter((_, id) => customer[id] === key && id !== 7 && id !== 311)
      expect(records.filter(record => record.key === key).map(({ value }) => value)).toEqual(expected)
    }
    expect(records.length).toBe(398)
  })

  test('a compacted topic refuses exactly the rows without a key', async () => {
    const topic = await topics.create({ partitions: 2, config: { 'cleanup.policy': 'compact' } })
    const rows = manyRows(50)
    const customer = rows.map((_, id) => (id % 5 === 0 ? null : `customer ${id}`))

    const error = await withSession({ topic, key: 'customer' }, session =>
      rejection(session.write(batchOf(rows, { columns: { customer } }), NEVER)),
    )

    expect([...error.failed!.keys()]).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40, 45])
    expect(error.message).toContain('INVALID_RECORD')
    expect((await topics.read(topic)).length).toBe(40)
  })

  test('a batch larger than the topic takes at once is sent in pieces', async () => {
    const topic = await topics.create({ partitions: 1, config: { 'max.message.bytes': '10000' } })
    const rows = manyRows(1_000)
    const proof = await withSession({ topic }, session => session.write(batchOf(rows), NEVER))
    expect(proof!.length).toBeGreaterThan(5)
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual(rows)
  })
})

/** The `acks` of every send of the client from now on, until the test ends. */
function sentAcks(): number[] {
  const channel = 'tracing:plt:kafka:producer:sends:start'
  const acks: number[] = []
  const onSend = (message: unknown) => acks.push((message as { options: { acks: number } }).options.acks)
  subscribe(channel, onSend)
  onTestFinished(() => void unsubscribe(channel, onSend))
  return acks
}

function manyRows(count: number): string[] {
  return Array.from({ length: count }, (_, id) => JSON.stringify({ id, text: `row ${id} of many that compress well` }))
}

function byValue<T>(records: readonly ReadRecord[], of: (record: ReadRecord) => T): Record<string, T> {
  return Object.fromEntries(records.map(record => [record.value, of(record)]))
}

function offsetRanges(records: readonly ReadRecord[]) {
  return [...Map.groupBy(records, ({ partition }) => partition)].map(([partition, of]) => ({
    partition,
    first: of[0]!.offset,
    last: of.at(-1)!.offset,
  }))
}

async function readWithOwnClient(brokers: readonly string[], topic: string, count: number): Promise<string[]> {
  const consumer = new Consumer({ groupId: topic, clientId: 'tests', bootstrapBrokers: [...brokers] })
  try {
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, maxWaitTime: 500 })
    const values: string[] = []
    for await (const message of stream as AsyncIterable<Message>) {
      values.push(message.value.toString())
      if (values.length === count) break
    }
    return values
  } finally {
    await consumer.close(true)
  }
}

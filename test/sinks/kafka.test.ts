import { Consumer, type Message } from '@platformatic/kafka'
import fc from 'fast-check'
import { Partitioners } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaSinkOptions, kafkaSink } from '../../src/sinks/kafka.ts'
import type { SinkSession } from '../../src/sinks/sink.ts'
import { testSink } from '../../src/testing/sink.ts'
import { describeWith } from '../servers/need.ts'
import { openTunnel, type Tunnel } from '../servers/tunnel.ts'
import { openSession, writeAndGather, writeRows } from './kafka/framed.ts'
import { type ReadRecord, topicsOf } from './kafka/topics.ts'

await describeWith('kafka', 'kafkaSink', ({ brokers, door }) => {
  const topics = topicsOf(brokers)
  let tunnel: Tunnel
  beforeAll(async () => {
    if (door) tunnel = await openTunnel(`127.0.0.1:${door.behind}`, door.via)
  })
  afterAll(() => tunnel?.close())

  async function withSession<T>(
    options: Partial<KafkaSinkOptions> & { readonly topic: string },
    use: (session: SinkSession) => Promise<T>,
  ): Promise<T> {
    const session = await openSession(kafkaSink({ name: 'orders', brokers, ...options }))
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
        const options = { topic, key: 'key', createTopic: { partitions: 4, replicas: 1 } }
        return Object.assign(kafkaSink({ name: 'test', brokers: door ? [tunnel.address] : brokers, ...options }), {
          topic,
        })
      },
      ordered: true,
      read: async ({ topic }) => (await topics.read(topic)).map(({ value }) => value),
      faults: {
        ...(door ? { stall: () => tunnel.stall(), interrupt: () => tunnel.cut() } : {}),
        async turnAway({ topic }) {
          await topics.setConfig(topic, 'min.insync.replicas', '2')
          return () => topics.setConfig(topic, 'min.insync.replicas', '1')
        },
        // a broker reads no values; but where it compacts, it takes no record without a key
        refuse: async ({ topic }) => void (await topics.create({ topic, config: { 'cleanup.policy': 'compact' } })),
        async oversize({ topic }) {
          await topics.create({ topic, config: { 'max.message.bytes': '20000' } })
          return 20_000
        },
        // a topic that is missing is created here: test/sinks/kafka-open.test.ts has what is told at open
      },
    })
    test.each(tests)('$name', ({ run }) => run())
  })

  test('rows and keys arrive as they were, and the proof says where', async () => {
    const topic = await topics.create()
    const rows = ['{"id":1}', '{"id":2,"text":"ünïcode 👍"}', '{"id":3}', '{}']
    const key = ['ann', 'böb', null, '']

    const proof = await withSession({ topic, key: 'customer' }, session => writeRows(session, { rows, key }))

    const records = await topics.read(topic)
    expect(byValue(records, ({ key }) => key)).toEqual(Object.fromEntries(rows.map((row, index) => [row, key[index]])))
    expect(records.every(({ headers }) => Object.keys(headers).length === 0)).toBe(true)
    expect(proof.toSorted((a, b) => a.partition! - b.partition!)).toEqual(offsetRanges(records))
  })

  test('the session says how to frame, and takes no larger batches than the topic', async () => {
    const topic = await topics.create({ partitions: 3, config: { 'max.message.bytes': '2000' } })
    const options = {
      topic,
      key: 'customer',
      headers: { origin: 'backfill' },
      lingerMs: 7,
      compression: 'zstd',
    } as const
    await withSession(options, async ({ encoding, limits, retries }) => {
      expect(encoding).toEqual({
        kind: 'kafka-batch',
        partitions: 3,
        key: 'customer',
        timestamp: 'now',
        headers: { origin: 'backfill' },
        compression: 'zstd',
        maxBatchBytes: 2_000,
      })
      expect(limits).toEqual({ inFlight: 15, inFlightPerPartition: 5, batchBytes: 2_000, lingerMs: 7 })
      expect(retries).toBe('own')
    })
    await withSession({ topic, idempotent: false, batchBytes: 1_000 }, async ({ limits }) => {
      expect(limits).toMatchObject({ inFlight: 3, inFlightPerPartition: 1, batchBytes: 1_000 })
    })
  })

  test('a key lands in the partition where a Java producer would put it', async () => {
    const topic = await topics.create({ partitions: 7 })
    const key = fc.sample(fc.string({ unit: 'binary', minLength: 0, maxLength: 30 }), { numRuns: 300, seed: 1 })
    const rows = key.map((_, id) => JSON.stringify({ id }))

    await withSession({ topic, key: 'customer' }, session => writeRows(session, { rows, key }))

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
    const rows = manyRows(18)

    const proof = await withSession({ topic }, session => writeRows(session, { rows, batchRows: 3 }))

    expect(proof.map(({ partition }) => partition)).toEqual([0, 1, 2, 0, 1, 2])
    expect((await topics.read(topic)).map(({ key }) => key)).toEqual(Array(18).fill(null))
  })

  test('records carry the fixed headers and the time of the chosen column', async () => {
    // the default retention would delete records of 2001 before they can be read
    const topic = await topics.create({ partitions: 1, config: { 'retention.ms': '-1' } })
    const at = [
      '2001-01-01T00:00:00Z',
      '2026-03-01T12:34:56.789123456Z',
      '1970-01-01T00:00:00Z',
      null,
      '2026-03-20T00:00:00Z',
    ]
    const rows = at.map((_, id) => JSON.stringify({ id }))
    const before = Date.now()

    await withSession({ topic, timestamp: { column: 'at' }, headers: { origin: 'backfill', empty: '' } }, session =>
      writeRows(session, { rows, at }),
    )

    const records = await topics.read(topic)
    expect(records.map(({ value }) => value)).toEqual(rows)
    const { timestamp: now } = records[3]!
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now())
    expect(records.map(({ timestamp }) => timestamp)).toEqual([
      978_307_200_000,
      1_772_368_496_789,
      0,
      now,
      1_773_964_800_000,
    ])
    expect(records.map(({ headers }) => headers)).toEqual(Array(5).fill({ origin: 'backfill', empty: '' }))
  })

  test('records without a time of their own carry that of sending', async () => {
    const topic = await topics.create({ partitions: 1 })
    const before = Date.now()
    await withSession({ topic }, session => writeRows(session, { rows: manyRows(3) }))
    for (const { timestamp } of await topics.read(topic)) {
      expect(timestamp).toBeGreaterThanOrEqual(before)
      expect(timestamp).toBeLessThanOrEqual(Date.now())
    }
  })

  test.each(['gzip', 'zstd'] as const)('%s is read by another client', async compression => {
    const topic = await topics.create({ partitions: 1 })
    const rows = manyRows(2_000)
    await withSession({ topic, compression }, session => writeRows(session, { rows }))
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual(rows)
  })

  test.each(['snappy', 'lz4'] as const)(
    '%s is taken by the broker, which unpacks it to check it',
    async compression => {
      const topic = await topics.create({ partitions: 1 })
      const rows = manyRows(2_000)
      await withSession({ topic, compression }, session => writeRows(session, { rows }))
      expect(await readWithOwnClient(brokers, topic, rows.length)).toEqual(rows)
    },
  )

  test('acknowledgements that ask for nothing prove nothing', async () => {
    const topic = await topics.create({ partitions: 1 })
    const write = (options: Partial<KafkaSinkOptions>, row: string) =>
      withSession({ topic, ...options }, session => writeRows(session, { rows: [row] }))

    expect(await write({}, '1')).toEqual([{ partition: 0, first: '0', last: '0' }])
    expect(await write({ idempotent: false }, '2')).toEqual([{ partition: 0, first: '1', last: '1' }])
    expect(await write({ idempotent: false, acks: 1 }, '3')).toEqual([{ partition: 0, first: '2', last: '2' }])
    expect(await write({ idempotent: false, acks: 0 }, '4')).toEqual([])

    await expect.poll(async () => (await topics.read(topic)).map(({ value }) => value)).toEqual(['1', '2', '3', '4'])
  })

  test('a row that the broker finds too large is refused alone', async () => {
    const topic = await topics.create({ partitions: 1 })
    const rows = ['{"small":1}', JSON.stringify('x'.repeat(1_980)), '{"small":2}']

    const { failed, errors } = await withSession({ topic }, async session => {
      await topics.setConfig(topic, 'max.message.bytes', '2000')
      return writeAndGather(session, { rows })
    })

    expect([...failed.keys()]).toEqual([1])
    expect(failed.get(1)).toMatchObject({ code: 'delivery_failed', retryable: false })
    const [error] = errors as [Error]
    expect(error).toMatchObject({ code: 'delivery_failed', retryable: false, rest: 'delivered' })
    const offsets = [0, 1].map(offset => ({ partition: 0, first: `${offset}`, last: `${offset}` }))
    expect(error).toMatchObject({ proof: offsets })
    expect(error.message).toMatch(/ refused 1 of 3 rows: MESSAGE_TOO_LARGE \(.*\): its record batch has 20\d\d bytes$/)
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual([rows[0], rows[2]])
  })

  test.each(['none', 'zstd'] as const)(
    'when the broker refuses a batch without a culprit, the culprits are found and the rest arrives in order (%s)',
    async compression => {
      const topic = await topics.create({ partitions: 3 })
      const random = () => fc.sample(fc.string({ minLength: 6_000, maxLength: 6_000 }), { numRuns: 1 })[0]!
      const rows = manyRows(400).map((row, id) => (id === 7 || id === 311 ? JSON.stringify(random()) : row))
      const key = rows.map((_, id) => `customer ${id % 10}`)

      const { failed } = await withSession({ topic, key: 'customer', compression }, async session => {
        await topics.setConfig(topic, 'max.message.bytes', '3000')
        return writeAndGather(session, { rows, key, batchRows: 50 })
      })

      expect([...failed.keys()].sort()).toEqual([311, 7])
      const records = await topics.read(topic)
      for (const of of new Set(key)) {
        const expected = rows.filter((_, id) => key[id] === of && id !== 7 && id !== 311)
        expect(records.filter(record => record.key === of).map(({ value }) => value)).toEqual(expected)
      }
      expect(records.length).toBe(398)
    },
  )

  test('a compacted topic refuses exactly the rows without a key, which the broker names', async () => {
    const topic = await topics.create({ partitions: 2, config: { 'cleanup.policy': 'compact' } })
    const rows = manyRows(50)
    const key = rows.map((_, id) => (id % 5 === 0 ? null : `customer ${id}`))

    const { failed, errors } = await withSession({ topic, key: 'customer' }, session =>
      writeAndGather(session, { rows, key, batchRows: 8 }),
    )

    expect([...failed.keys()].sort((a, b) => a - b)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40, 45])
    for (const { message } of errors) expect(message).toContain('INVALID_RECORD')
    expect((await topics.read(topic)).length).toBe(40)
  })

  test('a batch that is larger than the topic takes by now is sent in pieces', async () => {
    const topic = await topics.create({ partitions: 1 })
    const rows = manyRows(1_000)
    const proof = await withSession({ topic }, async session => {
      await topics.setConfig(topic, 'max.message.bytes', '10000')
      return writeRows(session, { rows })
    })
    expect(proof.length).toBeGreaterThan(5)
    expect((await topics.read(topic)).map(({ value }) => value)).toEqual(rows)
  })
})

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

import { Admin } from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type KafkaSinkOptions, kafkaSink } from '../../src/sinks/kafka.ts'
import type { SinkSession } from '../../src/sinks/sink.ts'
import { describeWithKafkaJars, type KafkaCluster, startKafkaCluster } from '../servers/kafka-cluster.ts'
import { NEVER, rejection } from './kafka/contexts.ts'
import { batchIn, type Doors, openDoors, type ProducedBatch } from './kafka/doors.ts'
import { type Framed, frame, openSession, writeInOrder } from './kafka/framed.ts'
import { produceAs } from './kafka/impostor.ts'
import { type Leaders, leadersAt } from './kafka/leaders.ts'
import { type ReadRecord, type Topics, topicsOf } from './kafka/topics.ts'

const PARTITIONS = 3
const KEYS = 20

await describeWithKafkaJars('a Kafka session in a cluster of three brokers', jars => {
  let cluster: KafkaCluster
  let topics: Topics
  let leaders: Leaders
  let doors: Doors

  beforeAll(async () => {
    cluster = await startKafkaCluster(jars)
    topics = topicsOf(cluster.brokers)
    leaders = leadersAt(cluster.brokers)
  }, 240_000)
  afterAll(async () => {
    await leaders?.close()
    await cluster?.stop()
  })
  beforeEach(async () => {
    doors = await openDoors(cluster.doors)
  })
  afterEach(() => doors.close())

  function createTopic(partitions = PARTITIONS): Promise<string> {
    return topics.create({ partitions, replicas: 3 })
  }

  /** Comes in through the doors. */
  function open(topic: string, options: Partial<KafkaSinkOptions> = {}): Promise<SinkSession> {
    const brokers = cluster.doors.map(({ via }) => `127.0.0.1:${via}`)
    return openSession(kafkaSink({ name: 'orders', brokers, topic, key: 'customer', ...options }), { order: 'key' })
  }

  /** Keeps writing small batches until `chaos` is over, and some more; answers what was written, by partition and in order. */
  async function writeDuring(session: SinkSession, chaos: () => Promise<void>): Promise<Map<number, string[]>> {
    const written = new Map<number, string[]>()
    let over = false
    const ending = chaos().finally(() => {
      over = true
    })
    ending.catch(() => {}) // it is waited for below
    for (let chunk = 0, more = 3; more > 0; chunk++) {
      if (over) more--
      const rows = Array.from({ length: 600 }, (_, row) => JSON.stringify({ chunk, row }))
      const key = rows.map((_, row) => `${row % KEYS}`)
      const framed = frame(session, { rows, key, chunk, batchRows: 15 })
      note(written, framed, rows)
      await writeInOrder(session, framed)
    }
    await ending
    await session.close()
    return written
  }

  /** Every row once, and in each partition in the order in which it was written: so those of a key are in order too. */
  async function expectExactly(
    topic: string,
    written: ReadonlyMap<number, readonly string[]>,
    apartFrom?: string,
  ): Promise<void> {
    const records = (await topics.read(topic)).filter(({ value }) => value !== apartFrom)
    for (const [partition, rows] of written)
      expect(valuesOf(records, partition), `partition ${partition}`).toEqual(rows)
    expect(records.length).toBe([...written.values()].flat().length)
  }

  test('leaders that move cost no row, send none twice, and keep the order', async () => {
    const topic = await createTopic()
    const before = await Promise.all([0, 1, 2].map(partition => leaders.of(topic, partition)))
    const goesTo = (partition: number) =>
      doors.produced.findLast(passing => batchIn(passing).partition === partition)?.broker
    const written = await writeDuring(await open(topic), async () => {
      for (let round = 1; round <= 3; round++) {
        const now = before.map(leader => ((leader + round - 1) % 3) + 1)
        for (const partition of [0, 1, 2]) await leaders.move(topic, partition, now[partition]!)
        // before they move on: each partition's batches go to the leader that it has now
        for (const partition of [0, 1, 2])
          await expect.poll(() => goesTo(partition), { timeout: 90_000 }).toBe(now[partition])
      }
    })
    await expectExactly(topic, written)
  }, 180_000)

  test('a broker that is killed and comes back costs no row, and none is there twice', async () => {
    const topic = await createTopic()
    await leaders.move(topic, 0, 2)
    const written = await writeDuring(await open(topic), async () => {
      await cluster.kill(2)
      await expect.poll(() => leaders.of(topic, 0), { timeout: 30_000 }).not.toBe(2)
      await cluster.start(2)
    })
    await expectExactly(topic, written)
  })

  test('a broker that is shut down and started again costs no row, and none is there twice', async () => {
    const topic = await createTopic()
    await leaders.move(topic, 0, 3)
    const written = await writeDuring(await open(topic), async () => {
      await cluster.shutDown(3)
      await cluster.start(3)
    })
    await expectExactly(topic, written)
  })

  test('connections that break, and answers that are lost, cost no row and send none twice', async () => {
    const topic = await createTopic()
    let lost = 0
    doors.judge = ({ number }) => (number % 23 === 11 && lost++ < 15 ? 'lose answer' : 'pass')
    const written = await writeDuring(await open(topic), async () => {
      for (let cut = 0; cut < 15; cut++) {
        const { length } = doors.produced
        await expect.poll(() => doors.produced.length, { timeout: 30_000 }).toBeGreaterThan(length + 10)
        doors.cut()
      }
    })
    expect(lost).toBeGreaterThan(3)
    await expectExactly(topic, written)
  })

  test('a request that never arrives leaves the others out of order until it is sent again', async () => {
    const topic = await createTopic(1)
    // an answer is waited for half as long
    const session = await open(topic, { deadlineMs: 6_000 })
    const { written, framed } = rowsFor(session, 10)
    let dropped = false
    doors.judge = ({ number }) => {
      if (number !== 3) return 'pass'
      dropped = true
      return 'drop'
    }
    await writeInOrder(session, framed)
    await session.close()
    expect(dropped).toBe(true)
    // the one that was lost, and those behind it in flight
    expect(doors.produced.length).toBeGreaterThan(12)
    await expectExactly(topic, written)
  })

  test('a write that is given up takes no other with it', async () => {
    const topic = await createTopic(1)
    const session = await open(topic, { deadlineMs: 6_000 })
    const { written, framed } = rowsFor(session, 8)
    const controller = new AbortController()
    doors.judge = ({ number }) => {
      if (number !== 3) return 'pass'
      controller.abort(new Error('given up'))
      return 'drop'
    }
    const writes = framed.map(({ batch }, index) => session.write(batch, index === 3 ? controller.signal : NEVER))
    const outcomes = await Promise.allSettled(writes)
    await session.close()
    expect(outcomes.map(({ status }) => status)).toEqual(
      framed.map((_, index) => (index === 3 ? 'rejected' : 'fulfilled')),
    )
    const rows = written.get(0)!
    await expectExactly(topic, new Map([[0, [...rows.slice(0, 30), ...rows.slice(40)]]]))
  })

  test('another that uses up its sequence numbers costs no row: a new epoch begins', async () => {
    const topic = await createTopic(1)
    const session = await open(topic)
    const { written, framed } = rowsFor(session, 12)
    await writeInOrder(session, framed.slice(0, 4))
    const own = batchIn(doors.produced[3]!)
    await impersonate(session, topic, { ...own, sequence: own.sequence + own.records })
    await writeInOrder(session, framed.slice(4))
    await session.close()
    expect(batchIn(doors.produced.at(-1)!)).toMatchObject({ producerId: own.producerId, epoch: own.epoch + 1 })
    await expectExactly(topic, written, STOLEN)
  })

  test('a producer id that another has moved on is given up for a new one', async () => {
    const topic = await createTopic(1)
    const session = await open(topic)
    const { written, framed } = rowsFor(session, 12)
    await writeInOrder(session, framed.slice(0, 4))
    const own = batchIn(doors.produced[3]!)
    await impersonate(session, topic, { ...own, epoch: own.epoch + 5, sequence: 0 })
    await writeInOrder(session, framed.slice(4))
    await session.close()
    expect(batchIn(doors.produced.at(-1)!).producerId).not.toBe(own.producerId)
    await expectExactly(topic, written, STOLEN)
  })

  test('a client that is throttled waits for as long as the broker says, and loses nothing', async () => {
    const topic = await createTopic(1)
    const clientId = `throttled-${topic}`
    const admin = new Admin({ clientId: 'millrace-tests', bootstrapBrokers: [...cluster.brokers] })
    const entities = [{ entityType: 'client-id', entityName: clientId }] as const
    const ops = [{ key: 'producer_byte_rate', value: 30_000, remove: false }] as const
    await admin.alterClientQuotas({ entries: [{ entities: [...entities], ops: [...ops] }] })
    await admin.close()
    const session = await open(topic, { clientId })
    // 200 kB, of which the first 90 or so pass: the broker looks at the last three seconds
    const { written, framed } = rowsFor(session, 20, 'x'.repeat(1_000))

    await writeInOrder(session, framed)

    await session.close()
    expect(doors.throttles.filter(ms => ms > 0).length).toBeGreaterThan(2)
    expect(doors.impatient).toBe(0)
    expect(doors.produced.length).toBe(framed.length)
    await expectExactly(topic, written)
  })

  test('replicas that stay away are an error at the deadline, and nothing is sent after it', async () => {
    const topic = await topics.create({ partitions: 1, replicas: 3, config: { 'min.insync.replicas': '3' } })
    const session = await open(topic, { deadlineMs: 8_000 })
    const { framed } = rowsFor(session, 8)
    await writeInOrder(session, framed.slice(0, 2))
    await leaders.move(topic, 0, 1)
    await cluster.kill(3)
    try {
      const errors = await Promise.all(framed.slice(2).map(({ batch }) => rejection(session.write(batch, NEVER))))
      expect(new Set(errors).size).toBe(1)
      expect(errors[0]).toMatchObject({ code: 'destination_unavailable', retryable: true })
      expect(errors[0]!.message).toMatch(
        / did not take a batch within 8 s \(deadlineMs\): (NOT_ENOUGH_REPLICAS|REQUEST_TIMED_OUT)/,
      )
      const { length } = doors.produced
      expect(await rejection(session.write(framed[7]!.batch, NEVER))).toBe(errors[0])
      expect(doors.produced.length).toBe(length)
      await session.close()
    } finally {
      await cluster.start(3)
    }
  })

  /** Seven rows of somebody else's in the topic. */
  async function impersonate(session: SinkSession, topic: string, stamp: Stolen): Promise<void> {
    const rows = Array.from({ length: 7 }, () => STOLEN)
    const [{ batch }] = frame(session, { rows }) as [Framed]
    const broker = cluster.brokers[(await leaders.of(topic, 0)) - 1]!
    const { producerId, epoch, sequence } = stamp
    const { partition } = await produceAs({ broker, topic, recordBatch: batch.bytes, producerId, epoch, sequence })
    expect(partition.errorCode).toBe(0)
  }
})

type Stolen = Pick<ProducedBatch, 'producerId' | 'epoch' | 'sequence'>
const STOLEN = '"not one of ours"'

/** So many batches of ten rows for one partition. */
function rowsFor(
  session: SinkSession,
  batches: number,
  text = '',
): { written: Map<number, string[]>; framed: Framed[] } {
  const rows = Array.from({ length: batches * 10 }, (_, row) => JSON.stringify({ row, text }))
  const framed = frame(session, { rows, batchRows: 10 })
  return { written: new Map([[0, rows]]), framed }
}

function note(written: Map<number, string[]>, framed: readonly Framed[], rows: readonly string[]): void {
  for (const { batch, positions } of framed) {
    const of = written.get(batch.partition!) ?? []
    written.set(batch.partition!, of)
    of.push(...positions.map(position => rows[position]!))
  }
}

function valuesOf(records: readonly ReadRecord[], partition: number): string[] {
  return records.filter(record => record.partition === partition).map(({ value }) => value)
}

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Connection, Producer } from '@platformatic/kafka'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CancelledError } from '../../src/core/errors.ts'
import { readOptions } from '../../src/sinks/kafka/options.ts'
import { kafkaSession } from '../../src/sinks/kafka/session.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import type { Order, SinkSession } from '../../src/sinks/sink.ts'
import { describeWith } from '../servers/need.ts'
import { batchOf } from './batches.ts'
import { contextOf, NEVER, rejection } from './kafka/contexts.ts'
import { closedPort, silentServer } from './kafka/listeners.ts'
import { topicsOf } from './kafka/topics.ts'

/** A session whose broker went away after it was opened. */
function lostSession(broker: string, options: { deadlineMs?: number } = {}): SinkSession {
  const settings = readOptions({ name: 'orders', topic: 'orders', brokers: [broker], ...options })
  const topic = { partitions: 3, maxBatchBytes: undefined }
  return kafkaSession(Producer, settings, { topic, ordered: false, signal: NEVER })
}

describe('a write to a broker that is gone', () => {
  test('fails at the deadline, with address and cause, and ends the session', async () => {
    const address = await closedPort()
    const session = lostSession(address, { deadlineMs: 800 })
    const started = performance.now()
    const error = await rejection(session.write(batchOf(['{"a":1}']), NEVER))
    expect(performance.now() - started).toBeGreaterThanOrEqual(790)
    expect(error).toMatchObject({ code: 'destination_unavailable', retryable: true, failed: undefined })
    expect(error.message).toBe(
      `Kafka topic "orders" at ${address} did not take a batch within 0.8 s (deadlineMs): ` +
        `Connection to ${address} failed: connect ECONNREFUSED ${address}`,
    )
    expect(await rejection(session.write(batchOf(['{"a":2}']), NEVER))).toBe(error)
    await session.close()
  })

  test('fails at the deadline where something accepts and never answers', async () => {
    const address = await silentServer()
    const session = lostSession(address, { deadlineMs: 500 })
    const error = await rejection(session.write(batchOf(['{"a":1}']), NEVER))
    expect(error).toMatchObject({ code: 'destination_unavailable' })
    expect(error.message).toMatch(new RegExp(`at ${address}.*(no broker answered|Request timed out)`))
    await session.close()
  })

  test('is given up at once when its signal aborts, and the session can be closed', async () => {
    const session = lostSession(await silentServer())
    const controller = new AbortController()
    const writing = rejection(session.write(batchOf(['{"a":1}']), controller.signal))
    const reason = new Error('the job was cancelled')
    controller.abort(reason)
    expect(await writing).toBe(reason)
    await session.close()
  })

  test('ends with the session, also while more wait than are sent at once', async () => {
    const session = lostSession(await silentServer())
    const writing = Array.from({ length: 9 }, (_, id) => rejection(session.write(batchOf([`${id}`]), NEVER)))
    await session.close()
    for (const error of await Promise.all(writing)) expect(error).toBeInstanceOf(CancelledError)
  })
})

/** Cuts the client's connections again and again while `work` runs; answers how many it cut. */
async function cutting(work: () => Promise<unknown>): Promise<number> {
  const connections = new Set<Connection>()
  const onInstance = (message: unknown): void => {
    const { type, instance } = message as { type: string; instance: Connection }
    if (type === 'connection') connections.add(instance)
  }
  subscribe('plt:kafka:instances', onInstance)
  onTestFinished(() => void unsubscribe('plt:kafka:instances', onInstance))
  let cut = 0
  const timer = setInterval(() => {
    for (const connection of connections) {
      if (!connection.isConnected()) continue
      connection.socket.destroy()
      connections.delete(connection)
      cut++
    }
  }, 40)
  await work().finally(() => clearInterval(timer))
  return cut
}

await describeWith('kafka', 'a Kafka session under faults', ({ brokers }) => {
  const topics = topicsOf(brokers)
  const KEYS = 5
  const UNITS = 2
  const BATCHES = 60
  const ROWS = 50

  function open(topic: string, order: Order): Promise<SinkSession> {
    return kafkaSink({ name: 'orders', brokers, topic, key: 'customer' }).open(contextOf({ order }))
  }

  /** Writes as the engine does: batches in order, as many at once as the session allows. */
  async function writeUnit(session: SinkSession, unit: number): Promise<void> {
    let next = 0
    const writer = async () => {
      while (next < BATCHES) {
        const first = next++ * ROWS
        const rows = Array.from({ length: ROWS }, (_, index) => JSON.stringify({ unit, row: first + index }))
        const customer = rows.map((_, index) => `${unit}/${(first + index) % KEYS}`)
        await session.write(batchOf(rows, { columns: { customer } }), NEVER)
      }
    }
    await Promise.all(Array.from({ length: session.limits!.inFlight! }, writer))
  }

  async function deliverWithCuts(order: Order) {
    const topic = await topics.create({ partitions: 3 })
    const session = await open(topic, order)
    const cut = await cutting(() => Promise.all(Array.from({ length: UNITS }, (_, unit) => writeUnit(session, unit))))
    await session.close()
    expect(cut).toBeGreaterThan(5)
    const records = await topics.read(topic)
    return records.map(({ key, value }) => ({ key: key!, ...(JSON.parse(value) as { unit: number; row: number }) }))
  }

  const expected = Array.from({ length: UNITS }, (_, unit) =>
    Array.from({ length: BATCHES * ROWS }, (_, row) => `${unit}/${row}`),
  ).flat()

  test('connections that break cost no row and send none twice, however many writes are in flight', async () => {
    const records = await deliverWithCuts('none')
    expect(records.map(({ unit, row }) => `${unit}/${row}`).sort()).toEqual(expected.toSorted())
  })

  test('where order counts, the rows of a key also stay in order', async () => {
    const records = await deliverWithCuts('key')
    expect(records.map(({ unit, row }) => `${unit}/${row}`).sort()).toEqual(expected.toSorted())
    for (const [key, of] of Map.groupBy(records, ({ key }) => key)) {
      const rows = of.map(({ row }) => row)
      expect(rows, `key ${key}`).toEqual(rows.toSorted((a, b) => a - b))
    }
  })

  test('closing while writes are in flight ends them, and nothing arrives that was never sent', async () => {
    const topic = await topics.create()
    const session = await open(topic, 'none')
    const rows = Array.from({ length: 2_000 }, (_, id) => JSON.stringify({ id }))
    const customer = rows.map((_, id) => `${id}`)
    await session.write(batchOf(rows, { columns: { customer } }), NEVER)
    const writing = Array.from({ length: 8 }, () =>
      session.write(batchOf(rows, { columns: { customer } }), NEVER).then(
        () => 'delivered',
        error => error,
      ),
    )
    await session.close()
    const outcomes = await Promise.all(writing)
    const delivered = outcomes.filter(outcome => outcome === 'delivered').length
    for (const outcome of outcomes) if (outcome !== 'delivered') expect(outcome).toBeInstanceOf(CancelledError)

    const records = await topics.read(topic)
    const counts = Map.groupBy(records, ({ value }) => value)
    expect([...counts.keys()].sort()).toEqual(rows.toSorted())
    for (const { length } of counts.values()) {
      expect(length).toBeGreaterThanOrEqual(1 + delivered)
      expect(length).toBeLessThanOrEqual(9)
    }
  })
})

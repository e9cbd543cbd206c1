import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import * as kafka from '@platformatic/kafka'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CancelledError } from '../../src/core/errors.ts'
import { Cluster } from '../../src/sinks/kafka/cluster.ts'
import { readOptions } from '../../src/sinks/kafka/options.ts'
import { kafkaSession } from '../../src/sinks/kafka/session.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import type { Order, SinkSession } from '../../src/sinks/sink.ts'
import { describeWith } from '../servers/need.ts'
import { contextOf, rejection } from './kafka/contexts.ts'
import { frame, openSession, writeInOrder, writeRows } from './kafka/framed.ts'
import { closedPort, silentServer } from './kafka/listeners.ts'
import { topicsOf } from './kafka/topics.ts'

/** A session whose broker went away before anything was sent. */
function lostSession(broker: string, options: { deadlineMs?: number } = {}): SinkSession {
  const settings = readOptions({ name: 'orders', topic: 'orders', brokers: [broker], ...options })
  const cluster = new Cluster(kafka, settings, () => {})
  const topic = { partitions: 3, maxBatchBytes: undefined }
  return kafkaSession(settings, contextOf(), { kafka, cluster, topic, producer: { id: 1n, epoch: 0 } })
}

describe('a write to a broker that is gone', () => {
  test('fails at the deadline, with address and cause, and ends the session', async () => {
    const address = await closedPort()
    const session = lostSession(address, { deadlineMs: 800 })
    const started = performance.now()
    const error = await rejection(writeRows(session, { rows: ['{"a":1}'] }))
    expect(performance.now() - started).toBeGreaterThanOrEqual(790)
    expect(error).toMatchObject({ code: 'destination_unavailable', retryable: true, failed: undefined })
    expect(error.message).toBe(
      `Kafka topic "orders" at ${address} did not take a batch within 0.8 s (deadlineMs): ` +
        `Connection to ${address} failed: connect ECONNREFUSED ${address}`,
    )
    expect(await rejection(writeRows(session, { rows: ['{"a":2}'] }))).toBe(error)
    await session.close()
  })

  test('fails at the deadline where something accepts and never answers', async () => {
    const address = await silentServer()
    const session = lostSession(address, { deadlineMs: 500 })
    const error = await rejection(writeRows(session, { rows: ['{"a":1}'] }))
    expect(error).toMatchObject({ code: 'destination_unavailable' })
    expect(error.message).toMatch(new RegExp(`at ${address}.*(no broker answered|Request timed out)`))
    await session.close()
  })

  test('is given up at once when its signal aborts, and the session can be closed', async () => {
    const session = lostSession(await silentServer())
    const controller = new AbortController()
    const writing = rejection(writeRows(session, { rows: ['{"a":1}'] }, controller.signal))
    const reason = new Error('the job was cancelled')
    controller.abort(reason)
    expect(await writing).toBe(reason)
    await session.close()
  })

  test('ends with the session, also while more wait than are sent at once', async () => {
    const session = lostSession(await silentServer())
    const writing = Array.from({ length: 9 }, (_, id) => rejection(writeRows(session, { rows: [`${id}`] })))
    await session.close()
    for (const error of await Promise.all(writing)) expect(error).toBeInstanceOf(CancelledError)
  })
})

/** Cuts the client's connections again and again while `work` runs; answers how many it cut. */
async function cutting(work: () => Promise<unknown>): Promise<number> {
  const connections = new Set<kafka.Connection>()
  const onInstance = (message: unknown): void => {
    const { type, instance } = message as { type: string; instance: kafka.Connection }
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
    return openSession(kafkaSink({ name: 'orders', brokers, topic, key: 'customer' }), { order })
  }

  /** Many small batches, as many at once as the engine would write. */
  async function writeUnit(session: SinkSession, unit: number): Promise<void> {
    const rows = Array.from({ length: BATCHES * ROWS }, (_, row) => JSON.stringify({ unit, row }))
    const key = rows.map((_, row) => `${unit}/${row % KEYS}`)
    await writeInOrder(session, frame(session, { rows, key, batchRows: ROWS }))
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
    const key = rows.map((_, id) => `${id}`)
    await writeRows(session, { rows, key })
    const writing = Array.from({ length: 8 }, () =>
      writeRows(session, { rows, key }).then(
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

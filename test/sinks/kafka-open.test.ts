import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import type { Connection } from '@platformatic/kafka'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/core/json.ts'
import { type KafkaSinkOptions, kafkaSink } from '../../src/sinks/kafka.ts'
import type { SinkContext } from '../../src/sinks/sink.ts'
import { describeWith } from '../servers/need.ts'
import { run } from '../servers/process.ts'
import { contextOf, rejection, SCHEMA } from './kafka/contexts.ts'
import { openSession, writeRows } from './kafka/framed.ts'
import { closedPort, refusingServer, silentServer } from './kafka/listeners.ts'
import { topicsOf } from './kafka/topics.ts'

const SINK: KafkaSinkOptions = { name: 'orders', brokers: ['127.0.0.1:1'], topic: 'orders' }

test('a column that the table lacks, or of the wrong type, is reported before any broker is asked', async () => {
  const sink = kafkaSink({ ...SINK, key: 'client', timestamp: { column: 'id' } })
  const error = await rejection(sink.open(contextOf({ probe: true })))
  expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
  expect(error.message).toBe(
    'table "shop.orders" does not fit the Kafka sink: it has no column "client" for the record key; ' +
      'its column "id" is BIGINT, and the record timestamp needs a timestamp. Its columns are id, customer, at',
  )
})

test('without its driver the sink says how to install it', async () => {
  // a process of its own, in which the package cannot be found
  const program = `
    import { registerHooks } from 'node:module'
    registerHooks({ resolve(specifier, context, next) {
      if (specifier !== '@platformatic/kafka') return next(specifier, context)
      throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: 'ERR_MODULE_NOT_FOUND' })
    } })
    const { kafkaSink } = await import(${JSON.stringify(new URL('../../src/sinks/kafka.ts', import.meta.url).href)})
    const context = { schema: ${JSON.stringify(SCHEMA)}, probe: true, signal: new AbortController().signal }
    await kafkaSink(${JSON.stringify(SINK)}).open(context).catch(({ code, message }) => console.log(code, message))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program])
  expect(stdout.trim()).toBe(
    'missing_driver @platformatic/kafka is not installed: run "npm install @platformatic/kafka"',
  )
})

describe('a broker that cannot be reached', () => {
  test('fails a probe at once, with address and cause', async () => {
    const address = await closedPort()
    const started = performance.now()
    const error = await rejection(kafkaSink({ ...SINK, brokers: [address] }).open(contextOf({ probe: true })))
    expect(error).toMatchObject({ code: 'destination_unavailable', retryable: true })
    expect(error.message).toBe(
      `Kafka topic "orders" at ${address}: Connection to ${address} failed: connect ECONNREFUSED ${address}`,
    )
    expect(performance.now() - started).toBeLessThan(30_000)
  })

  test('fails the opening of a session at the deadline', async () => {
    const address = await closedPort()
    const started = performance.now()
    const error = await rejection(kafkaSink({ ...SINK, brokers: [address], deadlineMs: 700 }).open(contextOf()))
    expect(performance.now() - started).toBeGreaterThanOrEqual(690)
    expect(error).toMatchObject({ code: 'destination_unavailable', retryable: true })
    expect(error.message).toBe(
      `Kafka topic "orders" at ${address} could not be opened within 0.7 s (deadlineMs): ` +
        `Connection to ${address} failed: connect ECONNREFUSED ${address}`,
    )
  })

  test.each([true, false])('that accepts and never answers fails at the deadline too (probe: %s)', async probe => {
    const address = await silentServer()
    const error = await rejection(
      kafkaSink({ ...SINK, brokers: [address], deadlineMs: 700 }).open(contextOf({ probe })),
    )
    expect(error).toMatchObject({ code: 'destination_unavailable' })
    expect(error.message).toMatch(new RegExp(`at ${address}.*(no broker answered|Request timed out)`))
  })

  test('that refuses a login and resets the connection does not take the process with it', async () => {
    const address = await refusingServer()
    const reset = resetAfterError()
    const sasl = { mechanism: 'PLAIN', username: 'me', password: 'hunter2' } as const
    const error = await rejection(kafkaSink({ ...SINK, brokers: [address], sasl }).open(contextOf({ probe: true })))
    expect(error).toMatchObject({ code: 'destination_misconfigured' })
    // by now the client no longer listens: an unhandled error would fail this run
    await reset
  })

  test('is given up when the session has to end in a hurry', async () => {
    const address = await silentServer()
    const controller = new AbortController()
    const opening = kafkaSink({ ...SINK, brokers: [address] }).open(contextOf({ signal: controller.signal }))
    controller.abort(new Error('in a hurry'))
    await expect(opening).rejects.toThrow('in a hurry')
  })
})

/** Resets the client's next connection when it has reported its first error; resolves when it is closed. */
function resetAfterError(): Promise<void> {
  return new Promise(resolve => {
    const onInstance = (message: unknown): void => {
      const { type, instance } = message as { type: string; instance: Connection }
      if (type !== 'connection') return
      unsubscribe('plt:kafka:instances', onInstance)
      instance.once('error', () => void instance.socket.destroy(new Error('read ECONNRESET')))
      instance.once('close', resolve)
    }
    subscribe('plt:kafka:instances', onInstance)
  })
}

await describeWith('kafka', 'opening a Kafka sink', ({ brokers, secure }) => {
  const topics = topicsOf(brokers)

  function open(options: Partial<KafkaSinkOptions>, context: Partial<SinkContext> = {}) {
    return kafkaSink({ ...SINK, brokers, ...options }).open(contextOf(context))
  }

  test('a topic that is missing is an error, and stays missing though the cluster creates topics on demand', async () => {
    const topic = topics.newName()
    for (const probe of [true, false]) {
      const error = await rejection(open({ topic }, { probe }))
      expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
      expect(error.message).toBe(
        `Kafka topic "${topic}" at ${brokers} does not exist: create it, or let createTopic say how it is to be created`,
      )
    }
    expect(await topics.exists(topic)).toBe(false)
  })

  test('a topic is created as asked, by the session and not by the probe', async () => {
    const topic = topics.newName()
    const createTopic = { partitions: 3, replicas: 1, config: { 'retention.ms': '-1' } }

    await (await open({ topic, createTopic }, { probe: true })).close()
    expect(await topics.exists(topic)).toBe(false)

    const sessions = await Promise.all([open({ topic, createTopic }), open({ topic, createTopic })])
    for (const session of sessions) await session.close()
    expect(await topics.partitions(topic)).toBe(3)
    expect(await topics.config(topic, 'retention.ms')).toBe('-1')
  })

  test('a topic that cannot be created as asked is a matter of the set-up', async () => {
    const topic = topics.newName()
    const error = await rejection(open({ topic, createTopic: { partitions: 1, replicas: 30 } }))
    expect(error).toMatchObject({ code: 'destination_misconfigured' })
    expect(error.message).toContain('INVALID_REPLICATION_FACTOR')
  })

  test('a compacted topic needs a key', async () => {
    const topic = await topics.create({ config: { 'cleanup.policy': 'compact' } })
    const error = await rejection(open({ topic }, { probe: true }))
    expect(error).toMatchObject({ code: 'destination_misconfigured' })
    expect(error.message).toContain('is compacted and takes no record without a key')
    await (await open({ topic, key: 'customer' }, { probe: true })).close()
  })

  test('keys keep their partitions for as long as the job lives, also when the topic gets more', async () => {
    const topic = await topics.create({ partitions: 2 })
    let saved: Json | undefined
    const sink = kafkaSink({ ...SINK, brokers, topic, key: 'customer' })
    const key = Array.from({ length: 50 }, (_, id) => `customer ${id}`)
    const rows = key.map((_, id) => `${id}`)
    const deliver = async () => {
      const session = await openSession(sink, {
        saved,
        save: async state => {
          saved = state
        },
      })
      await writeRows(session, { rows, key })
      await session.close()
    }

    await deliver()
    await topics.addPartitions(topic, 5)
    await deliver()

    const records = await topics.read(topic)
    expect(records.length).toBe(100)
    for (const of of key) {
      expect(new Set(records.filter(record => record.key === of).map(({ partition }) => partition)).size).toBe(1)
    }

    const error = await rejection(sink.open(contextOf({ saved: { partitions: 9 } })))
    expect(error.message).toContain('has 5 partitions and had 9 when the job started')
  })

  test('a login at a broker that asks for none is reported as that, without the password', async () => {
    const topic = await topics.create()
    const sasl = { mechanism: 'PLAIN', username: 'me', password: 'hunter2' } as const
    for (const probe of [true, false]) {
      const error = await rejection(open({ topic, sasl }, { probe }))
      expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
      expect(error.message).toContain(`at ${brokers}: `)
      expect(error.message).toMatch(/SASL/)
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain('hunter2')
    }
  })

  test('TLS at a broker without it is reported as that', async () => {
    const topic = await topics.create()
    const error = await rejection(open({ topic, tls: true }, { probe: true }))
    expect(error.message).toMatch(/TLS|SSL/)
    expect(error).toMatchObject({ code: 'destination_misconfigured' })
  })

  describe.skipIf(secure === null)(
    `with TLS and a password${secure ? '' : ' (this Kafka has no such listener)'}`,
    () => {
      const {
        ca,
        username,
        password,
        brokers: secureBrokers,
      } = secure ?? { ca: '', username: '', password: '', brokers: [] }
      const sasl = { mechanism: 'PLAIN', username, password } as const

      test('rows arrive, with the password from a function that is asked when it is needed', async () => {
        const topic = await topics.create()
        const session = await open({
          brokers: secureBrokers,
          topic,
          tls: { ca },
          sasl: { ...sasl, password: async () => password },
        })
        await writeRows(session, { rows: ['{"a":1}'] })
        expect(inspect(session, { depth: null, showHidden: true })).not.toContain(password)
        await session.close()
        expect((await topics.read(topic)).map(({ value }) => value)).toEqual(['{"a":1}'])
      })

      test('a wrong password is a matter of the set-up, and is not repeated', async () => {
        const topic = await topics.create()
        const wrong = { ...sasl, password: 'hunter2' }
        const error = await rejection(open({ brokers: secureBrokers, topic, tls: { ca }, sasl: wrong }))
        expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
        expect(error.message).toContain('SASL authentication failed')
        expect(inspect(error, { depth: null, showHidden: true })).not.toContain('hunter2')
      })

      test('a certificate that nobody vouches for is a matter of the set-up', async () => {
        const error = await rejection(open({ brokers: secureBrokers, topic: 'any', tls: true, sasl }))
        expect(error).toMatchObject({ code: 'destination_misconfigured' })
        expect(error.message).toMatch(/self-signed certificate/)
        expect(inspect(error, { depth: null, showHidden: true })).not.toContain(password)
      })

      test('no TLS at a broker that wants it does not hang', async () => {
        const error = await rejection(
          open({ brokers: secureBrokers, topic: 'any', deadlineMs: 3_000 }, { probe: true }),
        )
        expect(['destination_misconfigured', 'destination_unavailable']).toContain(error.code)
      })
    },
  )
})

import { DiscardPolicy } from '@nats-io/jetstream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeBatch } from '../../src/core/attempts.ts'
import { type NatsSinkOptions, natsSink } from '../../src/sinks/nats.ts'
import type { MessageBatch, SinkContext, SinkSession } from '../../src/sinks/sink.ts'
import { testSink } from '../../src/testing/sink.ts'
import { describeWith } from '../servers/need.ts'
import { openTunnel } from '../servers/tunnel.ts'
import { contextOf, NEVER, rejection } from './kafka/contexts.ts'
import { batchOf } from './nats/batches.ts'
import { type Streams, streamsOf } from './nats/streams.ts'

await describeWith('nats', 'natsSink', ({ server }) => {
  let streams: Streams
  beforeAll(async () => {
    streams = await streamsOf(server)
  })
  afterAll(() => streams.close())

  type Options = Partial<NatsSinkOptions> & { readonly subject: string }

  const openSink = (options: Options, parts: Partial<SinkContext> = {}): Promise<SinkSession> =>
    natsSink({ name: 'orders', servers: server, ...options }).open(contextOf(parts))

  async function withSession<T>(
    options: Options,
    use: (session: SinkSession) => Promise<T>,
    parts: Partial<SinkContext> = {},
  ): Promise<T> {
    const session = await openSink(options, parts)
    try {
      return await use(session)
    } finally {
      await session.close()
    }
  }

  /** As the engine writes it, with its retries. */
  const deliver = (session: SinkSession, batch: MessageBatch) =>
    writeBatch(session, batch, {
      encoding: { kind: 'rows' },
      deliveryDeadlineMs: 30_000,
      maxAttempts: 100,
      signal: NEVER,
    })

  describe('keeps the contract of sinks', () => {
    const tests = testSink({
      create: async () => {
        const stream = await streams.create()
        const tunnel = await openTunnel(server)
        const sink = natsSink({ name: 'test', servers: tunnel.address, subject: `${stream}.rows` })
        return Object.assign(sink, { stream, tunnel })
      },
      ordered: true,
      read: async ({ stream }) => (await streams.read(stream)).map(({ value }) => value),
      dispose: async ({ stream, tunnel }) => {
        await tunnel.close()
        await streams.manager.streams.delete(stream).catch(() => {}) // it may be gone
      },
      faults: {
        stall: ({ tunnel }) => tunnel.stall(),
        interrupt: ({ tunnel }) => tunnel.cut(),
        async turnAway({ stream }) {
          await streams.manager.streams.update(stream, { max_msgs: 130, discard: DiscardPolicy.New })
          return async () => void (await streams.manager.streams.update(stream, { max_msgs: -1 }))
        },
        // the server judges no message by its content: none is refused but for its size
        async oversize({ stream }) {
          await streams.manager.streams.update(stream, { max_msg_size: 10_000 })
          return 10_000
        },
        forbid: async ({ stream }) => void (await streams.manager.streams.delete(stream)),
      },
    })
    test.each(tests)('$name', ({ run }) => run())
  })

  test('rows, names, headers and subjects arrive as they were, and the proof says where', async () => {
    const stream = await streams.create()
    const rows = ['{"id":1}', '{"id":2,"text":"ünïcode 👍"}', '{}']
    const customer = ['ann', 'bö-b', '42']

    const proof = await withSession(
      { subject: `${stream}.{customer}.c-{customer}`, headers: { origin: 'backfill' } },
      session => session.write(batchOf({ rows, customer }), NEVER),
    )

    expect(await streams.read(stream)).toEqual(
      rows.map((value, row) => ({
        sequence: row + 1,
        subject: `${stream}.${customer[row]}.c-${customer[row]}`,
        value,
        headers: { origin: 'backfill', 'Nats-Msg-Id': `job-0-${row}` },
      })),
    )
    expect(proof).toEqual([{ partition: 0, first: '1', last: '3' }])
  })

  test('the proof leaves out what others publish in between', async () => {
    const stream = await streams.create()
    const proof = await withSession({ subject: `${stream}.rows` }, async session => {
      const first = await session.write(batchOf({ rows: ['{"id":1}', '{"id":2}'] }), NEVER)
      streams.connection.publish(`${stream}.other`, 'another')
      await streams.connection.flush()
      const ids = ['job-0-0', 'job-0-2', 'job-0-3']
      return [first, await session.write(batchOf({ rows: ['{"id":1}', '{"id":3}', '{"id":4}'], ids }), NEVER)]
    })
    // of the second batch the first row was there already
    expect(proof).toEqual([
      [{ partition: 0, first: '1', last: '2' }],
      [
        { partition: 0, first: '1', last: '1' },
        { partition: 0, first: '4', last: '5' },
      ],
    ])
    expect((await streams.read(stream)).map(({ value }) => value)).toEqual([
      '{"id":1}',
      '{"id":2}',
      'another',
      '{"id":3}',
      '{"id":4}',
    ])
  })

  const UNFIT = [null, '', 'a b', 'a.b', '*', '>', 'a\u0000b', 'tab\t', 'line\u2028', 'x'.repeat(3_000)]

  test('a row whose value cannot stand in the subject is refused for good, alone, and without its value', async () => {
    const stream = await streams.create()
    const customer = ['ann', ...UNFIT, 'bob']
    const rows = customer.map((_, id) => `{"id":${id}}`)

    const error = await withSession({ subject: `${stream}.{customer}` }, session =>
      rejection(session.write(batchOf({ rows, customer }), NEVER)),
    )

    expect(error).toMatchObject({ rest: 'delivered', proof: [{ partition: 0, first: '1', last: '2' }] })
    const causes = UNFIT.map((_, index) => error.failed?.get(index + 1) as Error & { retryable: boolean })
    expect(error.failed?.size).toBe(UNFIT.length)
    expect(causes.every(({ retryable }) => !retryable)).toBe(true)
    const unfit = 'column "customer" holds white space, a control character, ".", "*" or ">", and stands in the subject'
    expect(causes.map(({ message }) => message.replace(` ${stream}.{customer}`, ''))).toEqual([
      'column "customer" is NULL, and stands in the subject',
      'column "customer" is empty, and stands in the subject',
      ...Array(7).fill(unfit),
      'the subject would be longer than 2048 bytes',
    ])
    expect((await streams.read(stream)).map(({ subject }) => subject)).toEqual([`${stream}.ann`, `${stream}.bob`])
  })

  test('values are escaped on demand, so that each stays in its token and can be read back', async () => {
    const stream = await streams.create()
    const customer = ['a.b', '*', '>', 'a b\n', '100%', 'line\u2028', 'ünï']
    await withSession({ subject: `${stream}.{customer}`, subjectValues: 'escape' }, session =>
      session.write(batchOf({ rows: customer.map(() => '{}'), customer }), NEVER),
    )
    const tokens = (await streams.read(stream)).map(({ subject }) => subject.slice(stream.length + 1))
    expect(tokens).toEqual(['a%2Eb', '%2A', '%3E', 'a%20b%0A', '100%25', 'line%E2%80%A8', 'ünï'])
    expect(tokens.map(decodeURIComponent)).toEqual(customer)
  })

  test('rows that are too large for the server or the stream are refused for good, alone', async () => {
    const stream = await streams.create({ max_msg_size: 100_000 })
    const rows = ['{"id":1}', 'x'.repeat(200_000), '{"id":3}', 'x'.repeat(streams.connection.info!.max_payload)]
    const error = await withSession({ subject: `${stream}.rows` }, session =>
      rejection(session.write(batchOf({ rows }), NEVER)),
    )
    expect(error).toMatchObject({ code: 'delivery_failed', rest: 'delivered' })
    expect(error.message).toContain('2 of 4 rows were not taken')
    expect([...error.failed!.keys()].toSorted()).toEqual([1, 3])
    expect(error.failed!.get(1)).toMatchObject({
      retryable: false,
      message: `stream ${stream}: message size exceeds maximum allowed (10054)`,
    })
    expect(error.failed!.get(3)).toMatchObject({
      retryable: false,
      message: expect.stringMatching(/^it has 10486\d\d bytes with its headers, and the server takes 1048576 \(max_p/),
    })
    expect((await streams.read(stream)).map(({ value }) => value)).toEqual(['{"id":1}', '{"id":3}'])
  })

  test('a full stream takes the rest when it has room, and nothing twice', async () => {
    const stream = await streams.create({ max_msgs: 3, discard: DiscardPolicy.New })
    const rows = Array.from({ length: 8 }, (_, id) => `{"id":${id}}`)
    await withSession({ subject: `${stream}.rows` }, async session => {
      const error = await rejection(session.write(batchOf({ rows }), NEVER))
      expect(error).toMatchObject({ rest: 'delivered', proof: [{ partition: 0, first: '1', last: '3' }] })
      expect([...error.failed!.keys()]).toEqual([3, 4, 5, 6, 7])
      expect(error.failed!.get(3)).toMatchObject({ retryable: true, code: 'destination_unavailable' })
      expect(error.message).toContain('maximum messages exceeded (10077)')

      const all = rejection(session.write(batchOf({ rows: rows.slice(3), ids: ['3', '4', '5', '6', '7'] }), NEVER))
      expect(await all).toMatchObject({ retryable: true, code: 'destination_unavailable', failed: undefined })

      const delivering = deliver(session, batchOf({ rows }))
      await streams.manager.streams.update(stream, { max_msgs: -1 })
      await delivering
    })
    expect((await streams.read(stream)).map(({ value }) => value)).toEqual(rows)
  })

  describe('under an order', () => {
    const customer = ['ann', 'bob', 'ann', 'bob', 'ann', 'ann', 'cem']
    // the third does not fit into the stream beside the first two, those behind it would
    const rows = customer.map((_, id) => (id === 2 ? `"${'x'.repeat(50_000)}"` : `{"id":${id}}`))
    const limits = { max_bytes: 20_000, discard: DiscardPolicy.New }

    test('what is behind a row that has to wait waits as well', async () => {
      const stream = await streams.create(limits)
      await withSession(
        { subject: `${stream}.{customer}` },
        async session => {
          const error = await rejection(session.write(batchOf({ rows, customer }), NEVER))
          expect([...error.failed!.keys()]).toEqual([2, 4, 5])
          await streams.manager.streams.update(stream, { max_bytes: -1 })
          await deliver(session, batchOf({ rows, customer }))
        },
        { order: 'key' },
      )
      const stored = await streams.read(stream)
      expect(stored.length).toBe(rows.length)
      for (const name of new Set(customer)) {
        const values = stored.filter(({ subject }) => subject === `${stream}.${name}`).map(({ value }) => value)
        expect(values).toEqual(rows.filter((_, row) => customer[row] === name))
      }
    })

    test('what is behind a row that is refused for good goes on', async () => {
      const stream = await streams.create({ max_msg_size: 10_000 })
      const error = await withSession(
        { subject: `${stream}.{customer}` },
        session => rejection(session.write(batchOf({ rows, customer }), NEVER)),
        { order: 'total' },
      )
      expect([...error.failed!.keys()]).toEqual([2])
      expect((await streams.read(stream)).length).toBe(rows.length - 1)
    })

    test('without one nothing waits', async () => {
      const stream = await streams.create(limits)
      const error = await withSession({ subject: `${stream}.{customer}` }, session =>
        rejection(session.write(batchOf({ rows, customer }), NEVER)),
      )
      expect([...error.failed!.keys()]).toEqual([2])
    })
  })

  test('the same rows again within the duplicate window are stored once', async () => {
    const stream = await streams.create()
    const batch = batchOf({ rows: ['{"id":1}', '{"id":2}'] })
    const proofs = [1, 2].map(() => withSession({ subject: `${stream}.rows` }, session => session.write(batch, NEVER)))
    const [first, second] = await Promise.all(proofs)
    expect(first).toEqual([{ partition: 0, first: '1', last: '2' }])
    expect(second).toEqual(first)
    expect((await streams.read(stream)).length).toBe(2)
  })

  test('the session asks for no more than it needs and bounds what waits', async () => {
    const stream = await streams.create()
    await withSession({ subject: `${stream}.{id}.{customer}.{id}` }, async ({ encoding, asks, limits, retries }) => {
      expect({ encoding, asks, limits, retries }).toEqual({
        encoding: { kind: 'rows' },
        asks: { ids: true, columns: ['id', 'customer'], sharedMemory: true },
        limits: { inFlight: 16, batchRows: 250 },
        retries: undefined,
      })
    })
    await withSession({ subject: `${stream}.rows`, maxPending: 30 }, async ({ limits }) => {
      expect(limits).toEqual({ inFlight: 1, batchRows: 30 })
    })
  })

  test("a host's own connection is used and stays open, with nothing of the session left on it", async () => {
    const stream = await streams.create()
    const { connection } = streams
    const sink = natsSink({ name: 'orders', connection, subject: `${stream}.rows` })
    const before = connection.stats().outMsgs
    const session = await sink.open(contextOf())
    await session.write(batchOf({ rows: ['{}'] }), NEVER)
    await session.close()
    expect(connection.stats().outMsgs).toBeGreaterThan(before)
    expect(connection.isClosed()).toBe(false)
    expect((await streams.read(stream)).length).toBe(1)
    await expect(session.write(batchOf({ rows: ['{}'] }), NEVER)).rejects.toMatchObject({ code: 'cancelled' })
  })

  describe('while it is open', () => {
    test("a host's connection that is closed fails what is in flight and all that comes", async () => {
      const own = await streamsOf(server)
      const stream = await own.create()
      const sink = natsSink({ name: 'orders', connection: own.connection, subject: `${stream}.rows` })
      const session = await sink.open(contextOf())
      await own.manager.streams.update(stream, { no_ack: true })
      const writing = rejection(session.write(batchOf({ rows: ['{}'] }), NEVER))
      await own.close()
      const closed = { code: 'destination_unavailable', retryable: false }
      expect(await writing).toMatchObject(closed)
      expect((await writing).message).toContain('the connection was closed')
      expect(await rejection(session.write(batchOf({ rows: ['{}'] }), NEVER))).toMatchObject(closed)
      await session.close()
    })

    test('a stream that is deleted fails the destination', async () => {
      const stream = await streams.create()
      await withSession({ subject: `${stream}.rows` }, async session => {
        await session.write(batchOf({ rows: ['{}'] }), NEVER)
        await streams.manager.streams.delete(stream)
        await expect(deliver(session, batchOf({ rows: ['{}', '{}'] }))).rejects.toMatchObject({
          code: 'destination_misconfigured',
          message: `NATS subject ${stream}.rows at ${server}: stream ${stream} does not exist: create it`,
        })
      })
    })

    test('a stream that no longer takes the subject fails the destination', async () => {
      const stream = await streams.create()
      await withSession({ subject: `${stream}.rows` }, async session => {
        await streams.manager.streams.update(stream, { subjects: ['elsewhere.>'] })
        await expect(deliver(session, batchOf({ rows: ['{}'] }))).rejects.toMatchObject({
          code: 'destination_misconfigured',
          message: expect.stringContaining(`does not take all of ${stream}.rows: its subjects are elsewhere.>`),
        })
      })
      await streams.manager.streams.delete(stream)
    })

    test('a subject that went to another stream fails the destination', async () => {
      const stream = await streams.create()
      await withSession({ subject: `${stream}.rows` }, async session => {
        await streams.manager.streams.delete(stream)
        const other = await streams.create({ subjects: [`${stream}.>`] })
        await expect(deliver(session, batchOf({ rows: ['{}'] }))).rejects.toMatchObject({
          code: 'destination_misconfigured',
          message: expect.stringContaining(`stream ${other} acknowledged a message in place of ${stream}`),
        })
      })
    })

    test('what is not acknowledged in time is not delivered, and says why', async () => {
      const stream = await streams.create()
      await withSession({ subject: `${stream}.rows`, timeoutMs: 300 }, async session => {
        // somebody listens, so that the server does not say that nobody does, and answers what is no acknowledgement
        await streams.manager.streams.delete(stream)
        const listening = streams.connection.subscribe(`${stream}.rows`, {
          callback: (_error, message) => void message.respond('thank you'),
        })
        await streams.connection.flush()
        await expect(session.write(batchOf({ rows: ['{}'] }), NEVER)).rejects.toMatchObject({
          code: 'destination_misconfigured',
          message: expect.stringContaining(`stream ${stream} does not exist`),
        })
        await streams.manager.streams.add({ name: stream, subjects: [`${stream}.>`], no_ack: true })
        await expect(session.write(batchOf({ rows: ['{}'] }), NEVER)).rejects.toMatchObject({
          message: expect.stringContaining('acknowledges nothing (no_ack)'),
        })
        listening.unsubscribe()
      })
    })

    test('a write whose signal aborts ends at once', async () => {
      const stream = await streams.create()
      await withSession({ subject: `${stream}.rows` }, async session => {
        await streams.manager.streams.update(stream, { no_ack: true })
        const controller = new AbortController()
        const writing = session.write(batchOf({ rows: ['{}'] }), controller.signal)
        controller.abort(new Error('enough'))
        await expect(writing).rejects.toThrow('enough')
        await expect(session.write(batchOf({ rows: ['{}'] }), controller.signal)).rejects.toThrow('enough')
      })
    })
  })
})

import { inspect } from 'node:util'
import { PubSub, v1 } from '@google-cloud/pubsub'
import { afterAll, describe, expect, test } from 'vitest'
import { pubsubSink } from '../../src/sinks/pubsub.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { type SinkFaults, testSink } from '../../src/testing/sink.ts'
import { openSession, type TestRow, testJob, testRows, testUnit, writeRows } from '../../src/testing/sink-driver.ts'
import { describeWith } from '../servers/need.ts'
import { openTunnel } from '../servers/tunnel.ts'
import { failure, open, reasons, send, sinksAt } from './pubsub/sending.ts'
import { PROJECT, topicsAt } from './pubsub/topics.ts'

const MB = 1_000_000

await describeWith('pubsub', 'pubsubSink', async facts => {
  const { host, control } = facts
  const topics = await topicsAt(facts)
  const sinkTo = sinksAt(host)
  afterAll(() => topics.close())

  describe('keeps the contract of sinks', () => {
    const byOrder: SinkFaults<Sink & { readonly topic: string }> = {
      async turnAway({ topic }, mark) {
        await topics.addFault(topic, { code: 'UNAVAILABLE', contains: mark, times: 3 })
        return undefined
      },
      refuse: ({ topic }, mark) => topics.addFault(topic, { code: 'INVALID_ARGUMENT', contains: mark }),
      forbid: ({ topic }) => topics.permit(topic, []),
    }
    const tests = testSink({
      create: async () => {
        const topic = await topics.create({ subscribed: control === null })
        const tunnel = await openTunnel(host)
        const sink = sinksAt(tunnel.address)(topic, {
          orderingKey: 'key',
          attributes: { key: { column: 'key' } },
          idAttribute: 'id',
        })
        return Object.assign(sink, { topic, tunnel })
      },
      // pulling answers them in any order
      ordered: control !== null,
      dispose: ({ tunnel }) => tunnel.close(),
      faults: {
        stall: ({ tunnel }) => tunnel.stall(),
        interrupt: ({ tunnel }) => tunnel.cut(),
        oversize: () => 10 * MB,
        // the rest is for a fake that takes orders
        ...(control === null ? {} : byOrder),
      },
      // pulling 100,000 messages takes the fake longer than all else
      read: async ({ topic }, expected) => {
        const messages = control === null ? topics.read(topic, expected) : topics.arrived(topic)
        return (await messages).map(({ data }) => data)
      },
    })
    test.each(tests)('$name', ({ run }) => run())
  })

  test('a row is a message with its key, its attributes and its name, as Google reads it', async () => {
    const topic = await topics.create()
    const texts = ['plain', 'ünïcode 👍', '', 'x'.repeat(1_024)]
    const rows = testRows(4, id => texts[id]!).map((row, id) =>
      withColumns(row, { key: ['a', 'ö'.repeat(512), null, ''][id]! }),
    )
    const attributes = { origin: 'backfill', empty: '', 'the text': { column: 'text' }, key: { column: 'key' } }
    const sink = sinkTo(topic, { orderingKey: 'key', attributes, idAttribute: 'row' })
    const job = testJob(sink)
    const session = await openSession(job)
    await writeRows(session, testUnit(job, 3), rows)
    await session.close()

    const read = await topics.read(topic, 4)
    expect(new Map(read.map(message => [message.data, message]))).toEqual(
      new Map(
        rows.map(({ json, columns }, id) => [
          json,
          {
            data: json,
            orderingKey: columns['key'] ?? '',
            attributes: {
              origin: 'backfill',
              empty: '',
              'the text': columns['text'],
              row: `${job.jobId}-3-${id}`,
              ...(columns['key'] === null ? {} : { key: columns['key'] }),
            },
          },
        ]),
      ),
    )
  })

  test('the session asks for what the messages need, and for no more', async () => {
    const topic = await topics.create()
    const plain = await open(sinkTo(topic))
    expect(plain.asks).toEqual({ ids: false, sharedMemory: true })
    expect(plain.limits).toEqual({ inFlight: 8, batchRows: 1_000, batchBytes: 9 * 2 ** 20, lingerMs: 100 })
    expect(plain.retries ?? 'engine').toBe('engine')
    await plain.close()
    const attributes = { origin: 'here', text: { column: 'text' }, again: { column: 'key' } }
    const full = sinkTo(topic, {
      orderingKey: 'key',
      attributes,
      idAttribute: 'row',
      inFlight: 3,
      batchBytes: MB,
      lingerMs: 5,
    })
    const session = await open(full, 'key')
    expect(session.asks).toEqual({ ids: true, sharedMemory: true, columns: ['key', 'text'] })
    expect(session.limits).toEqual({ inFlight: 1, batchRows: 3_000, batchBytes: MB, lingerMs: 5 })
    await session.close()
  })

  test('a topic may be named in full, and PUBSUB_EMULATOR_HOST is honoured', async () => {
    const topic = await topics.create()
    const before = process.env['PUBSUB_EMULATOR_HOST']
    process.env['PUBSUB_EMULATOR_HOST'] = host
    try {
      await send(pubsubSink({ name: 'test', topic: topics.nameOf(topic) }), testRows(3))
    } finally {
      if (before === undefined) delete process.env['PUBSUB_EMULATOR_HOST']
      else process.env['PUBSUB_EMULATOR_HOST'] = before
    }
    expect((await topics.read(topic, 3)).map(({ data }) => data).sort()).toEqual(testRows(3).map(({ json }) => json))
  })

  test('a row that Pub/Sub never takes is refused for good, and the others arrive', async () => {
    const topic = await topics.create()
    const sink = sinkTo(topic, { orderingKey: 'key', attributes: { text: { column: 'text' } } })
    const job = testJob(sink)
    const session = await openSession(job)
    const rows = testRows(6)
    rows[1] = withColumns(rows[1]!, { key: 'k'.repeat(1_025) })
    rows[3] = withColumns(rows[3]!, { text: `${'é'.repeat(512)}!` })
    const error = await failure(writeRows(session, testUnit(job, 0), rows))
    expect(error).toMatchObject({ rest: 'delivered', message: expect.stringContaining('2 of 6 rows were refused') })
    expect(reasons(error)).toEqual({
      1: [false, "a row's ordering key has 1025 bytes, and Pub/Sub takes 1024"],
      3: [false, "a row's attribute has 1025 bytes, and Pub/Sub takes 1024"],
    })
    const large = { ...testRows(1)[0]!, json: JSON.stringify('x'.repeat(10 * MB)) }
    const tooLarge = await failure(writeRows(session, testUnit(job, 0), [large]))
    expect(reasons(tooLarge)).toEqual({
      0: [
        false,
        expect.stringMatching(/^a row makes a publish request of 100000\d\d bytes, and Pub\/Sub takes 10000000$/),
      ],
    })
    await session.close()
    expect((await topics.read(topic, 4)).map(({ data }) => data).sort()).toEqual([0, 2, 4, 5].map(id => rows[id]!.json))
  })

  test('the largest row that fits arrives', async () => {
    const topic = await topics.create()
    const overhead = Buffer.byteLength(topics.nameOf(topic)) + 2 + 2 * 5
    const row = { ...testRows(1)[0]!, json: JSON.stringify('x'.repeat(10 * MB - overhead - 2)) }
    await send(sinkTo(topic), [row])
    const [read] = await topics.read(topic, 1)
    expect(read?.data.length).toBe(row.json.length)
    const one = { ...row, json: `${row.json} ` }
    await expect(send(sinkTo(topic), [one])).rejects.toThrow(/publish request of 10000001 bytes/)
  })

  test('columns that are missing, and an order without keys, are told at open', async () => {
    const topic = await topics.create()
    const attributes = { a: { column: 'gone' }, b: { column: 'text' } }
    await expect(open(sinkTo(topic, { orderingKey: 'customer', attributes }), 'none', true)).rejects.toMatchObject({
      code: 'destination_misconfigured',
      message:
        'table "millrace.test_rows" does not fit the Pub/Sub sink: it has no column "customer" for the ordering key; ' +
        'it has no column "gone" for the attribute "a". Its columns are id, key, text',
    })
    for (const order of ['key', 'total'] as const)
      await expect(open(sinkTo(topic), order)).rejects.toMatchObject({
        code: 'destination_misconfigured',
        message: expect.stringContaining(`order "${order}" needs an orderingKey`),
      })
  })

  test('a topic that is not there is told at open', async () => {
    for (const probe of [true, false])
      await expect(open(sinkTo('nowhere'), 'none', probe)).rejects.toMatchObject({
        code: 'destination_misconfigured',
        retryable: false,
        message: `Pub/Sub topic "projects/${PROJECT}/topics/nowhere" does not exist: create it, or mend the name`,
      })
  })

  test('where nobody listens the destination is unavailable', async () => {
    await expect(open(sinkTo('topic', { apiEndpoint: '127.0.0.1:9' }))).rejects.toMatchObject({
      code: 'destination_unavailable',
      message: expect.stringMatching(/^Pub\/Sub topic "topic": UNAVAILABLE \(.*ECONNREFUSED 127.0.0.1:9/),
    })
  })

  test.each([
    ['a PubSub', () => new PubSub({ apiEndpoint: host, projectId: PROJECT })],
    [
      'a PublisherClient',
      async () =>
        new v1.PublisherClient({ ...(await new PubSub({ apiEndpoint: host, projectId: PROJECT }).getClientConfig()) }),
    ],
  ])("%s of the host's own is used, and left open", async (_, make) => {
    const topic = await topics.create()
    const client = await make()
    const sink = pubsubSink({ name: 'test', topic, client })
    await send(sink, testRows(10))
    await send(sink, testRows(10))
    expect((await topics.read(topic, 20)).length).toBe(20)
    if (client instanceof PubSub) expect((await client.topic(topic).exists())[0]).toBe(true)
    else expect((await client.getTopic({ topic: topics.nameOf(topic) }))[0].name).toBe(topics.nameOf(topic))
    await client.close()
  })

  test('no credential shows anywhere', async () => {
    const topic = await topics.create()
    const secret = 'MIIEvQIBADANBgkqhkiG9w0BAQ'
    const credentials = { client_email: 'sink@tests.iam.gserviceaccount.com', private_key: secret }
    const sink = sinkTo(topic, { credentials, attributes: { a: { column: 'gone' } } })
    const error = await failure(open(sink))
    const broken = pubsubSink({
      name: 'test',
      topic,
      projectId: PROJECT,
      credentials,
      apiEndpoint: 'pubsub.googleapis.com',
      timeoutMs: 300,
    })
    const later = await failure(open(broken))
    const wrong = await failure(
      (async () => sinkTo(topic, { credentials, keyFilename: secret, topic: secret.repeat(20) }))(),
    )
    const session = await open(sinkTo(topic, { credentials }))
    for (const shown of [sink, error, later, wrong, session])
      expect(`${JSON.stringify(shown)} ${inspect(shown, { depth: 9 })} ${shown}`).not.toContain(secret)
    await session.close()
  })
})

function withColumns(row: TestRow, columns: TestRow['columns']): TestRow {
  return { ...row, columns: { ...row.columns, ...columns } }
}

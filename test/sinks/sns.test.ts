import { expect, test } from 'vitest'
import { snsSink } from '../../src/sinks/sns.ts'
import {
  deliver,
  openSession,
  type TestRow,
  testJob,
  testRows,
  testUnit,
  writeRows,
} from '../../src/testing/sink-driver.ts'
import { describeWith } from '../servers/need.ts'
import { rejection } from './kafka/contexts.ts'
import { startRelay } from './sns/relay.ts'
import { CREDENTIALS, createTopic } from './sns/topics.ts'

const MAX_BYTES = 256 * 1024

await describeWith('moto', 'snsSink', ({ endpoint }) => {
  const common = { name: 'test', endpoint, credentials: CREDENTIALS }

  test('a message has the attributes, the group and the deduplication id of its row', async () => {
    const topic = await createTopic(endpoint, { fifo: true })
    const sink = snsSink({
      ...{ ...common, topicArn: topic.arn, group: { column: 'key' }, idAttribute: 'row-id' },
      attributes: {
        origin: 'backfill',
        'key.name': { column: 'key' },
        number: { column: 'id', type: 'Number' },
        text: { column: 'text' },
      },
    })
    const job = testJob(sink)
    const rows = testRows(10, id => (id === 0 ? '' : `é ${id}`))
    await delivered(job, rows)
    const received = new Map((await topic.read()).map(message => [JSON.parse(message.body).id, message]))
    expect(received.size).toBe(10)
    expect(received.get(3)).toEqual({
      body: rows[3]!.json,
      group: 'key-3',
      dedup: `${job.jobId}-0-3`,
      attributes: {
        origin: { type: 'String', value: 'backfill' },
        'key.name': { type: 'String', value: 'key-3' },
        number: { type: 'Number', value: '3' },
        text: { type: 'String', value: 'é 3' },
        'row-id': { type: 'String', value: `${job.jobId}-0-3` },
      },
    })
    // the empty text and the NULL key are left out, and without a key the row is a group of its own
    expect(Object.keys(received.get(0)!.attributes).sort()).toEqual(['key.name', 'number', 'origin', 'row-id'])
    expect(Object.keys(received.get(9)!.attributes).sort()).toEqual(['number', 'origin', 'row-id', 'text'])
    expect(received.get(9)!.group).toBe(`${job.jobId}-0-9`)
  })

  test('a message of a standard topic has the group of its column, or none', async () => {
    const topic = await createTopic(endpoint)
    const relay = await startRelay(endpoint)
    const sink = snsSink({ ...common, endpoint: relay.url, topicArn: topic.arn, group: { column: 'key' } })
    await delivered(testJob(sink), testRows(10).slice(8))
    expect(relay.requests.at(-1)!.messages.map(({ group }) => group)).toEqual(['key-1', null])
    const [received] = await topic.read()
    expect(received).toMatchObject({ dedup: undefined, attributes: {} })
  })

  test('a group that SNS does not take stands as its hash', async () => {
    const topic = await createTopic(endpoint, { fifo: true })
    const texts = ['New York', '', 'g'.repeat(129), 'é', 'g'.repeat(128), '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~']
    const sink = snsSink({ ...common, topicArn: topic.arn, group: { column: 'text' } })
    await delivered(
      testJob(sink),
      testRows(6, id => texts[id]!),
    )
    const groups = new Map((await topic.read()).map(({ body, group }) => [JSON.parse(body).text, group]))
    expect(groups.get('New York')).toBe('815eca977c7d75f72bd23bccc91bc6f9931a42fbf03451eb0d7db8d2a704d94f')
    expect([groups.get(''), groups.get('é'), groups.get(texts[2])].map(group => group?.length)).toEqual([64, 64, 64])
    expect(groups.get(texts[4])).toBe(texts[4])
    expect(groups.get(texts[5])).toBe(texts[5])
  })

  test('rows of a group arrive in order, and many groups share the requests', async () => {
    const topic = await createTopic(endpoint, { fifo: true, queue: false })
    const relay = await startRelay(endpoint)
    const group = { column: 'key' }
    const sink = snsSink({ ...common, endpoint: relay.url, topicArn: topic.arn, group, maxRequests: 3 })
    await delivered(testJob(sink), testRows(300), 'key')
    const rows = (await topic.published()).map(body => JSON.parse(body) as { id: number; key: string | null })
    expect(rows.length).toBe(300)
    const groups = Map.groupBy(rows, ({ id, key }) => key ?? id)
    expect(groups.size).toBe(7 + 30)
    for (const members of groups.values()) {
      const ids = members.map(({ id }) => id)
      expect(ids).toEqual([...ids].sort((one, other) => one - other))
    }
    const sizes = relay.requests.slice(1).map(({ messages }) => messages.length)
    expect(Math.max(...sizes)).toBe(10)
    // of each batch of 30 rows at most one short request a chain
    expect(sizes.filter(size => size < 10).length).toBeLessThanOrEqual(3 * 10)
  })

  test('what a FIFO topic has had it drops, but not a redelivery', async () => {
    const topic = await createTopic(endpoint, { fifo: true })
    const job = testJob(snsSink({ ...common, topicArn: topic.arn, group: 'all' }))
    const rows = testRows(25)
    await delivered(job, rows)
    await delivered(job, rows)
    expect((await topic.read()).map(({ body }) => body)).toEqual(rows.map(({ json }) => json))
    const session = await openSession(job)
    await deliver(session, { ...testUnit(job, 0), delivery: 1 }, rows)
    await session.close()
    const again = (await topic.read()).slice(25)
    expect(again.map(({ dedup }) => dedup)).toEqual(rows.map(({ id }) => `${job.jobId}-0-${id}-d1`))
  })

  test('requests keep below the size that the topic takes, and a larger row is refused for good', async () => {
    const topic = await createTopic(endpoint)
    const relay = await startRelay(endpoint)
    const attributes = { text: { column: 'key' } }
    const sink = snsSink({ ...common, endpoint: relay.url, topicArn: topic.arn, attributes })
    const overhead = (row: TestRow): number => Buffer.byteLength(row.json) + 'textString'.length + 'key-0'.length
    const fits = 'x'.repeat(MAX_BYTES - overhead(testRows(1, () => '')[0]!))
    const texts = [fits, `${fits}x`, ...Array.from({ length: 8 }, (_, row) => 'é'.repeat(20_000 * (row + 1)))]
    const session = await openSession(testJob(sink))
    const rows = testRows(10, id => texts[id]!)
    const error = await rejection(writeRows(session, testUnit(testJob(sink), 0), rows))
    await session.close()
    expect(error.message).toMatch(
      /a message of 262145 bytes is larger than the topic takes: raise its MaximumMessageSize of 262144/,
    )
    expect([...error.failed!].map(([row, cause]) => [row, (cause as { retryable: boolean }).retryable])).toEqual([
      [1, false],
      [8, false],
      [9, false],
    ])
    const published = relay.requests.filter(({ action }) => action === 'PublishBatch')
    for (const { messages } of published) {
      const bytes = messages.reduce((sum, { body }) => sum + Buffer.byteLength(body) + 15, 0)
      expect(bytes).toBeLessThanOrEqual(MAX_BYTES)
    }
    expect((await topic.read()).map(({ body }) => JSON.parse(body).id).sort()).toEqual([0, 2, 3, 4, 5, 6, 7])
  })

  test('an attribute with a character that SNS does not take refuses its row, and the others go', async () => {
    const topic = await createTopic(endpoint)
    const sink = snsSink({ ...common, topicArn: topic.arn, attributes: { text: { column: 'text' } } })
    const texts = ['a\tb\r\nc', 'bell \u0007', 'end \uffff', 'face 👍']
    const session = await openSession(testJob(sink))
    const error = await rejection(
      writeRows(
        session,
        testUnit(testJob(sink), 0),
        testRows(4, id => texts[id]!),
      ),
    )
    await session.close()
    expect(error.message).toBe(
      `2 of 4 messages were not published. SNS topic ${topic.arn}: the attribute "text" has a character that SNS does not take`,
    )
    expect([...error.failed!.keys()]).toEqual([1, 2])
    expect((await topic.read()).map(({ attributes }) => attributes['text']?.value).sort()).toEqual([texts[0], texts[3]])
  })

  async function delivered(
    job: ReturnType<typeof testJob>,
    rows: readonly TestRow[],
    order: 'none' | 'key' = 'none',
  ): Promise<void> {
    const session = await openSession({
      ...job,
      sink: { ...job.sink, open: context => job.sink.open({ ...context, order }) },
    })
    await deliver(session, testUnit(job, 0), rows)
    await session.close()
  }
})

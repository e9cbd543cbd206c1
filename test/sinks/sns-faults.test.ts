import { SNSClient } from '@aws-sdk/client-sns'
import { describe, expect, test } from 'vitest'
import type { DeliveryError } from '../../src/core/errors.ts'
import { type SnsSinkOptions, snsSink } from '../../src/sinks/sns.ts'
import { openSession, testJob, testRows, testUnit, writeRows } from '../../src/testing/sink-driver.ts'
import { describeWith } from '../servers/need.ts'
import { rejection } from './kafka/contexts.ts'
import { batchResult, failure, type Relay, type SnsRequest, startRelay, topicAttributes } from './sns/relay.ts'
import { CREDENTIALS, createTopic, type Topic } from './sns/topics.ts'

const SECRET = 'a-secret-of-tests'

await describeWith('moto', 'snsSink, when SNS does not take what it is sent', ({ endpoint }) => {
  test('rows that SNS itself refuses are refused for good, and the others have arrived', async () => {
    const { topic, relay, write } = await fixture()
    // the topic claims to take more than it does
    relay.rule = ({ action }) =>
      action === 'GetTopicAttributes' ? topicAttributes({ MaximumMessageSize: '1048576' }) : undefined
    const error = await rejection(write(12, id => 'x'.repeat(id % 5 === 1 ? 300_000 : 3)))
    expect(error).toMatchObject({ rest: 'delivered' })
    expect(causes(error)).toEqual([
      [1, 'delivery_failed', false],
      [6, 'delivery_failed', false],
      [11, 'delivery_failed', false],
    ])
    expect(error.message).toBe(
      `3 of 12 messages were not published. SNS topic ${topic.arn}: InvalidParameter ` +
        '(An error occurred (InvalidParameter) when calling the Publish operation: Invalid parameter: Message too long)',
    )
    expect(await ids(topic)).toEqual([0, 2, 3, 4, 5, 7, 8, 9, 10])
  })

  test('each failed message is judged by itself, and one that is not named counts as failed', async () => {
    const { relay, write } = await fixture()
    relay.rule = onPublish(() =>
      batchResult(['0', '1'], {
        2: ['InvalidParameter', true, 'Invalid parameter: key-2 is a value of the row'],
        3: ['InternalError', false, 'try again'],
        4: ['Throttled', true],
      }),
    )
    const error = await rejection(write(6))
    expect(causes(error)).toEqual([
      [2, 'delivery_failed', false],
      [3, 'destination_unavailable', true],
      [4, 'destination_unavailable', true],
      [5, 'destination_unavailable', true],
    ])
    expect(String(error.failed?.get(2))).toMatch(/InvalidParameter$/)
    expect(error.message).toMatch(/4 of 6 messages .*InternalError \(try again\)$/)
  })

  test('a request that is refused as a whole is halved until the one that is to blame is alone', async () => {
    const { topic, relay, write } = await fixture()
    relay.rule = onPublish(({ messages }) =>
      messages.some(({ body }) => body.includes('row 6'))
        ? failure(400, 'InvalidParameter', 'row 6 is bad')
        : undefined,
    )
    const error = await rejection(write(10))
    expect(causes(error)).toEqual([[6, 'delivery_failed', false]])
    expect(error.message).not.toContain('row 6')
    expect(await ids(topic)).toEqual([0, 1, 2, 3, 4, 5, 7, 8, 9])
  })

  test('throttling is told with the pause that SNS asks for, and what was not begun is left', async () => {
    const { topic, relay, write } = await fixture({ maxRequests: 1 })
    let publications = 0
    relay.rule = onPublish(() =>
      ++publications === 2 ? failure(400, 'Throttling', 'Rate exceeded', { 'retry-after': '7' }) : undefined,
    )
    const error = await rejection(write(40, undefined, 40))
    expect(error).toMatchObject({ retryAfterMs: 7_000, rest: 'delivered' })
    expect(error.message).toMatch(/10 of 10 messages were not published. .*Throttling: Rate exceeded$/)
    expect(causes(error).every(([, code, retryable]) => code === 'destination_unavailable' && retryable)).toBe(true)
    expect(publications).toBeGreaterThanOrEqual(2)
    expect((await ids(topic)).length).toBeLessThan(40)
  })

  test('behind a failed row no other of its chain is sent', async () => {
    const { relay, write, topic } = await fixture({ group: 'all' }, true)
    let publications = 0
    relay.rule = onPublish(() =>
      ++publications === 2
        ? batchResult(['0', '1', '3', '4', '5', '6', '7', '8', '9'], { 2: ['InternalError', false] })
        : undefined,
    )
    const error = await rejection(write(50))
    expect(publications).toBe(2)
    expect([...error.failed!.keys()].sort((a, b) => a - b)).toEqual([
      12,
      ...Array.from({ length: 30 }, (_, i) => 20 + i),
    ])
    expect(await ids(topic)).toEqual(Array.from({ length: 10 }, (_, id) => id))
  })

  test.each([
    [403, 'AuthorizationError', 'destination_misconfigured'],
    [403, 'InvalidClientTokenId', 'destination_misconfigured'],
    [404, 'NotFound', 'destination_misconfigured'],
    [400, 'KMSAccessDenied', 'destination_misconfigured'],
    [500, 'InternalError', 'destination_unavailable'],
    [503, 'ServiceUnavailable', 'destination_unavailable'],
    [400, 'KMSThrottling', 'destination_unavailable'],
    [400, 'RequestExpired', 'destination_unavailable'],
  ])('a request that fails with %i %s is %s', async (status, code, expected) => {
    const { relay, write } = await fixture()
    relay.rule = onPublish(() => failure(status, code, 'because'))
    const error = await rejection(write(3))
    if (expected === 'destination_misconfigured') expect(error).toMatchObject({ code: expected, failed: undefined })
    else expect(causes(error)).toEqual([0, 1, 2].map(row => [row, expected, true]))
    expect(error.message).toMatch(new RegExp(`${code}(Exception)?: because$`))
  })

  test('credentials and tokens are in no error and in no picture of the sink', async () => {
    const { relay, write, sink } = await fixture()
    relay.rule = onPublish(() => failure(403, 'SignatureDoesNotMatch', `x-amz-security-token:${SECRET}`))
    const error = await rejection(write(3))
    expect(error).toMatchObject({ code: 'destination_misconfigured' })
    expect(error.message).toMatch(/SignatureDoesNotMatch: the request was signed with credentials that are not right/)
    const { inspect } = await import('node:util')
    const seen = inspect(error, { depth: 9, showHidden: true }) + inspect(sink, { depth: 9 }) + JSON.stringify(sink)
    expect(seen).not.toContain(SECRET)
    expect(seen).not.toContain(CREDENTIALS.accessKeyId)
  })

  describe('a service that does not answer', () => {
    test('fails the rows at the deadline', async () => {
      const { relay, write, topic } = await fixture({ timeoutMs: 2_000 })
      relay.rule = onPublish(() => 'silence')
      const error = await rejection(write(3))
      expect(causes(error)).toEqual([0, 1, 2].map(row => [row, 'destination_unavailable', true]))
      expect(error.message).toContain(`SNS topic ${topic.arn}: no answer within 2 s (timeoutMs)`)
    })

    test('is left when the signal aborts, and the session closes', async () => {
      const { relay, sink } = await fixture()
      const asked = new Promise<void>(resolve => {
        relay.rule = onPublish(() => {
          resolve()
          return 'silence'
        })
      })
      const job = testJob(sink)
      const session = await openSession(job)
      const controller = new AbortController()
      const writing = rejection(writeRows(session, testUnit(job, 0), testRows(500), { signal: controller.signal }))
      await asked
      controller.abort(new Error('enough'))
      expect((await writing).message).toBe('enough')
      await session.close()
    })

    test("is left when the session is closed, also where the client is the host's", async () => {
      const { relay, topic } = await fixture()
      const asked = new Promise<void>(resolve => {
        relay.rule = onPublish(() => {
          resolve()
          return 'silence'
        })
      })
      const client = new SNSClient({ region: 'eu-west-1', endpoint: relay.url, credentials: CREDENTIALS })
      const job = testJob(snsSink({ name: 'test', topicArn: topic.arn, client }))
      const session = await openSession(job)
      const writing = rejection(writeRows(session, testUnit(job, 0), testRows(500)))
      await asked
      await session.close()
      expect((await writing).message).toBe('the SNS session was closed')
      client.destroy()
    })
  })

  async function fixture(options: Partial<SnsSinkOptions> = {}, fifo = false) {
    const topic = await createTopic(endpoint, { fifo, queue: false })
    const relay = await startRelay(endpoint)
    const sink = snsSink({
      ...{ name: 'test', topicArn: topic.arn, endpoint: relay.url, attributes: { key: { column: 'key' } } },
      ...{ credentials: { ...CREDENTIALS, secretAccessKey: SECRET } },
      ...options,
    })
    return { topic, relay, sink, write: writeOnce }

    async function writeOnce(rows: number, text?: (id: number) => string, batchRows = 100): Promise<void> {
      const job = testJob(sink)
      const session = await openSession(job)
      try {
        await writeRows(session, testUnit(job, 0), testRows(rows, text), { batchRows })
      } finally {
        await session.close()
      }
    }
  }
})

function onPublish(rule: Relay['rule']): Relay['rule'] {
  return (request: SnsRequest) => (request.action === 'PublishBatch' ? rule(request) : undefined)
}

async function ids(topic: Topic): Promise<number[]> {
  const bodies = await topic.published()
  return bodies.map(body => JSON.parse(body).id as number).sort((one, other) => one - other)
}

function causes(error: { failed?: ReadonlyMap<number, unknown> }): [number, string, boolean][] {
  const failed = [...(error.failed as ReadonlyMap<number, DeliveryError>)].sort(([one], [other]) => one - other)
  return failed.map(([row, { code, retryable }]) => [row, code, retryable])
}

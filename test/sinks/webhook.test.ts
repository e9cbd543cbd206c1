import { inspect } from 'node:util'
import { Agent } from 'undici'
import { afterEach, describe, expect, it, test } from 'vitest'
import type { DeliveryError } from '../../src/core/errors.ts'
import { streamContext } from '../../src/core/streams.ts'
import type { SinkSession } from '../../src/sinks/sink.ts'
import type { WebhookSinkOptions } from '../../src/sinks/webhook/options.ts'
import { webhookSink } from '../../src/sinks/webhook.ts'
import {
  deliver,
  openSession,
  type TestRow,
  testJob,
  testRows,
  testUnit,
  writeRows,
} from '../../src/testing/sink-driver.ts'
import { CERTIFICATE } from './webhook/certificate.ts'
import { type Receiver, type ReceiverOptions, sinkTo, startReceiver } from './webhook/receiver.ts'

const receivers: Receiver[] = []
const sessions: SinkSession[] = []

afterEach(async () => {
  await Promise.all(sessions.splice(0).map(session => session.close()))
  await Promise.all(receivers.splice(0).map(receiver => receiver.close()))
})

async function receive(options?: ReceiverOptions): Promise<Receiver> {
  const receiver = await startReceiver(options)
  receivers.push(receiver)
  return receiver
}

/** A session to a receiver that answers like this. */
async function fixture(answer?: ReceiverOptions['answer'], options: Partial<WebhookSinkOptions> = {}) {
  const receiver = await receive(answer ? { answer } : {})
  const job = testJob(sinkTo(receiver, options))
  const session = await openSession(job)
  sessions.push(session)
  const write = (rows: readonly TestRow[], signal?: AbortSignal) =>
    writeRows(session, testUnit(job, 0), rows, signal ? { signal } : {})
  const fail = async (rows: readonly TestRow[]): Promise<DeliveryError> =>
    write(rows).then(
      () => expect.unreachable('the write was to fail'),
      error => error,
    )
  return { receiver, job, session, write, fail }
}

const json = (rows: readonly TestRow[]): string[] => rows.map(row => row.json)

describe('a request of the webhook sink', () => {
  test('is a POST to the URL with the rows as a JSON array', async () => {
    const { receiver, write } = await fixture(undefined, { headers: { Authorization: 'Bearer abc', 'X-Team': 'data' } })
    await write(testRows(3))
    const [request] = receiver.requests
    expect(request!.path).toBe('/hook?token=s3cret-of-the-url')
    expect(request!.raw.toString()).toBe(`[${json(testRows(3)).join(',')}]`)
    expect(request!.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(request!.raw.length),
      authorization: 'Bearer abc',
      'x-team': 'data',
      'user-agent': 'millrace',
      host: `127.0.0.1:${receiver.port}`,
    })
    expect(request!.headers['content-encoding']).toBeUndefined()
  })

  test('holds lines, or a single row, where that is asked for', async () => {
    const lines = await fixture(undefined, { body: 'ndjson', headers: { 'Content-Type': 'application/jsonl' } })
    await expect(lines.write(testRows(2))).resolves.toEqual([])
    expect(lines.receiver.requests[0]!.headers['content-type']).toBe('application/jsonl')
    expect(lines.receiver.requests[0]!.raw.toString()).toBe(`${json(testRows(2)).join('\n')}\n`)

    const single = await fixture(undefined, { body: 'row' })
    await single.write(testRows(2))
    expect(single.receiver.requests.map(({ raw }) => raw.toString())).toEqual(json(testRows(2)))
  })

  test('goes over a connection that is kept, as many at a time as the limit says, over all units', async () => {
    let [now, most] = [0, 0]
    const gate = Promise.withResolvers<void>()
    const { receiver, job, session } = await fixture(
      async (_, index) => {
        most = Math.max(most, ++now)
        if (index === 2) gate.resolve()
        await gate.promise
        now--
        return { status: 200, body: 'thanks' }
      },
      { concurrency: 3 },
    )
    await Promise.all([0, 1].map(number => deliver(session, testUnit(job, number), testRows(1_000), { batchRows: 50 })))
    expect(receiver.requests).toHaveLength(40)
    expect(most).toBe(3)
    // and one that only tried whether the endpoint is there
    expect(receiver.connections).toBe(1 + 3)
  })

  test('carries a key that is the name of its batch, and stays when it is sent again', async () => {
    const { receiver, job, session, write } = await fixture((_, index) => ({ status: index === 0 ? 503 : 200 }))
    await expect(write(testRows(5))).rejects.toThrow('answered 503')
    await write(testRows(5))
    const later = await openSession(job)
    sessions.push(later)
    await writeRows(later, testUnit(job, 0), testRows(5))
    const keys = receiver.requests.map(({ headers }) => headers['x-idempotency-key'])
    expect(keys).toEqual(Array(3).fill(`${job.jobId}-0-0-0-4`))
    expect([session.stableBatches, session.limits?.lingerMs]).toEqual([true, undefined])
  })

  test('is cut by time where that is asked for, and then not at the same places after a crash', async () => {
    const { session } = await fixture(undefined, { lingerMs: 20, batchRows: 7, batchBytes: 99, concurrency: 2 })
    expect(session.stableBatches).toBe(false)
    expect(session.limits).toEqual({ inFlight: 2, batchRows: 7, batchBytes: 99, lingerMs: 20 })
  })
})

describe('an answer to the webhook sink', () => {
  const after = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toUTCString()

  it.each([408, 425, 429, 500, 502, 503, 504, 599])('%i may pass', async status => {
    const { receiver, fail } = await fixture(() => ({ status, body: 'x'.repeat(300_000) }))
    expect(await fail(testRows(2))).toMatchObject({
      code: 'destination_unavailable',
      retryable: true,
      failed: undefined,
      retryAfterMs: undefined,
      message: `http://127.0.0.1:${receiver.port} answered ${status}`,
    })
  })

  test('says how long to wait, in seconds or as a date', async () => {
    const seconds = await fixture(() => ({ status: 429, headers: { 'Retry-After': '7' } }))
    expect((await seconds.fail(testRows(1))).retryAfterMs).toBe(7_000)
    const date = await fixture(() => ({ status: 503, headers: { 'Retry-After': after(90) } }))
    const { retryAfterMs } = await date.fail(testRows(1))
    expect(retryAfterMs).toBeGreaterThan(60_000)
    expect(retryAfterMs).toBeLessThanOrEqual(90_000)
  })

  it.each([400, 402, 406, 409, 422, 451])('%i refuses the rows for good', async status => {
    const { fail } = await fixture(() => ({ status }))
    expect(await fail(testRows(2))).toMatchObject({ code: 'delivery_failed', retryable: false, failed: undefined })
  })

  it.each([301, 302, 304, 307, 308, 401, 403, 404, 405, 410, 411, 415])('%i is for the user to mend', async status => {
    const elsewhere = await receive()
    const { receiver, fail } = await fixture(() => ({ status, headers: { Location: elsewhere.url } }))
    expect(await fail(testRows(2))).toMatchObject({ code: 'destination_misconfigured', retryable: false })
    expect([receiver.requests.length, elsewhere.requests.length]).toEqual([1, 0])
  })

  test('that never comes ends at the timeout', async () => {
    const { fail } = await fixture(() => 'hang', { timeoutMs: 50 })
    expect(await fail(testRows(1))).toMatchObject({
      code: 'destination_unavailable',
      message: expect.stringContaining('did not answer within 0.05 s (timeoutMs)'),
    })
  })

  test('that breaks off may pass, and so may an endpoint that is gone', async () => {
    const { receiver, fail } = await fixture(() => 'drop')
    expect(await fail(testRows(1))).toMatchObject({ code: 'destination_unavailable', retryable: true })
    await receiver.close()
    expect(await fail(testRows(1))).toMatchObject({
      code: 'destination_unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('is not waited for once the write is aborted, nor is a turn', async () => {
    const arrived = Promise.withResolvers<void>()
    const { receiver, session, job } = await fixture(
      () => {
        arrived.resolve()
        return 'hang'
      },
      { concurrency: 1 },
    )
    const controller = new AbortController()
    const { signal } = controller
    const writes = [0, 1].map(number => writeRows(session, testUnit(job, number), testRows(1), { signal }))
    await arrived.promise
    controller.abort(new Error('enough'))
    for (const write of writes) await expect(write).rejects.toThrow('enough')
    expect(receiver.requests).toHaveLength(1)
  })
})

describe('a batch that is too large', () => {
  const takes = (rows: number): ReceiverOptions['answer'] => {
    return request => ({ status: request.rows.length > rows ? 413 : 200 })
  }
  const keysOf = ({ requests }: Receiver): string[] =>
    requests.map(({ headers, rows }) => `${String(headers['x-idempotency-key']).slice(37)} ${rows.length}`)

  it.each(['json-array', 'ndjson'] as const)('is sent in halves: %s', async body => {
    const { receiver, write } = await fixture(takes(3), { body })
    await write(testRows(8))
    expect(receiver.rows).toEqual(json(testRows(8)))
    expect(keysOf(receiver)).toEqual([
      '0-0-0-7 8',
      '0-0-0-7~0-4 4',
      '0-0-0-7~0-2 2',
      '0-0-0-7~2-4 2',
      // the other half is of a size that was refused just now
      '0-0-0-7~4-6 2',
      '0-0-0-7~6-8 2',
    ])
  })

  test('is sent in the same pieces after a failure, but for those that arrived', async () => {
    let failing = true
    const { receiver, fail, write, job } = await fixture(({ rows }) => {
      if (rows.length > 5) return { status: 413 }
      return { status: rows[0] === testRows(6)[5]!.json && failing ? 503 : 200 }
    })
    expect(await fail(testRows(10))).toMatchObject({ retryable: true, failed: undefined })
    failing = false
    await write(testRows(10))
    const keys = ['0-0-0-9 10', '0-0-0-9~0-5 5', '0-0-0-9~5-10 5']
    expect(keysOf(receiver)).toEqual([...keys, keys[2]])
    expect(receiver.rows).toEqual(json(testRows(10)))

    // after a crash nothing is remembered, and the keys are the same
    receiver.requests.length = 0
    const other = await openSession(job)
    sessions.push(other)
    await writeRows(other, testUnit(job, 0), testRows(10))
    expect(keysOf(receiver)).toEqual(keys)
  })

  test('down to a single row, which is then refused for good while the others arrive', async () => {
    const large = testRows(7, id => 'x'.repeat(id === 4 ? 2_000 : 1))
    const { receiver, fail } = await fixture(({ raw }) => ({ status: raw.length > 1_500 ? 413 : 200 }), {
      compression: 'none',
    })
    const error = await fail(large)
    expect(error).toMatchObject({ code: 'delivery_failed', rest: 'delivered' })
    expect([...error.failed!.keys()]).toEqual([4])
    expect(error.failed!.get(4)).toMatchObject({ retryable: false, message: expect.stringContaining('a single row') })
    expect(receiver.rows).toEqual(json(large.filter(({ id }) => id !== 4)))

    const alone = await fixture(() => ({ status: 413 }))
    expect(await alone.fail(testRows(1))).toMatchObject({ code: 'delivery_failed', retryable: false })
  })

  test('also as Arrow streams', async () => {
    const large = testRows(7, id => 'x'.repeat(id === 4 ? 4_000 : 1))
    const { receiver, fail } = await fixture(({ raw }) => ({ status: raw.length > 3_000 ? 413 : 200 }), {
      body: 'arrow',
    })
    const error = await fail(large)
    expect([...error.failed!.keys()]).toEqual([4])
    expect(receiver.rows).toEqual(json(large.filter(({ id }) => id !== 4)))
    expect(receiver.requests[0]!.headers['content-type']).toBe('application/vnd.apache.arrow.stream')
  })

  test('loses only the piece that is refused', async () => {
    const { fail } = await fixture(({ rows }) => {
      if (rows.length > 2) return { status: 413 }
      return { status: rows.includes(testRows(4)[3]!.json) ? 422 : 200 }
    })
    const error = await fail(testRows(4))
    expect([[...error.failed!.keys()], error.rest]).toEqual([[2, 3], 'delivered'])
  })
})

describe('opening the webhook sink', () => {
  test('says that nobody listens', async () => {
    const receiver = await receive()
    await receiver.close()
    await expect(openSession(testJob(sinkTo(receiver)), true)).rejects.toMatchObject({
      code: 'destination_unavailable',
      message: `http://127.0.0.1:${receiver.port}: connect ECONNREFUSED 127.0.0.1:${receiver.port}`,
    })
  })

  test('refuses a certificate that nobody vouches for, unless it is given', async () => {
    const receiver = await receive({ secure: true })
    await expect(openSession(testJob(sinkTo(receiver)), true)).rejects.toMatchObject({
      code: 'destination_misconfigured',
      message: expect.stringContaining('self-signed certificate'),
    })
    const session = await openSession(testJob(sinkTo(receiver, { tls: { ca: CERTIFICATE } })), true)
    await session.close()
    expect(receiver.requests).toEqual([])
  })

  test("leaves connections to the host's own dispatcher, and that open", async () => {
    const agent = new Agent({ connections: 2 })
    const receiver = await receive()
    const sink = webhookSink({ name: 'test', url: receiver.url, dispatcher: agent })
    const job = testJob(sink)
    const session = await openSession(job)
    expect([receiver.connections, session.asks?.sharedMemory]).toEqual([0, false])
    await deliver(session, testUnit(job, 0), testRows(300))
    await session.close()
    expect(receiver.rows.toSorted()).toEqual(json(testRows(300)).toSorted())
    expect(agent.closed).toBe(false)
    await agent.close()
  })

  test("ends its requests when it is closed, also those of the host's own dispatcher", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    const receiver = await receive({
      answer() {
        resolve()
        return 'hang'
      },
    })
    const agent = new Agent()
    const job = testJob(webhookSink({ name: 'test', url: receiver.url, dispatcher: agent, concurrency: 1 }))
    const session = await openSession(job)
    const writes = [0, 1].map(number => writeRows(session, testUnit(job, number), testRows(3)))
    const ends = Promise.allSettled(writes)
    await asked
    await session.close()
    const closed = {
      status: 'rejected',
      reason: expect.objectContaining({ message: 'the webhook session was closed' }),
    }
    expect(await ends).toEqual([closed, closed])
    expect(receiver.requests).toHaveLength(1)
    await agent.destroy()
  })

  test('takes whatever has a request method, such as the dispatcher of another version', async () => {
    const seen: unknown[] = []
    const dispatcher = {
      async request({
        origin,
        path,
        method,
        body,
      }: {
        origin: string
        path: string
        method: string
        body: Uint8Array
      }) {
        seen.push([origin, path, method, Buffer.from(body).toString()])
        return { statusCode: 202, headers: {}, body: { dump: async () => {} } }
      },
    }
    const job = testJob(webhookSink({ name: 'test', url: 'https://example.com/a?b=c', dispatcher }))
    const session = await openSession(job)
    await deliver(session, testUnit(job, 0), testRows(1))
    expect(seen).toEqual([['https://example.com', '/a?b=c', 'POST', `[${testRows(1)[0]!.json}]`]])
  })

  test('ends when it is aborted', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    const receiver = await receive()
    const context = streamContext({ schema: { table: 't', columns: [], partitionKeys: [] }, signal })
    await expect(sinkTo(receiver).open(context)).rejects.toThrow('enough')
  })
})

test('secrets of the webhook sink are nowhere to be seen', async () => {
  const receiver = await receive({ answer: () => ({ status: 401, body: 's3cret of the answer' }) })
  const sink = sinkTo(receiver, {
    hashKey: 's3cret-key',
    headers: { Authorization: 'Bearer s3cret' },
    egress: { proxy: 'http://me:s3cret@127.0.0.1:1' },
  })
  const session = await openSession(testJob(sink))
  sessions.push(session)
  const error = await writeRows(session, testUnit(testJob(sink), 0), testRows(1)).catch(error => error)
  for (const each of [sink, session, error]) {
    expect(inspect(each, { depth: 10, showHidden: true })).not.toMatch(/s3cret/)
    expect(JSON.stringify(each)).not.toMatch(/s3cret/)
  }
  expect(inspect(error)).not.toContain('row 0')
})

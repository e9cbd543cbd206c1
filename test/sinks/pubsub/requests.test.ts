/** What the service is asked, and what becomes of its answers. */
import { afterAll, describe, expect, test } from 'vitest'
import { testJob, testRows, testUnit, writeRows } from '../../../src/testing/sink-driver.ts'
import { describeWith } from '../../servers/need.ts'
import { failure, open, reasons, send, sinksAt } from './sending.ts'
import { type Call, topicsAt } from './topics.ts'

const MB = 1_000_000

await describeWith('pubsub', 'publish requests', async facts => {
  const topics = await topicsAt(facts)
  const sinkTo = sinksAt(facts.host)
  afterAll(() => topics.close())

  describe.skipIf(facts.control === null)('(with a fake that takes orders)', () => {
    test('a batch is one request, and names the topic for the front ends', async () => {
      const topic = await topics.create()
      await send(sinkTo(topic), testRows(2_500), { batchRows: 10_000 })
      const calls = await topics.calls(topic)
      expect(calls.map(({ messages }) => messages).sort((a, b) => b - a)).toEqual([1_000, 1_000, 500])
      expect(new Set(calls.map(({ routing }) => routing))).toEqual(
        new Set([`topic=${encodeURIComponent(topics.nameOf(topic))}`]),
      )
    })

    test('a batch that attributes make larger than a request may be is sent as several, each as large as it may be', async () => {
      const topic = await topics.create()
      const attributes = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`a${at}`, 'x'.repeat(1_000)]))
      await send(sinkTo(topic, { attributes }), testRows(250))
      const calls = await topics.calls(topic)
      expect(calls.map(({ messages }) => messages)).toEqual([98, 98, 54])
      for (const { bytes } of calls) expect(bytes).toBeLessThanOrEqual(10 * MB)
      expect((await topics.read(topic, 250)).length).toBe(250)
    })

    test('the permission to publish is what counts', async () => {
      const topic = await topics.create()
      await topics.permit(topic, [])
      await expect(open(sinkTo(topic), 'none', true)).rejects.toMatchObject({
        code: 'destination_misconfigured',
        message: expect.stringContaining('need pubsub.topics.publish (roles/pubsub.publisher)'),
      })
      await topics.addFault(topic, { method: 'GetTopic', code: 'PERMISSION_DENIED' })
      await expect(open(sinkTo(topic), 'none', true)).rejects.toThrow('may not be published to')
      await topics.permit(topic, ['pubsub.topics.publish'])
      await (await open(sinkTo(topic), 'none', true)).close()
      await topics.permit('nowhere-either', [])
      await expect(open(sinkTo('nowhere-either'))).rejects.toThrow('does not exist')
    })

    test('a row that the service refuses is found, and the others arrive', async () => {
      const topic = await topics.create()
      const details = 'Invalid data in message: Message failed schema validation.'
      await topics.addFault(topic, { code: 'INVALID_ARGUMENT', details, contains: 'poison' })
      const rows = testRows(100, id => (id === 37 || id === 99 ? 'poison' : `row ${id}`))
      const error = await failure(send(sinkTo(topic), rows))
      expect(error).toMatchObject({ rest: 'delivered' })
      const refusal = `Pub/Sub topic "${topic}" refused a row: INVALID_ARGUMENT (${details})`
      expect(reasons(error)).toEqual({ 37: [false, refusal], 99: [false, refusal] })
      // by halving: no half that was taken is sent again
      expect((await topics.calls(topic)).length).toBe(23)
      const arrived = (await topics.arrived(topic)).map(({ data }) => data)
      expect(arrived).toEqual(rows.filter(({ id }) => id !== 37 && id !== 99).map(({ json }) => json))
    })

    test.each([
      ['UNAVAILABLE', 'destination_unavailable'],
      ['DEADLINE_EXCEEDED', 'destination_unavailable'],
      ['RESOURCE_EXHAUSTED', 'destination_unavailable'],
      ['ABORTED', 'destination_unavailable'],
      ['INTERNAL', 'destination_unavailable'],
      ['CANCELLED', 'destination_unavailable'],
      ['UNKNOWN', 'destination_unavailable'],
      ['NOT_FOUND', 'destination_misconfigured'],
      ['PERMISSION_DENIED', 'destination_misconfigured'],
      ['UNAUTHENTICATED', 'destination_misconfigured'],
      ['FAILED_PRECONDITION', 'destination_misconfigured'],
    ])('%s of a publish is %s, and only one attempt is made', async (code, means) => {
      const topic = await topics.create()
      await topics.addFault(topic, { code, details: 'as ordered', times: 1 })
      const error = await failure(send(sinkTo(topic), testRows(3)))
      expect(error).toMatchObject({
        code: means,
        retryable: means === 'destination_unavailable',
        failed: undefined,
        retryAfterMs: undefined,
        message: `Pub/Sub topic "${topic}": ${code} (as ordered)`,
      })
      expect((await topics.calls(topic)).length).toBe(1)
    })

    test('a row counts as delivered only when the service has named its message', async () => {
      const topic = await topics.create()
      await topics.addFault(topic, { code: 'FORGET', times: 1 })
      expect(await failure(send(sinkTo(topic), testRows(3)))).toMatchObject({
        retryable: true,
        message: `Pub/Sub topic "${topic}" acknowledged 2 of 3 messages`,
      })
    })

    test('how long the service wants to be left alone is passed on', async () => {
      const topic = await topics.create()
      await topics.addFault(topic, { code: 'RESOURCE_EXHAUSTED', times: 1, retry_ms: 12_345 })
      expect(await failure(send(sinkTo(topic), testRows(3)))).toMatchObject({ retryable: true, retryAfterMs: 12_345 })
    })

    test('of a batch in several requests only what is left has to be sent again', async () => {
      const topic = await topics.create()
      const attributes = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`a${at}`, 'x'.repeat(1_000)]))
      await topics.addFault(topic, { code: 'UNAVAILABLE', contains: '"row 150"', times: 1, retry_ms: 5 })
      const error = await failure(send(sinkTo(topic, { attributes }), testRows(250)))
      expect(error).toMatchObject({ rest: 'delivered', retryAfterMs: 5 })
      const failed = reasons(error)
      expect(Object.keys(failed).map(Number)).toEqual(Array.from({ length: 152 }, (_, at) => 98 + at))
      expect(new Set(Object.values(failed).map(([retryable]) => retryable))).toEqual(new Set([true]))
      expect((await topics.arrived(topic)).length).toBe(98)
    })

    test('under an order the messages of a key are never in two requests at once', async () => {
      const topic = await topics.create()
      const rows = testRows(4_000)
      // no request is answered before there is another beside it
      await topics.addFault(topic, { code: 'MEET', times: 2 })
      await send(sinkTo(topic, { orderingKey: 'key', inFlight: 4 }), rows, { batchRows: 10_000, order: 'key' })
      const calls = await topics.calls(topic)
      for (const key of new Set(calls.flatMap(({ keys }) => keys))) {
        const own = calls.filter(({ keys }) => keys.includes(key))
        expect(own.every((call, at) => at === 0 || own[at - 1]!.end < call.begin)).toBe(true)
      }
      expect(calls.some((call, at) => at > 0 && overlap(calls[at - 1]!, call))).toBe(true)
      expect(byKey(await topics.arrived(topic))).toEqual(
        byKey(rows.map(({ json, columns }) => ({ data: json, key: columns['key'] ?? '' }))),
      )
    })

    test('a publish that hangs ends with its signal, and with its time', async () => {
      const topic = await topics.create()
      const session = await open(sinkTo(topic))
      const unit = testUnit(testJob(sinkTo(topic)), 0)
      await topics.addFault(topic, { code: 'HANG' })
      const controller = new AbortController()
      const write = writeRows(session, unit, testRows(3), { signal: controller.signal })
      await expect.poll(async () => (await topics.calls(topic)).length).toBe(1)
      controller.abort(new Error('enough'))
      await expect(write).rejects.toThrow('enough')
      await session.close()
      const late = await failure(send(sinkTo(topic, { timeoutMs: 2_000 }), testRows(3)))
      // DEADLINE_EXCEEDED, or what the server makes of it if that is quicker
      expect(late).toMatchObject({ code: 'destination_unavailable', retryable: true, failed: undefined })
    })

    test('opening a topic that does not answer ends in time', async () => {
      const topic = await topics.create()
      await topics.addFault(topic, { method: 'GetTopic', code: 'HANG' })
      await expect(open(sinkTo(topic, { timeoutMs: 300 }))).rejects.toMatchObject({ code: 'destination_unavailable' })
    })
  })
})

function overlap(one: Call, other: Call): boolean {
  return one.begin < other.end && other.begin < one.end
}

/** In order; without those that have no key, whose order is free. */
function byKey(messages: readonly { readonly data: string; readonly key: string }[]): Record<string, string[]> {
  const groups = Map.groupBy(messages, ({ key }) => key)
  groups.delete('')
  return Object.fromEntries(Array.from(groups, ([key, group]) => [key, group.map(({ data }) => data)]))
}

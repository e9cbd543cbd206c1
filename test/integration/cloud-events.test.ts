/** Rows as CloudEvents at real destinations: what the payload says, and what goes beside it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CloudEventOptions } from '../../src/core/row-options.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import { natsSink } from '../../src/sinks/nats.ts'
import { pubsubSink } from '../../src/sinks/pubsub.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { webhookSink } from '../../src/sinks/webhook.ts'
import { engineOf, finished, ROWS, useEngines } from '../core/picky-sink.ts'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'
import { type Streams, streamsOf } from '../sinks/nats/streams.ts'
import { PROJECT, topicsAt } from '../sinks/pubsub/topics.ts'
import { startReceiver } from '../sinks/webhook/receiver.ts'

useEngines()

const TYPE = { type: 'com.example.number', source: '/numbers' }
const STRUCTURED = 'application/cloudevents+json; charset=UTF-8'
const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']

/** A message with what stands beside its payload, by lower-case name. */
interface Message {
  readonly value: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

async function deliver(sink: Sink, cloudEvents: CloudEventOptions) {
  const engine = engineOf([{ sink, rows: { cloudEvents } }])
  const job = await finished(engine, sink)
  expect(job).toMatchObject({ status: 'completed', error_message: null })
  return { engine, job }
}

/** The names of all rows: chunks of 3, 200 and 1. */
function namesOf(jobId: string): Map<string, number> {
  const places = [3, 200, 1].flatMap((rows, chunk) =>
    Array.from({ length: rows }, (_, row) => `${jobId}-${chunk}-${row}`),
  )
  return new Map(places.map((name, id) => [name, id]))
}

function expectStructured(jobId: string, messages: readonly Message[]): void {
  const ids = namesOf(jobId)
  const events = messages.map(({ value }) => JSON.parse(value) as { id: string })
  expect(new Set(events.map(({ id }) => id))).toEqual(new Set(ids.keys()))
  for (const event of events) {
    const id = ids.get(event.id)!
    const data = { id, word: WORDS[id % 10] }
    expect(event).toEqual({
      specversion: '1.0',
      ...TYPE,
      datacontenttype: 'application/json',
      id: event.id,
      subject: data.word,
      data,
    })
  }
  expect(new Set(messages.map(({ headers }) => headers['content-type']))).toEqual(new Set([STRUCTURED]))
}

function expectBinary(jobId: string, messages: readonly Message[], prefix: string): void {
  const ids = namesOf(jobId)
  expect(new Set(messages.map(({ headers }) => headers[`${prefix}id`]))).toEqual(new Set(ids.keys()))
  for (const { value, headers } of messages) {
    const id = ids.get(headers[`${prefix}id`]!)!
    expect(value).toBe(JSON.stringify({ id, word: WORDS[id % 10] }))
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      [`${prefix}specversion`]: '1.0',
      [`${prefix}type`]: TYPE.type,
      [`${prefix}source`]: TYPE.source,
    })
  }
}

const SUBJECT = { ...TYPE, subject: 'word' }
const BINARY = { ...TYPE, mode: 'binary' } as const

await describeWith('kafka', 'CloudEvents over Kafka', ({ brokers }) => {
  const topics = topicsOf(brokers)

  test('in both modes, which are verified alike', async () => {
    const [one, other] = [await topics.create(), await topics.create()]
    const structured = await deliver(kafkaSink({ name: 'events', brokers, topic: one }), SUBJECT)
    expectStructured(structured.job.job_id, await topics.read(one))
    const binary = await deliver(kafkaSink({ name: 'events', brokers, topic: other }), BINARY)
    expectBinary(binary.job.job_id, await topics.read(other), 'ce_')
    const to = { type: 'kafka', name: 'events' }
    const whole = { verdict: 'proven', found: ROWS, problems: [] }
    expect(await structured.engine.verify(structured.job.job_id, to)).toMatchObject({ ...whole, by: 'count and sum' })
    expect(await binary.engine.verify(binary.job.job_id, to)).toMatchObject({ ...whole, by: 'row ids' })
  })

  test('a header of its own for the id and binary mode do not go together', async () => {
    const sink = kafkaSink({ name: 'events', brokers, topic: await topics.create(), idHeader: 'row' })
    const job = await finished(engineOf([{ sink, rows: { cloudEvents: BINARY } }]), sink)
    expect(job).toMatchObject({
      status: 'failed',
      error_code: 'destination_misconfigured',
      error_message: expect.stringContaining('leave out the option that names "row"'),
    })
  })
})

await describeWith('pubsub', 'CloudEvents over Pub/Sub', async facts => {
  const topics = await topicsAt(facts)
  afterAll(() => topics.close())
  const sinkTo = (topic: string) => pubsubSink({ name: 'events', topic, projectId: PROJECT, apiEndpoint: facts.host })
  const read = async (topic: string): Promise<Message[]> =>
    (await topics.read(topic, ROWS)).map(({ data, attributes }) => ({ value: data, headers: attributes }))

  test('in both modes', async () => {
    const [one, other] = [await topics.create(), await topics.create()]
    const structured = await deliver(sinkTo(one), SUBJECT)
    expectStructured(structured.job.job_id, await read(one))
    const binary = await deliver(sinkTo(other), BINARY)
    expectBinary(binary.job.job_id, await read(other), 'ce-')
  })
})

await describeWith('nats', 'CloudEvents over NATS', ({ server }) => {
  let streams: Streams
  beforeAll(async () => {
    streams = await streamsOf(server)
  })
  afterAll(() => streams.close())

  test('in both modes', async () => {
    const [one, other] = [await streams.create(), await streams.create()]
    const sinkTo = (stream: string) => natsSink({ name: 'events', servers: server, subject: `${stream}.rows` })
    const structured = await deliver(sinkTo(one), SUBJECT)
    expectStructured(structured.job.job_id, await streams.read(one))
    const binary = await deliver(sinkTo(other), BINARY)
    expectBinary(binary.job.job_id, await streams.read(other), 'ce-')
  })
})

test('CloudEvents over HTTP are one a request, or a batch of them', async () => {
  const receiver = await startReceiver()
  const sinkTo = (body: 'row' | 'json-array') =>
    webhookSink({ name: 'events', url: receiver.url, body, allowNetworks: ['127.0.0.0/8'] })
  const messages = (): Message[] =>
    receiver.requests
      .splice(0)
      .flatMap(({ rows, headers }) =>
        rows.map(value => ({ value, headers: headers as Record<string, string | undefined> })),
      )
  try {
    const single = await deliver(sinkTo('row'), SUBJECT)
    expectStructured(single.job.job_id, messages())
    const binary = await deliver(sinkTo('row'), BINARY)
    expectBinary(binary.job.job_id, messages(), 'ce-')
    const batches = await deliver(sinkTo('json-array'), SUBJECT)
    const batched = messages()
    expect(new Set(batched.map(({ headers }) => headers['content-type']))).toEqual(
      new Set(['application/cloudevents-batch+json; charset=UTF-8']),
    )
    expectStructured(
      batches.job.job_id,
      batched.map(({ value }) => ({ value, headers: { 'content-type': STRUCTURED } })),
    )
    expect(() => engineOf([{ sink: sinkTo('json-array'), rows: { cloudEvents: BINARY } }])).toThrow('no binary mode')
  } finally {
    await receiver.close()
  }
})

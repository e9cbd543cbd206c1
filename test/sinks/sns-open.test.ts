import { SNSClient } from '@aws-sdk/client-sns'
import { describe, expect, test } from 'vitest'
import { type SnsSinkOptions, snsSink } from '../../src/sinks/sns.ts'
import { openSession, testJob, testRows, testUnit, writeRows } from '../../src/testing/sink-driver.ts'
import { describeWith } from '../servers/need.ts'
import { run } from '../servers/process.ts'
import { contextOf, rejection, SCHEMA } from './kafka/contexts.ts'
import { closedPort, silentServer } from './kafka/listeners.ts'
import { failure, startRelay, topicAttributes } from './sns/relay.ts'
import { CREDENTIALS, createTopic } from './sns/topics.ts'

const ARN = 'arn:aws:sns:eu-west-1:123456789012:orders'
const SINK: SnsSinkOptions = { name: 'orders', topicArn: ARN, credentials: CREDENTIALS }

describe('options', () => {
  test.each<[string, Partial<Record<keyof SnsSinkOptions, unknown>>, string]>([
    [
      'an ARN of something else',
      { topicArn: 'arn:aws:sqs:eu-west-1:1:q' },
      'topicArn: must be arn:aws:sns:REGION:ACCOUNT:NAME',
    ],
    ['a FIFO topic without a group', { topicArn: `${ARN}.fifo` }, 'group: a FIFO topic needs a message group'],
    ['a group with a space', { group: 'a b' }, 'group: must be 1 to 128 ASCII letters'],
    ['a reserved name', { attributes: { 'AWS.x': 'y' } }, 'not AWS. or Amazon.'],
    [
      'an attribute of another type',
      { attributes: { n: { column: 'id', type: 'Binary' } } },
      'attributes.n: must be a text',
    ],
    [
      'too many attributes',
      {
        attributes: Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`a${n}`, 'x'])),
        idAttribute: 'id',
      },
      'attributes: must be at most 10, the idAttribute included',
    ],
    ['an attribute twice', { attributes: { id: 'x' }, idAttribute: 'id' }, 'idAttribute: must not be one'],
    [
      'a client and credentials',
      { client: new SNSClient({ region: 'eu-west-1' }) },
      'credentials: must be given to the client',
    ],
    ['an endpoint without a scheme', { endpoint: 'localhost:4566' }, 'endpoint: must be an http or https URL'],
    ['no request at all', { maxRequests: 0 }, 'maxRequests: '],
    ['a word that is unknown', { topic: ARN } as object, 'options: '],
  ])('%s is an error', async (_, wrong, message) => {
    const error = await rejection((async () => snsSink({ ...SINK, ...wrong } as SnsSinkOptions))())
    expect(error).toMatchObject({ name: 'ConfigError', code: 'invalid_config' })
    expect(error.message).toContain(message)
    expect(error.message).not.toContain(CREDENTIALS.secretAccessKey)
  })

  test('all problems are told at once', () => {
    expect(() => snsSink({ ...SINK, name: '', timeoutMs: 0 })).toThrow(/name: .*; timeoutMs: /)
  })
})

test('a column that the table lacks, or that holds no numbers, is reported before SNS is asked', async () => {
  const sink = snsSink({
    ...{ ...SINK, group: { column: 'client' } },
    attributes: { total: { column: 'customer', type: 'Number' }, shop: { column: 'shop' } },
  })
  const error = await rejection(sink.open(contextOf({ probe: true })))
  expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
  expect(error.message).toBe(
    'table "shop.orders" does not fit the SNS sink: it has no column "client" for the message group; its column "customer" ' +
      'holds no numbers, and the attribute "total" is one; it has no column "shop" for the attribute "shop". ' +
      'Its columns are id, customer, at',
  )
})

test('a standard topic is refused where there is an order', async () => {
  const error = await rejection(snsSink(SINK).open(contextOf({ probe: true, order: 'key' })))
  expect(error).toMatchObject({ code: 'destination_misconfigured' })
  expect(error.message).toBe(`SNS topic ${ARN} keeps no order, and the destination has order "key": use a FIFO topic`)
})

test('without its driver the sink says how to install it', async () => {
  // a process of its own, in which the package cannot be found
  const program = `
    import { registerHooks } from 'node:module'
    registerHooks({ resolve(specifier, context, next) {
      if (specifier !== '@aws-sdk/client-sns') return next(specifier, context)
      throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: 'ERR_MODULE_NOT_FOUND' })
    } })
    const { snsSink } = await import(${JSON.stringify(new URL('../../src/sinks/sns.ts', import.meta.url).href)})
    const context = { schema: ${JSON.stringify(SCHEMA)}, probe: true, signal: new AbortController().signal }
    await snsSink(${JSON.stringify(SINK)}).open(context).catch(({ code, message }) => console.log(code, message))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program])
  expect(stdout.trim()).toBe(
    'missing_driver @aws-sdk/client-sns is not installed: run "npm install @aws-sdk/client-sns"',
  )
})

test('a service that cannot be reached may come back', async () => {
  const address = await closedPort()
  const error = await rejection(snsSink({ ...SINK, endpoint: `http://${address}` }).open(contextOf({ probe: true })))
  expect(error).toMatchObject({ code: 'destination_unavailable', retryable: true })
  expect(error.message).toBe(`SNS topic ${ARN}: connect ECONNREFUSED ${address}`)
})

test('a service that says nothing is given up at the deadline', async () => {
  const endpoint = `http://${await silentServer()}`
  const error = await rejection(snsSink({ ...SINK, endpoint, timeoutMs: 300 }).open(contextOf()))
  expect(error).toMatchObject({ code: 'destination_unavailable', retryable: true })
  expect(error.message).toBe(`SNS topic ${ARN}: no answer within 0.3 s (timeoutMs)`)
})

test('credentials that cannot be had are an error of the set-up', async () => {
  const credentials = async () => {
    throw Object.assign(new Error('Could not load credentials from any providers'), {
      name: 'CredentialsProviderError',
    })
  }
  const error = await rejection(snsSink({ ...SINK, credentials, endpoint: 'http://127.0.0.1:9' }).open(contextOf()))
  expect(error).toMatchObject({ code: 'destination_misconfigured' })
  expect(error.message).toBe(
    `SNS topic ${ARN}: CredentialsProviderError: Could not load credentials from any providers`,
  )
})

await describeWith('moto', 'snsSink, when it is opened', ({ endpoint }) => {
  test.each([true, false])('a topic that is missing is told (probe: %s)', async probe => {
    const error = await rejection(snsSink({ ...SINK, endpoint }).open(contextOf({ probe })))
    expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
    expect(error.message).toMatch(new RegExp(`^SNS topic ${ARN}: NotFound`))
  })

  test('a permission that is missing is told, with what SNS says of it', async () => {
    const relay = await startRelay(endpoint)
    const text = 'User: arn:aws:iam::1:user/me is not authorized to perform: SNS:GetTopicAttributes'
    relay.rule = () => failure(403, 'AuthorizationError', text)
    const error = await rejection(snsSink({ ...SINK, endpoint: relay.url }).open(contextOf({ probe: true })))
    expect(error).toMatchObject({ code: 'destination_misconfigured', retryable: false })
    expect(error.message).toContain(text)
    expect(relay.requests.length).toBe(1)
  })

  test('a topic of another kind than its name says is told, and so is one of another region', async () => {
    const relay = await startRelay(endpoint)
    relay.rule = () => topicAttributes({ FifoTopic: 'true' })
    const sink = snsSink({ ...SINK, endpoint: relay.url })
    expect((await rejection(sink.open(contextOf()))).message).toBe(`SNS topic ${ARN} is a FIFO topic, against its name`)
    relay.rule = () => failure(400, 'InvalidParameter', 'Invalid parameter: TopicArn')
    expect(await rejection(sink.open(contextOf()))).toMatchObject({ code: 'destination_misconfigured' })
  })

  test("a host's client is used, and left open", async () => {
    const topic = await createTopic(endpoint, { queue: false })
    const client = new SNSClient({ region: 'eu-west-1', endpoint, credentials: CREDENTIALS })
    let destroyed = 0
    const destroy = client.destroy.bind(client)
    client.destroy = () => {
      destroyed++
      destroy()
    }
    const job = testJob(snsSink({ name: 'test', topicArn: topic.arn, client }))
    for (const rows of [testRows(3), testRows(2)]) {
      const session = await openSession(job)
      await writeRows(session, testUnit(job, 0), rows)
      await session.close()
    }
    expect(await rejection(snsSink({ name: 'test', topicArn: ARN, client }).open(contextOf()))).toBeDefined()
    expect(destroyed).toBe(0)
    expect((await topic.published()).length).toBe(5)
    client.destroy()
  })
})

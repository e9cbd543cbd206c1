import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { isMillraceError, type MillraceError } from '../../../src/core/errors.ts'
import type { KafkaSinkOptions } from '../../../src/sinks/kafka.ts'
import { kafkaSink } from '../../../src/sinks/kafka.ts'

const GOOD: KafkaSinkOptions = { name: 'orders', brokers: ['127.0.0.1:9092'], topic: 'orders' }

function problemsOf(options: unknown): MillraceError {
  try {
    kafkaSink(options as KafkaSinkOptions)
  } catch (error) {
    if (isMillraceError(error)) return error
    throw error
  }
  throw new Error('the options were taken')
}

test('every problem of the options is listed with its path', () => {
  const error = problemsOf({
    name: '',
    brokers: [],
    topic: 'a topic',
    timestamp: { colum: 'at' },
    compression: 'brotli',
    idempotent: 'yes',
    createTopic: { partitions: 0 },
    deadlineMs: -1,
    brokerz: [],
  })
  expect(error.code).toBe('invalid_config')
  expect(error.problems.map(({ path }) => path).sort()).toEqual([
    'brokers',
    'compression',
    'createTopic.partitions',
    'createTopic.replicas',
    'deadlineMs',
    'idempotent',
    'name',
    'options',
    'timestamp',
    'topic',
  ])
  for (const { path, message } of error.problems) expect(error.message).toContain(`${path}: ${message}`)
})

test('brokers are hosts, with or without a port', () => {
  const brokers = ['localhost', 'kafka-1.example.com:9092', '10.0.0.1:1', '[::1]:9092']
  expect(kafkaSink({ ...GOOD, brokers }).name).toBe('orders')
  for (const broker of ['', 'kafka:port', 'kafka://localhost:9092', 'localhost:99999', 'a b:1', 'a:1,b:1']) {
    expect(problemsOf({ ...GOOD, brokers: [broker] }).problems).toEqual([
      { path: 'brokers.0', message: 'must be host:port' },
    ])
  }
})

test('an idempotent producer cannot do with fewer acknowledgements', () => {
  expect(problemsOf({ ...GOOD, acks: 1 }).problems).toEqual([
    { path: 'acks', message: 'must be "all" unless idempotent is false' },
  ])
  expect(kafkaSink({ ...GOOD, acks: 1, idempotent: false }).name).toBe('orders')
})

test.each([
  { mechanism: 'PLAIN', username: 'u', password: 5_551_234 },
  { mechanism: 'PLAIN', username: 'u', password: 'hunter2', realm: 'hunter2' },
  { mechanism: 'KERBEROS', username: 'u', password: 'hunter2' },
  { mechanism: 'OAUTHBEARER', password: 'hunter2' },
])('a mistake in sasl is reported without what it holds: %o', sasl => {
  const error = problemsOf({ ...GOOD, sasl })
  expect(error.problems[0]!.path).toMatch(/^sasl/)
  expect(inspect(error, { depth: null })).not.toMatch(/hunter2|5551234/)
})

test('a sink shows nothing but its type, its name and what it can do', () => {
  const sink = kafkaSink({
    ...GOOD,
    tls: { key: 'PRIVATE', ca: 'CA' },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'me', password: 'hunter2' },
  })
  expect(JSON.stringify(sink)).toBe('{"type":"kafka","name":"orders","takesMarkers":true,"binaryCloudEvents":true}')
  expect(inspect(sink, { depth: null, showHidden: true })).not.toMatch(/hunter2|PRIVATE/)
})

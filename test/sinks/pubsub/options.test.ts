import { inspect } from 'node:util'
import { PubSub } from '@google-cloud/pubsub'
import { expect, test } from 'vitest'
import type { ConfigError } from '../../../src/core/errors.ts'
import { type PubsubSinkOptions, pubsubSink } from '../../../src/sinks/pubsub.ts'

test('lists all that is wrong with its options, and repeats none of it', () => {
  const secret = 'hush-hush'
  const make = () =>
    pubsubSink({
      name: '',
      topic: 'no/such name',
      attributes: { googly: 'x', long: secret.repeat(200), row: 'x' },
      idAttribute: 'row',
      credentials: secret as never,
      client: { secret } as never,
      inFlight: 0,
      batchBytes: 10_000_000,
      timeoutMs: Number.NaN,
      retries: 3,
    } as PubsubSinkOptions)
  expect(make).toThrow(/^pubsubSink: /)
  const error = thrown(make)
  expect(error).toMatchObject({ name: 'ConfigError', code: 'invalid_config' })
  expect((error as ConfigError).problems.map(({ path }) => path).sort()).toEqual(
    [
      'attributes.googly',
      'attributes.long',
      'batchBytes',
      'client',
      'credentials',
      'inFlight',
      'name',
      'options',
      'timeoutMs',
      'topic',
    ].sort(),
  )
  expect(inspect(error)).not.toContain(secret)
})

test('knows which options do not go together', () => {
  const client = new PubSub({ projectId: 'tests' })
  const make = () =>
    pubsubSink({
      name: 'test',
      topic: 'projects/one/topics/events',
      projectId: 'another',
      attributes: { row: 'x' },
      idAttribute: 'row',
      credentials: {},
      keyFilename: 'key.json',
      client,
    })
  expect((thrown(make) as ConfigError).problems).toEqual([
    { path: 'credentials', message: 'the client has its own: leave it out' },
    { path: 'keyFilename', message: 'the client has its own: leave it out' },
    { path: 'keyFilename', message: 'give it or credentials, not both' },
    { path: 'projectId', message: 'the topic names another project' },
    { path: 'idAttribute', message: 'is one of the attributes already' },
  ])
})

function thrown(make: () => unknown): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  return undefined
}

import { expect, it } from 'vitest'
import type { MillraceError } from '../../../src/core/errors.ts'
import type { WebhookSinkOptions } from '../../../src/sinks/webhook/options.ts'
import { webhookSink } from '../../../src/sinks/webhook.ts'

const good = { name: 'test', url: 'https://example.com/hook' }
const problemsOf = (options: object): string[] => {
  try {
    webhookSink({ ...good, ...options } as WebhookSinkOptions)
  } catch (error) {
    const { code, problems, message } = error as MillraceError
    expect(code).toBe('invalid_config')
    expect(message).not.toMatch(/s3cret/)
    return problems.map(problem => problem.path)
  }
  return []
}

it.each<[string, object, string[]]>([
  ['none at all', { name: undefined, url: undefined }, ['name', 'url']],
  ['another protocol', { url: 'ftp://example.com' }, ['url']],
  ['credentials in the URL', { url: 'https://user:s3cret@example.com/' }, ['url']],
  ['a fragment', { url: 'https://example.com/#x' }, ['url']],
  ['unknown ones', { batchrows: 1 }, ['options']],
  [
    'sizes',
    { batchRows: 0, batchBytes: 0, lingerMs: -1, concurrency: 0, timeoutMs: 0 },
    ['batchRows', 'batchBytes', 'lingerMs', 'concurrency', 'timeoutMs'],
  ],
  ['batches of single rows', { body: 'row', batchRows: 2 }, ['batchRows']],
  ['a reserved header', { headers: { 'Content-Length': 's3cret' } }, ['headers.Content-Length']],
  ['a reserved header of the sink', { headers: { 'X-Idempotency-KEY': 's3cret' } }, ['headers.X-Idempotency-KEY']],
  ['a header of two lines', { headers: { 'X-A': 's3cret\r\nHost: b' } }, ['headers.X-A']],
  ['a name of a header', { headers: { 'X A': 's3cret' } }, ['headers.X A']],
  ['a short key', { standardWebhooks: { keys: ['whsec_s3cret'] } }, ['standardWebhooks.keys.0']],
  ['no keys', { standardWebhooks: { keys: [] } }, ['standardWebhooks.keys']],
  [
    'a network',
    { allowNetworks: ['10.0.0.0', '10.0.0.0/33', '::/129', '::/0', 'x/8'] },
    ['allowNetworks.0', 'allowNetworks.1', 'allowNetworks.2', 'allowNetworks.4'],
  ],
  ['an egress', { egress: { proxy: 'http://a', localAddress: '1.2.3.4' } }, ['egress']],
  [
    'a dispatcher with what it does itself',
    { dispatcher: { request() {} }, allowNetworks: [], egress: { localAddress: '1.2.3.4' } },
    ['allowNetworks', 'egress'],
  ],
  ['a private address', { url: 'https://10.0.0.1/' }, ['url']],
  ['a loopback address in octal', { url: 'http://0177.0.0.1/' }, ['url']],
  ['a loopback address in hexadecimal', { url: 'http://0x7f.1/' }, ['url']],
  ['a loopback address as one number', { url: 'http://2130706433/' }, ['url']],
  ['an IPv4-mapped address', { url: 'http://[::ffff:169.254.169.254]/' }, ['url']],
  ['good ones', { url: 'https://[2606:4700::1]/', headers: { 'X-A': 'b' } }, []],
])('%s', (_, options, expected) => {
  expect(problemsOf(options)).toEqual(expected)
})

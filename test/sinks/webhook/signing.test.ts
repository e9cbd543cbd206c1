import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import type { WebhookSinkOptions } from '../../../src/sinks/webhook/options.ts'
import { hashKeyHeaders, signatureHeaders, standardHeaders } from '../../../src/sinks/webhook/signing.ts'
import { openSession, testJob, testRows, testUnit, writeRows } from '../../../src/testing/sink-driver.ts'
import { type Received, sinkTo, startReceiver } from './receiver.ts'

const OLD = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const NEW = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const bytes = (text: string): Buffer => Buffer.from(text)

test('the vector that Standard Webhooks publishes comes out', () => {
  const headers = standardHeaders(
    [OLD],
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1614265330 },
    bytes('{"test": 2432232314}'),
  )
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('the HMAC under a hash key is that of RFC 4231', () => {
  // test case 2: key "Jefe", data "what do ya want for nothing?", cut where the headers end
  const hmac = createHmac('sha256', 'Jefe').update('what do ya want for nothing?').digest('hex')
  expect(hmac).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
  const headers = hashKeyHeaders('Jefe', { nonce: 'nonce', timestamp: 1700000000 }, bytes('[{"a":1}]'))
  expect(headers).toEqual({
    'x-webhook-timestamp': '1700000000',
    'x-webhook-nonce': 'nonce',
    'x-signature-256': `sha256=${createHmac('sha256', 'Jefe').update('nonce.1700000000.[{"a":1}]').digest('hex')}`,
  })
})

test('without keys nothing is signed', () => {
  expect(signatureHeaders({ hashKey: undefined, standardKeys: [] }, 'a', bytes('b'))).toEqual({})
})

async function send(options: Partial<WebhookSinkOptions>, times = 1): Promise<Received[]> {
  const receiver = await startReceiver()
  const job = testJob(sinkTo(receiver, options))
  const session = await openSession(job)
  for (let time = 0; time < times; time++) await writeRows(session, testUnit(job, 0), testRows(20))
  await session.close()
  await receiver.close()
  return receiver.requests
}

test('receivers with the old key and with the new one accept what is signed with both', async () => {
  const [request, again] = await send({ standardWebhooks: { keys: [NEW, OLD] } }, 2)
  const headers = request!.headers as Record<string, string>
  for (const key of [OLD, NEW]) expect(new Webhook(key).verify(request!.raw, headers)).toHaveLength(20)
  const stranger = new Webhook(`whsec_${Buffer.alloc(32, 9).toString('base64')}`)
  expect(() => stranger.verify(request!.raw, headers)).toThrow('No matching signature')
  expect(() => new Webhook(OLD).verify(Buffer.concat([request!.raw, bytes(' ')]), headers)).toThrow()
  expect(headers['webhook-id']).toMatch(/^msg_[0-9a-f]{32}$/)
  expect(again!.headers['webhook-id']).toBe(headers['webhook-id'])
})

test('the hash key signs what is sent, compressed if it is, with a nonce of its own each time', async () => {
  const requests = await send({ hashKey: 'secret', compression: 'gzip' }, 2)
  for (const { headers, raw } of requests) {
    const { 'x-webhook-nonce': nonce, 'x-webhook-timestamp': timestamp } = headers
    expect(nonce).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(600)
    const hmac = createHmac('sha256', 'secret').update(`${nonce}.${timestamp}.`).update(raw)
    expect(headers['x-signature-256']).toBe(`sha256=${hmac.digest('hex')}`)
  }
  expect(requests[0]!.headers['x-webhook-nonce']).not.toBe(requests[1]!.headers['x-webhook-nonce'])
})

import { inspect } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import type { WebhookSinkOptions } from '../../../src/sinks/webhook/options.ts'
import { openSession, testJob, testRows, testUnit, writeRows } from '../../../src/testing/sink-driver.ts'
import { CERTIFICATE } from './certificate.ts'
import { type ForwardProxy, startProxy } from './proxy.ts'
import { type Receiver, sinkTo, startReceiver } from './receiver.ts'

const open: (Receiver | ForwardProxy)[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(each => each.close()))
})

async function receive(secure = false): Promise<Receiver> {
  const receiver = await startReceiver({ secure })
  open.push(receiver)
  return receiver
}

async function proxied(): Promise<ForwardProxy> {
  const proxy = await startProxy()
  open.push(proxy)
  return proxy
}

async function send(to: Pick<Receiver, 'url'>, options: Partial<WebhookSinkOptions>, staticEgressIp = true) {
  const job = { ...testJob(sinkTo(to, options)), staticEgressIp }
  const session = await openSession(job)
  try {
    await writeRows(session, testUnit(job, 0), testRows(250))
  } finally {
    await session.close()
  }
}

test('a sink has a static egress address if one is configured', async () => {
  const to = await receive()
  expect(sinkTo(to).staticEgress).toBe(false)
  expect(sinkTo(to, { egress: { localAddress: '127.0.0.2' } }).staticEgress).toBe(true)
})

test.runIf(process.platform === 'linux')(
  'connections come from the local address for jobs that ask for it, and for no others (all of 127.0.0.0/8 is local on Linux only)',
  async () => {
    const to = await receive()
    const egress = { localAddress: '127.0.0.2' }
    await send(to, { egress })
    expect(new Set(to.requests.map(({ from }) => from))).toEqual(new Set(['127.0.0.2']))
    await send(to, { egress }, false)
    expect(to.requests.slice(3).map(({ from }) => from)).toEqual(Array(3).fill('127.0.0.1'))
    expect(to.rows).toHaveLength(500)
  },
)

test('an address that is not of this machine is told when the sink is opened', async () => {
  const to = await receive()
  await expect(send(to, { egress: { localAddress: '192.0.2.1' } })).rejects.toMatchObject({
    code: 'destination_unavailable',
    message: expect.stringContaining('EADDRNOTAVAIL'),
  })
})

test('requests go through the proxy for jobs that ask for it, and for no others', async () => {
  const [to, proxy] = [await receive(), await proxied()]
  const options = { egress: { proxy: proxy.url } }
  await send(to, options, false)
  expect(proxy.targets).toEqual([])
  await send(to, options)
  expect(proxy.targets).toEqual(Array(3).fill(`POST 127.0.0.1:${to.port}`))
  expect(to.rows).toHaveLength(500)
  expect(to.requests[3]).toMatchObject({
    path: '/hook?token=s3cret-of-the-url',
    headers: { 'x-idempotency-key': expect.stringContaining('-0-0-0-99'), host: `127.0.0.1:${to.port}` },
  })
  expect(to.requests[3]!.headers['proxy-authorization']).toBeUndefined()
})

test('TLS goes through the proxy from end to end', async () => {
  const [to, proxy] = [await receive(true), await proxied()]
  await send(to, { egress: { proxy: proxy.url }, tls: { ca: CERTIFICATE } })
  expect(new Set(proxy.targets)).toEqual(new Set([`CONNECT 127.0.0.1:${to.port}`]))
  expect(to.rows).toHaveLength(250)
  await expect(send(to, { egress: { proxy: proxy.url } })).rejects.toMatchObject({
    code: 'destination_misconfigured',
    message: expect.stringContaining('self-signed certificate'),
  })
})

test('what is not public is refused before the proxy is asked', async () => {
  const [to, proxy] = [await receive(), await proxied()]
  const url = `http://localhost:${to.port}/`
  await expect(send({ url }, { egress: { proxy: proxy.url }, allowNetworks: [] })).rejects.toMatchObject({
    code: 'destination_misconfigured',
    message: expect.stringContaining('is not a public address'),
  })
  expect(proxy.targets).toEqual([])
})

test('a proxy that refuses, or is not there, is told without its credentials', async () => {
  for (const to of [await receive(), await receive(true)]) {
    const proxy = await proxied()
    const url = proxy.url.replace('s3cret', 's3cret-but-wrong')
    const refused = await send(to, { egress: { proxy: url } }).catch(error => error)
    expect(refused).toMatchObject({ code: 'destination_misconfigured', message: expect.stringContaining('407') })
    await proxy.close()
    const gone = await send(to, { egress: { proxy: url } }).catch(error => error)
    expect(gone).toMatchObject({ code: 'destination_unavailable' })
    for (const error of [refused, gone]) expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/s3cret/)
    open.splice(open.indexOf(proxy), 1)
  }
})

import type { LookupAddress, lookup } from 'node:dns'
import { isIPv4 } from 'node:net'
import { expect, test } from 'vitest'
import { addressFilter, isNetwork } from '../../../src/sinks/webhook/addresses.ts'
import { createGuard } from '../../../src/sinks/webhook/guard.ts'
import { openSession, testJob, testRows, testUnit, writeRows } from '../../../src/testing/sink-driver.ts'
import { sinkTo, startReceiver } from './receiver.ts'

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
]
const PUBLIC_IPV6 = [
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
  '2001:200::1',
  '::ffff:8.8.8.8',
  '64:ff9b::808:808',
]
const SPECIAL = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
]
const SPECIAL_IPV6 = [
  '::',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::7f00:1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '0:0:0:0:0:ffff:a9fe:a9fe',
  '::ffff:0:127.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::1',
  '100::1',
  '2001::1',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  '2001:2::1',
  '2001:10::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '2002:0808:0808::1',
  '3fff::1',
  '4000::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
]

test('public addresses are permitted and all special ones refused, in every notation', () => {
  const permits = addressFilter([])
  expect([...PUBLIC, ...PUBLIC_IPV6].filter(address => !permits(address))).toEqual([])
  expect([...SPECIAL, ...SPECIAL_IPV6, ...SPECIAL.map(address => `::ffff:${address}`)].filter(permits)).toEqual([])
  expect(['', 'localhost', '1.2.3', '0x7f.0.0.1', '1.1.1.1 '].filter(permits)).toEqual([])
})

test('a network is permitted by name, also for what is embedded in IPv6, and no other with it', () => {
  const permits = addressFilter(['10.1.0.0/16', 'fd00::/8', '127.0.0.1/32'])
  const permitted = ['10.1.2.3', '::ffff:10.1.2.3', '64:ff9b::10.1.2.3', 'fd12::1', '127.0.0.1', '8.8.8.8']
  expect(permitted.filter(address => !permits(address))).toEqual([])
  expect(['10.2.0.1', 'fc00::1', '127.0.0.2', '::1', '64:ff9b::10.2.0.1'].filter(permits)).toEqual([])
  expect(addressFilter(['2002::/16'])('2002:7f00:1::')).toBe(true)
})

test('networks are written in CIDR', () => {
  expect(['10.0.0.0/8', '::/0', '::1/128', '0.0.0.0/0'].filter(text => !isNetwork(text))).toEqual([])
  expect(
    ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '::/129', '/8', 'a/8', '10.0.0.0/8/8', '10.0.0.0/-1'].filter(isNetwork),
  ).toEqual([])
})

/** A resolver that gives one answer after the other. */
function resolver(...answers: readonly (readonly string[])[]) {
  const asked: string[] = []
  const resolve = ((host: string, _: unknown, done: (error: null, found: LookupAddress[]) => void) => {
    const addresses = answers[asked.push(host) - 1] ?? []
    done(
      null,
      addresses.map(address => ({ address, family: isIPv4(address) ? 4 : 6 })),
    )
  }) as unknown as typeof lookup
  return { asked, resolve }
}

const lookUp = (guard: ReturnType<typeof createGuard>, all: boolean): Promise<unknown> =>
  new Promise(done =>
    guard.lookup('a.example', { all }, (error, address, family) =>
      done(error?.message ?? (all ? address : [address, family])),
    ),
  )

test('of what a name resolves to only what is permitted is connected to, each time anew', async () => {
  const { asked, resolve } = resolver(
    ['127.0.0.1', '8.8.8.8'],
    ['::1', '1.1.1.1'],
    ['169.254.169.254', '::ffff:10.0.0.1'],
  )
  const guard = createGuard([], resolve)
  expect(await lookUp(guard, true)).toEqual([{ address: '8.8.8.8', family: 4 }])
  expect(await lookUp(guard, false)).toEqual(['1.1.1.1', 4])
  expect(await lookUp(guard, true)).toBe(
    'a.example (169.254.169.254, ::ffff:10.0.0.1) is not a public address: permit its network with allowNetworks',
  )
  expect(asked).toEqual(Array(3).fill('a.example'))
})

test('what a proxy is to resolve is checked where it resolves here, and passes where it does not', async () => {
  const mixed = createGuard([], resolver(['8.8.8.8', '10.0.0.1'], []).resolve)
  await expect(mixed.check('a.example')).rejects.toMatchObject({ code: 'destination_misconfigured' })
  await mixed.check('a.example')
})

test('a name of this machine is refused at the connection, and reached where its network is permitted', async () => {
  const receiver = await startReceiver()
  const url = `http://localhost:${receiver.port}/`
  try {
    const refused = testJob(sinkTo({ url }, { allowNetworks: ['10.0.0.0/8'] }))
    await expect(openSession(refused, true)).rejects.toMatchObject({
      code: 'destination_misconfigured',
      retryable: false,
      message: expect.stringMatching(/^localhost \(.*127\.0\.0\.1.*\) is not a public address/),
    })
    expect(receiver.connections).toBe(0)

    const job = testJob(sinkTo({ url }))
    const session = await openSession(job)
    await writeRows(session, testUnit(job, 0), testRows(1))
    await session.close()
    expect(receiver.rows).toHaveLength(1)
  } finally {
    await receiver.close()
  }
})

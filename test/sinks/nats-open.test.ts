import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { nkeys } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/core/errors.ts'
import { type NatsSinkOptions, natsSink } from '../../src/sinks/nats.ts'
import type { SinkContext } from '../../src/sinks/sink.ts'
import { startNats } from '../servers/nats.ts'
import { describeWith } from '../servers/need.ts'
import { freePorts, hasCommand, run, type ServerProcess, workDirectory } from '../servers/process.ts'
import { contextOf, NEVER, rejection } from './kafka/contexts.ts'
import { batchOf } from './nats/batches.ts'
import { type Streams, streamsOf } from './nats/streams.ts'

const hasOpenssl = await hasCommand('openssl', 'version')

describe('options of natsSink', () => {
  const problemsOf = (options: unknown): readonly string[] => {
    try {
      natsSink(options as NatsSinkOptions)
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      return (error as ConfigError).problems.map(({ path, message }) => `${path}: ${message}`)
    }
    return []
  }
  const base = { name: 'orders', servers: 'localhost', subject: 'orders.new' }

  test('every problem is listed, with its path and without a value', () => {
    const wrong = {
      name: '',
      servers: ['nats://ann:secret@host:4222'],
      subject: 'orders.*',
      stream: 'a b',
      headers: { 'Nats-Msg-Id': 'mine', fine: 'two\r\nlines' },
      auth: { user: 'ann' },
      maxPending: 0,
      timeoutMs: 1.5,
      colour: 'crimson',
    }
    const problems = problemsOf(wrong)
    expect(problems.map(problem => problem.slice(0, problem.indexOf(':')))).toEqual([
      'name',
      'servers',
      'subject',
      'stream',
      'headers.Nats-Msg-Id',
      'headers.fine',
      'auth',
      'maxPending',
      'timeoutMs',
      'options',
    ])
    expect(problems).toContain('servers: must be host:port; credentials belong into auth')
    expect(problems.join()).not.toMatch(/secret|mine|lines\r|crimson/)
  })

  test.each([
    ['orders', true],
    ['orders.{customer}', true],
    ['orders.{region}-{customer}.x', true],
    ['$KV.prices.{id}', true],
    ['{customer}.orders', false],
    ['x-{customer}', false],
    ['', false],
    ['orders..new', false],
    ['orders.', false],
    ['.orders', false],
    ['orders.>', false],
    ['or ders', false],
    ['orders.{}', false],
    ['orders.{customer', false],
    ['orders.customer}', false],
  ])('the subject %j is taken: %j', (subject, isTaken) => {
    expect(problemsOf({ ...base, subject }).length).toBe(isTaken ? 0 : 1)
  })

  test('servers or a connection, and what belongs to each', () => {
    const connection = { publish() {}, subscribe() {} }
    expect(problemsOf({ ...base, servers: undefined })).toEqual(['servers: must be given, or else a connection'])
    expect(problemsOf({ ...base, connection })).toEqual(['servers: must be given, or else a connection'])
    expect(problemsOf({ ...base, servers: undefined, connection: {} })).toContain(
      'connection: must be a NatsConnection',
    )
    expect(problemsOf({ ...base, servers: undefined, connection, tls: true })).toEqual([
      'connection: takes no auth and no tls: it is connected',
    ])
    expect(problemsOf({ ...base, servers: ['nats://[::1]:4222', 'host', 'host:1'] })).toEqual([])
    expect(problemsOf({ ...base, servers: 'host:70000' }).length).toBe(1)
  })
})

await describeWith('nats', 'natsSink opens', ({ server, program }) => {
  let streams: Streams
  beforeAll(async () => {
    streams = await streamsOf(server)
  })
  afterAll(() => streams.close())

  type Options = Partial<NatsSinkOptions> & { readonly subject: string }

  /** The error of both a probe and a real opening. */
  async function problem(options: Options, parts: Partial<SinkContext> = {}) {
    const sink = natsSink({ name: 'orders', servers: server, ...options })
    const errors = [true, false].map(probe => rejection(sink.open(contextOf({ probe, ...parts }))))
    const [probed, opened] = await Promise.all(errors)
    expect(probed!.message).toBe(opened!.message)
    return { code: opened!.code, message: opened!.message.replace(`NATS subject ${options.subject} at `, '') }
  }

  test('not where no stream takes the subject, or the stream does not exist', async () => {
    expect(await problem({ subject: 'nobody.{customer}' })).toEqual({
      code: 'destination_misconfigured',
      message: `${server}: no stream takes nobody.*: give one of them this subject`,
    })
    expect(await problem({ subject: 'nobody.x', stream: 'missing' })).toEqual({
      code: 'destination_misconfigured',
      message: `${server}: stream missing does not exist: create it`,
    })
  })

  test('not where the stream takes only some of the subjects', async () => {
    const stream = await streams.create()
    const subjects = [`${stream}a.*.new`, `${stream}b.ann.>`]
    await streams.manager.streams.update(stream, { subjects })
    const rest = `does not take all of ${stream}a.*.*: its subjects are ${subjects.join(', ')}`
    expect(await problem({ subject: `${stream}a.{customer}.{id}` })).toEqual({
      code: 'destination_misconfigured',
      message: `${server}: stream ${stream} ${rest}`,
    })
    for (const subject of [`${stream}a.{customer}.new`, `${stream}b.ann.{id}.x-{id}`]) {
      const session = await natsSink({ name: 'orders', servers: server, subject }).open(contextOf())
      await session.close()
    }
    const other = await streams.create({ subjects: [`${stream}a.*.old`] })
    expect((await problem({ subject: `${stream}a.{customer}.{id}` })).message).toBe(
      `${server}: several streams (${[stream, other].sort().join(', ')}) take some of ${stream}a.*.*: give one of them this subject`,
    )
  })

  test('not where the stream does not acknowledge or takes nothing', async () => {
    const silent = await streams.create({ no_ack: true })
    expect((await problem({ subject: `${silent}.x` })).message).toContain('acknowledges nothing (no_ack)')
    const sealed = await streams.create()
    // which the client's types leave out
    const closing = { subjects: [`${sealed}.>`], sealed: true }
    await streams.manager.streams.update(sealed, closing)
    expect((await problem({ subject: `${sealed}.x` })).message).toContain('is sealed')
    const mirror = `m${sealed}`
    await streams.manager.streams.add({ name: mirror, mirror: { name: silent } })
    expect((await problem({ subject: `${silent}.x`, stream: mirror })).message).toContain(
      `is a mirror, and takes messages only from ${silent}`,
    )
  })

  test('not without the columns of the subject', async () => {
    const stream = await streams.create()
    expect(await problem({ subject: `${stream}.{customer}.{colour}` })).toEqual({
      code: 'destination_misconfigured',
      message: `${server}: table "shop.orders" has no column "colour". Its columns are id, customer, at`,
    })
  })

  test('not where nobody listens, nobody answers, or the signal aborts', async () => {
    const [port] = await freePorts(1)
    const closed = await problem({ subject: 'orders.x', servers: `127.0.0.1:${port}` })
    expect(closed).toMatchObject({ code: 'destination_unavailable', message: expect.stringContaining('refused') })
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const servers = `127.0.0.1:${(silent.address() as AddressInfo).port}`
    expect(await problem({ subject: 'orders.x', servers, deadlineMs: 100 })).toEqual({
      code: 'destination_unavailable',
      message: `${servers}: could not be opened within 0.1 s (deadlineMs)`,
    })
    const signal = AbortSignal.abort(new Error('enough'))
    const sink = natsSink({ name: 'orders', subject: 'orders.x', servers })
    await expect(sink.open(contextOf({ signal }))).rejects.toThrow('enough')
    silent.close()
  })

  describe.skipIf(program === null)('where users have to log in (needs a server that tests may start)', () => {
    const SECRET = 'S3cret-of-ann'
    const user = nkeys.createUser()
    const seed = new TextDecoder().decode(user.getSeed())
    let dir: string
    let secured: ServerProcess
    let servers: string
    let own: Streams
    let stream: string

    beforeAll(async () => {
      const [port] = (await freePorts(1)) as [number]
      dir = await workDirectory('nats-config')
      const config = join(dir, 'server.conf')
      await writeFile(
        config,
        `authorization { users = [
          { user: ann, password: "${SECRET}" }
          { nkey: ${user.getPublicKey()} }
          { user: reader, password: "${SECRET}", permissions: { publish: ["$JS.API.>", "elsewhere.>"] } }
          { user: known, password: "${SECRET}", permissions: { publish: ["$JS.API.>", "$SYS.REQ.USER.INFO"] } }
          { user: some, password: "${SECRET}", permissions: { publish: { deny: ["*.no"] } } }
          { user: boxed, password: "${SECRET}", permissions: { subscribe: ["_MINE.>"] } }
          { user: blind, password: "${SECRET}", permissions: { publish: ["orders.>", "s*.>"] } }
        ] }`,
      )
      secured = await startNats(program!, { port, config })
      servers = `127.0.0.1:${port}`
      own = await streamsOf(servers, { user: 'ann', pass: SECRET })
      stream = await own.create()
    })
    afterAll(async () => {
      await own.close()
      await secured.stop()
      await rm(dir, { recursive: true })
    })

    const password = SECRET
    const write = async (options: Partial<NatsSinkOptions>, subject = `${stream}.x`) => {
      const session = await natsSink({ name: 'orders', servers, subject, ...options }).open(contextOf())
      const batch = batchOf({ rows: ['{}'], customer: ['no'], ids: [`${Math.random()}`] })
      return session.write(batch, NEVER).finally(() => session.close())
    }

    test('with a password or a key, also from a function', async () => {
      const auths = [
        { user: 'ann', password },
        { user: () => 'ann', password: () => password },
        { nkey: seed },
        { nkey: () => `${seed}\n` },
      ]
      for (const auth of auths) expect(await write({ auth })).toMatchObject([{ partition: 0 }])
      expect(await write({ auth: { user: 'boxed', password }, inboxPrefix: '_MINE' })).toMatchObject([{ partition: 0 }])
    })

    test.each<[string, NonNullable<NatsSinkOptions['auth']> | undefined, RegExp]>([
      ['no credentials', undefined, /authorization violation/i],
      ['a wrong password', { user: 'ann', password: `${SECRET}-wrong` }, /authorization violation/i],
      ['a token where there is none', { token: SECRET }, /authorization violation/i],
      ['a seed that is none', { nkey: SECRET }, /nkeys: invalid encoded key/],
      ['credentials that are none', { credentials: SECRET }, /unable to parse credentials/],
      ['no permission to ask for the stream', { user: 'blind', password }, /permissions violation.*STREAM/i],
      ['no permission to publish, at once', { user: 'known', password }, /the user may not publish to s\w+\.x$/],
      ['no permission to publish, when it does', { user: 'reader', password }, /may not publish to one of s\w+\.x$/],
      ['no permission to hear answers', { user: 'boxed', password }, /permissions violation.*_INBOX/i],
    ])('not with %s, which is told without secrets', async (_title, auth, message) => {
      const error = await rejection(write(auth ? { auth } : {}))
      expect(error).toMatchObject({ code: 'destination_misconfigured', message: expect.stringMatching(message) })
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('S3cret')
    })

    test('a message that the user may not publish fails the destination, and its subject is not told', async () => {
      const error = await rejection(write({ auth: { user: 'some', password } }, `${stream}.{customer}`))
      expect(error).toMatchObject({ code: 'destination_misconfigured' })
      expect(error.message).toBe(
        `NATS subject ${stream}.{customer} at ${servers}: the user may not publish to one of ${stream}.*`,
      )
      expect(inspect(error)).not.toContain(`${stream}.no`)
    })

    test.skipIf(!hasOpenssl)('over TLS, with a certificate that is trusted (needs openssl)', async () => {
      const dir = await workDirectory('nats-tls')
      const [key, cert, config] = ['key.pem', 'cert.pem', 'server.conf'].map(name => join(dir, name)) as string[]
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
      const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', key!, '-out', cert!]
      await run('openssl', ['req', '-x509', '-nodes', '-days', '1', ...made, ...names])
      await writeFile(config!, `tls { cert_file: "${cert}", key_file: "${key}" }\nauthorization { token: "${SECRET}" }`)
      const [port] = (await freePorts(1)) as [number]
      const encrypted = await startNats(program!, { port, config: config! })
      const secure = { servers: `localhost:${port}`, auth: { token: SECRET } }

      // the stream is asked for, so the connection stands
      const trusted = [{ caFile: cert! }, { ca: await readFile(cert!, 'utf8') }, { rejectUnauthorized: false }]
      for (const tls of trusted)
        expect((await rejection(write({ ...secure, tls }, 'nobody.x'))).message).toContain('no stream takes nobody.x')
      for (const tls of [{}, { tls: true as const }])
        expect(await rejection(write({ ...secure, ...tls }, 'nobody.x'))).toMatchObject({
          code: 'destination_misconfigured',
          message: expect.stringContaining('self-signed certificate'),
        })
      expect(await rejection(write({ servers, tls: true, auth: { user: 'ann', password } }))).toMatchObject({
        code: 'destination_misconfigured',
        message: expect.stringContaining("does not support 'tls'"),
      })
      await encrypted.stop()
      await rm(dir, { recursive: true })
    })

    test('a sink shows nothing of its credentials', () => {
      const sink = natsSink({ name: 'orders', servers, subject: 'orders.x', auth: { user: 'ann', password } })
      expect(inspect(sink, { depth: 10, showHidden: true }) + JSON.stringify(sink)).not.toContain(SECRET)
    })
  })
})

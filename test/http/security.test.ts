/** What others than well-meaning clients send. */
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MillraceError, StoreError } from '../../src/core/errors.ts'
import { hashedKeys } from '../../src/http/api.ts'
import { errorSchema } from '../../src/http/errors.ts'
import { nodeListener } from '../../src/http/node.ts'
import { OPERATIONS } from '../../src/http/operations.ts'
import type { Created } from '../../src/http/schemas.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type Asking, BASE, bodyOf, KEYS, numbersRequest, type Service, sha256, startService } from './service.ts'

let service: Service
let jobId: string

beforeAll(async () => {
  service = await startService({}, { maxBodyBytes: 100_000, maxValueSetBytes: 200_000 })
  jobId = (await bodyOf<Created>(service.ask('', { json: numbersRequest }))).job_id
  for await (const _ of service.engine.watch(jobId, { organization_id: 'one' }));
})
afterAll(() => service[Symbol.asyncDispose]())

interface Failure {
  readonly code: string
  readonly message: string
  readonly details: readonly { readonly path: string; readonly message: string }[]
}

async function failure(asked: Response | Promise<Response>, status: number): Promise<Failure> {
  const body = await bodyOf(asked, status)
  expect(errorSchema.strict().parse(body)).toEqual(body)
  return (body as { error: Failure }).error
}

const BODIES: Readonly<Record<string, unknown>> = {
  '/{id}/dead-letters/redrive': { type: 'memory', name: 'out' },
  '/{id}/redeliver': { type: 'memory', name: 'out' },
  '/{id}/destinations/{type}/{name}': { pace: null },
}

function filled(path: string): string {
  return path.replace('{id}', jobId).replace('{type}', 'memory').replace('{name}', 'out')
}

const ofJobs = OPERATIONS.filter(({ path }) => path.includes('{id}'))

describe('organizations', () => {
  it.each(ofJobs.map(({ method, path }) => [method, path]))(
    "do not find each other's jobs: %s %s",
    async (method, path) => {
      const asking: Asking = {
        method: method.toUpperCase(),
        key: KEYS.two,
        ...(BODIES[path] ? { json: BODIES[path] } : {}),
      }
      const other = await failure(service.ask(filled(path), asking), 404)
      // nor does anything tell a job of another from one that there never was
      const none = filled(path).replace(
        jobId,
        jobId.replaceAll(/./g, each => (each === '-' ? '-' : '0')),
      )
      const never = await failure(service.ask(none, asking), 404)
      expect(other.message.replaceAll(/[0-9a-f-]{36}/g, 'ID')).toBe(never.message.replaceAll(/[0-9a-f-]{36}/g, 'ID'))
    },
  )

  it.each(ofJobs.filter(({ method }) => method !== 'get').map(({ method, path }) => [method, path]))(
    'learn nothing from broken bodies either: %s %s',
    async (method, path) => {
      const asking: Asking = { method: method.toUpperCase(), key: KEYS.two, json: { nonsense: true } }
      await failure(service.ask(filled(path), asking), 404)
    },
  )

  it("do not see each other's jobs in lists, whatever the cursor", async () => {
    await bodyOf<Created>(service.ask('', { json: numbersRequest }))
    const { headers } = await service.ask('?limit=1')
    const next = /^<(.*)>; rel="next"$/.exec(headers.get('link')!)![1]!
    for (const query of ['', '?limit=5', next]) expect(await bodyOf(service.ask(query, { key: KEYS.two }))).toEqual([])
  })
})

describe('keys', () => {
  it.each(OPERATIONS.map(({ method, path }) => [method, path]))('are asked for: %s %s', async (method, path) => {
    for (const key of [
      null,
      '',
      'key of nobody',
      `${KEYS.one} `.repeat(2),
      `${KEYS.one}, ${KEYS.two}`,
      'x'.repeat(10_000),
    ]) {
      const response = await service.ask(filled(path), { method: method.toUpperCase(), key })
      expect(response.headers.get('www-authenticate')).toBe('X-API-Key')
      expect((await failure(response, 401)).code).toBe('unauthenticated')
    }
  })

  it('are refused in URLs', async () => {
    for (const name of ['api_key', 'apiKey', 'X-API-Key', 'key', 'access_token']) {
      const { message } = await failure(service.ask(`?${name}=${KEYS.one}`), 400)
      expect(message).not.toContain(KEYS.one)
      await failure(service.ask(`//healthz?${name}=x`), 400)
    }
  })

  it('are many for one organization, of which any can be taken away', async () => {
    const keys = ['old', 'new'].map(key => ({ organization: 'one', sha256: sha256(key) }))
    await using rotating = await startService({}, { authenticate: hashedKeys(keys) })
    await bodyOf(rotating.ask('', { key: 'old' }))
    await bodyOf(rotating.ask('', { key: 'new' }))
    const after = hashedKeys(keys.slice(1))
    expect([await after('old'), await after('new')]).toEqual([null, 'one'])
  })

  it('cannot be configured in ways that cannot be right', () => {
    const hash = sha256('a key')
    expect(() => hashedKeys([])).toThrow(/API keys/)
    expect(() => hashedKeys([{ organization: 'one', sha256: 'a key' }])).toThrow(/0.sha256: must be the SHA-256/)
    expect(() => hashedKeys([{ organization: 'one', sha256: 'a key' }])).not.toThrow(/a key"/)
    const twice = [hash, hash.toUpperCase()].map((sha256, index) => ({ organization: `${index}`, sha256 }))
    expect(() => hashedKeys(twice)).toThrow(/there twice/)
  })

  it('have a rate each', async () => {
    await using limited = await startService({}, { rateLimit: { perSecond: 0.01, burst: 2 } })
    await bodyOf(limited.ask(''))
    await bodyOf(limited.ask(''))
    const refused = await limited.ask('')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(90)
    expect((await failure(refused, 429)).code).toBe('too_many_requests')
    await bodyOf(limited.ask('', { key: KEYS.two }))
  })
})

describe('bodies', () => {
  const json = (body: string): Asking => ({ body, headers: { 'content-type': 'application/json' } })

  it('are bounded, with and without a length, before all of it was read', async () => {
    const large = JSON.stringify({ ...numbersRequest, job_name: 'x'.repeat(100_000) })
    expect((await failure(service.ask('', json(large)), 413)).message).toContain('100000 bytes')
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(10_000).fill(32))
      },
    })
    await failure(service.ask('', { ...json(''), body: endless }), 413)
    expect(pulled).toBeLessThan(20)
    const values = { body: '"0123456789"\n'.repeat(20_000), headers: { 'content-type': 'application/x-ndjson' } }
    expect((await failure(service.ask('/value-sets', values), 413)).message).toContain('200000 bytes')
    const lied = { ...json(large), headers: { 'content-type': 'application/json', 'content-length': '5' } }
    await failure(service.ask('', lied), 413)
  })

  it.each([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ["{'table': 1}", 'not JSON'],
    ['{"table": NaN}', 'not JSON'],
    ['\ufeff{}', 'not JSON'],
    ['{"table": "a", "table": "b"}', 'twice'],
    ['{"table": "a", "t\\u0061ble": "b"}', 'twice'],
    ['{"filter": [{"a": 1}, {"a": ",:{\\"", "b": {"c": 1, "c": 2}}]}', 'twice'],
    [`${'['.repeat(40_000)}${']'.repeat(40_000)}`, 'nested'],
    [`{"filter":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_001)}`, 'nested'],
  ])('must be plain JSON: %.40s', async (body, message) => {
    expect((await failure(service.ask('', json(body)), 400)).message).toContain(message)
  })

  it('must be UTF-8', async () => {
    const body = Uint8Array.of(0x22, 0xff, 0x22)
    expect((await failure(service.ask('', { ...json(''), body }), 400)).message).toContain('UTF-8')
  })

  it('may have the same key in different objects, and strings that look like JSON', async () => {
    const tricky = {
      ...numbersRequest,
      job_name: '{"table":1,"table":2}[[[[',
      filter: { column: 'word', values: ['"', '\\', '{'] },
    }
    await bodyOf(service.ask('', { json: tricky }))
  })

  it.each([
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json5',
  ])('must be of a type: %s', async type => {
    await failure(
      service.ask('', { body: new TextEncoder().encode('{}'), headers: type ? { 'content-type': type } : {} }),
      415,
    )
  })

  it('must not be compressed', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    await failure(service.ask('', { body: '{}', headers }), 415)
  })

  it.each([
    null,
    [],
    'text',
    5,
    true,
    {},
    { ...numbersRequest, extra: 1 },
    { ...numbersRequest, __proto__: null, constructor: {} },
  ])('must be a request: %j', async value => {
    expect((await failure(service.ask('', { json: value }), 422)).details.length).toBeGreaterThan(0)
  })

  it('pollute no prototypes', async () => {
    const body = `{"__proto__": {"polluted": true}, ${JSON.stringify(numbersRequest).slice(1)}`
    await service.ask('', json(body))
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('SQL', () => {
  const sql = `'; DROP TABLE jobs; -- " \` \\ \u0000`
  const requests = {
    table: { ...numbersRequest, table: sql },
    partition_key: { ...numbersRequest, backfill_window: { start: 0, end: 5, partition_key: sql } },
    start: { ...numbersRequest, backfill_window: { start: sql, end: 5 } },
    end: { ...numbersRequest, backfill_window: { start: 0, end: sql } },
    column: { ...numbersRequest, filter: { column: sql, values: ['a'] } },
    values_ref: { ...numbersRequest, filter: { column: 'word', values_ref: sql } },
    type: { ...numbersRequest, destinations: [{ type: sql, name: 'out' }] },
    name: { ...numbersRequest, destinations: [{ type: 'memory', name: sql }] },
  }
  it.each(Object.entries(requests))('in %s breaks a rule', async (_, json) => {
    await failure(service.ask('', { json }), 422)
    await failure(service.ask('/estimate', { json }), 422)
  })

  it('where any text may be is a text', async () => {
    const json = { ...numbersRequest, job_name: sql, filter: { column: 'word', values: [sql] } }
    const { job_id } = await bodyOf<Created>(
      service.ask('', { json, headers: { 'idempotency-key': "'; DROP TABLE jobs" } }),
    )
    expect(await bodyOf(service.ask(`/${job_id}`))).toMatchObject({ job_name: sql, filter_values: [sql] })
  })

  it('in paths and queries finds nothing', async () => {
    const text = encodeURIComponent(sql)
    await failure(service.ask(`/${text}`), 404)
    await failure(service.ask(`/${text}/receipt`), 404)
    expect(await bodyOf(service.ask(`?table=${text}`))).toEqual([])
    await failure(service.ask(`?status=${text}`), 422)
    await failure(service.ask(`?cursor=${text}`), 422)
    const path = `/${jobId}/destinations/${text}/${text}`
    await failure(service.ask(path, { method: 'PATCH', json: { pace: null } }), 422)
  })
})

describe('errors', () => {
  it('tell nothing of what the server failed with, but its log does', async () => {
    const secret = '/var/lib/secret.sqlite SELECT * FROM jobs'
    const errors = [new StoreError(secret), new MillraceError('source_failed', secret), new TypeError(secret)]
    const store = memoryStore()
    await using failing = await startService({ store, takeOver: false })
    for (const error of errors) {
      store.list = () => Promise.reject(error)
      for (const query of ['', '?limit=1']) {
        const response = await failing.ask(query, { headers: { 'x-request-id': 'mine' } })
        expect(response.headers.get('x-request-id')).toBe('mine')
        const text = await response.text()
        expect(response.status).toBeGreaterThanOrEqual(500)
        expect(text).not.toMatch(/secret|SELECT|stack|\.ts/)
        expect(text).toContain('under request mine')
        expect(failing.answers.at(-1)).toMatchObject({ status: response.status, error, request_id: 'mine' })
      }
    }
    await failure(failing.ask('//healthz'), 500)
  })

  it('have a status for methods and paths that there are not', async () => {
    const response = await service.ask('', { method: 'DELETE' })
    expect(response.headers.get('allow')).toBe('POST, GET, HEAD')
    await failure(response, 405)
    for (const path of ['//', '//api', '//api/v1/beam', '/a/b/c/d/e', '/', '//../etc/passwd'])
      await failure(service.ask(path), 404)
    expect((await service.ask('', { method: 'HEAD' })).status).toBe(200)
  })
})

describe('smuggling', () => {
  const server = createServer()
  beforeAll(async () => {
    server.on('request', nodeListener(service.api))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => new Promise(resolve => server.close(resolve)))

  async function raw(lines: readonly string[]): Promise<string> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.end(lines.join('\r\n'))
    return text(socket)
  }
  const start = [
    `POST ${BASE} HTTP/1.1`,
    'Host: x',
    'Connection: close',
    `X-API-Key: ${KEYS.one}`,
    'Content-Type: application/json',
  ]

  it.each([
    ['both lengths', ['Content-Length: 4', 'Transfer-Encoding: chunked', '', '0', '', 'GET /healthz HTTP/1.1', '', '']],
    ['two lengths', ['Content-Length: 2', 'Content-Length: 30', '', '{}']],
    ['an unknown encoding', ['Transfer-Encoding: xchunked', '', '0', '', '']],
    ['a space before the colon', ['Content-Length : 2', '', '{}']],
    ['a broken chunk', ['Transfer-Encoding: chunked', '', 'zz', '{}', '0', '', '']],
  ])('by %s has no chance', async (_, rest) => {
    const answer = await raw([...start, ...rest])
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  it('by a second key has no chance', async () => {
    expect(await raw([...start, `X-API-Key: ${KEYS.two}`, 'Content-Length: 2', '', '{}'])).toMatch(/^HTTP\/1\.1 401 /)
  })

  it('the same without tricks is answered', async () => {
    expect(await raw([...start, 'Content-Length: 2', '', '{}'])).toMatch(/^HTTP\/1\.1 422 /)
  })
})

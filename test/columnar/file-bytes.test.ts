import { once } from 'node:events'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExponentialBackoff } from 'cockatiel'
import { afterEach, describe, expect, test } from 'vitest'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import type { FileAccess, PlannedChunk } from '../../src/columnar/read-plan.ts'
import type { UrlRetries } from '../../src/columnar/url-bytes.ts'

const content = Uint8Array.from({ length: 1000 }, (_, index) => index % 251)
const chunk: PlannedChunk = { chunk: 7, name: 'part-7.parquet', format: 'parquet', bytes: 1000, fromRow: 0 }
const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

/** The times of `URL_RETRIES`, a hundred times as fast. */
const HASTY: UrlRetries = {
  maxAttempts: 4,
  silenceMs: 300,
  backoff: new ExponentialBackoff({ initialDelay: 1, maxDelay: 10 }),
}

async function opened(access: FileAccess, signal = new AbortController().signal) {
  const file = await openFileBytes(chunk, async () => access, signal, { retries: HASTY })
  cleanups.push(() => file.close())
  return file
}

describe('a file behind a path', () => {
  async function fileOf(bytes: Uint8Array): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'file-bytes-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const path = join(folder, 'x')
    await writeFile(path, bytes)
    return path
  }

  test('gives exactly the bytes of a range', async () => {
    const file = await opened({ path: await fileOf(content) })
    expect(file.size).toBe(1000)
    expect(Uint8Array.from(await file.read(3, 997))).toEqual(content.slice(3, 997))
    expect(await file.read(5, 5)).toHaveLength(0)
  })

  test('that is not there is missing, and the error names the staged file', async () => {
    await expect(opened({ path: '/nowhere/x' })).rejects.toMatchObject({
      code: 'file_missing',
      message: 'the staged file "part-7.parquet" cannot be opened (ENOENT): stage it again',
    })
  })

  test('of another size than was staged is corrupt', async () => {
    await expect(opened({ path: await fileOf(content.slice(1)) })).rejects.toMatchObject({
      code: 'file_corrupt',
      message: 'the staged file "part-7.parquet" has 999 bytes and not the 1000 that were staged: stage it again',
    })
  })

  test('that was cut off while it was read is corrupt', async () => {
    const path = await fileOf(content)
    const file = await opened({ path })
    await truncate(path, 500)
    await expect(file.read(400, 600)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: expect.stringContaining('byte 500'),
    })
  })

  test.each([
    [-1, 10],
    [10, 9],
    [990, 1001],
  ])('has no range from %i to %i', async (start, end) => {
    const file = await opened({ path: await fileOf(content) })
    await expect(file.read(start, end)).rejects.toMatchObject({ code: 'file_corrupt' })
  })
})

describe('a file in the hands of the host', () => {
  test('is read through the host', async () => {
    const file = await opened({ byteLength: 1000, read: async (start, end) => content.slice(start, end) })
    expect(Uint8Array.from(await file.read(10, 20))).toEqual(content.slice(10, 20))
  })

  test('is corrupt where the host gives fewer bytes', async () => {
    const file = await opened({ byteLength: 1000, read: async (start, end) => content.slice(start, end - 1) })
    await expect(file.read(10, 20)).rejects.toMatchObject({ code: 'file_corrupt' })
  })

  test('can be given up while the host does not answer', async () => {
    const abort = new AbortController()
    const file = await opened({ byteLength: 1000, read: () => new Promise(() => {}) }, abort.signal)
    const reading = file.read(0, 10)
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    await expect(file.read(0, 10)).rejects.toThrow('enough')
  })

  test('can be given up while the host does not say where it is', async () => {
    const abort = new AbortController()
    const opening = openFileBytes(chunk, () => new Promise(() => {}), abort.signal)
    abort.abort(new Error('enough'))
    await expect(opening).rejects.toThrow('enough')
  })
})

describe('a file behind a URL', () => {
  type Handler = (request: IncomingMessage, response: ServerResponse) => void

  async function serve(handler: Handler): Promise<string> {
    const server = createServer(handler).listen(0, '127.0.0.1')
    cleanups.push(async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    })
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret`
  }

  const rangeOf = (request: IncomingMessage) =>
    /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!.slice(1).map(Number) as [number, number]

  const ranges: Handler = (request, response) => {
    const [start, last] = rangeOf(request)
    response.writeHead(206, { 'content-range': `bytes ${start}-${last}/1000` }).end(content.slice(start, last + 1))
  }

  const status =
    (code: number): Handler =>
    (_, response) => {
      response.writeHead(code).end()
    }

  test('is read by ranges, with the headers of the access', async () => {
    const seen: IncomingMessage['headers'][] = []
    const url = await serve((request, response) => {
      seen.push(request.headers)
      ranges(request, response)
    })
    const file = await opened({ url, headers: { 'x-token': 'abc' } })
    expect(await file.read(100, 200)).toEqual(content.slice(100, 200))
    expect(await file.read(100, 100)).toHaveLength(0)
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({ range: 'bytes=100-199', 'x-token': 'abc' })
  })

  test('may come whole where the whole was asked for', async () => {
    const url = await serve((_, response) => response.end(content))
    const file = await opened({ url })
    expect(await file.read(0, 1000)).toEqual(content)
    await expect(file.read(0, 999)).rejects.toMatchObject({
      code: 'source_failed',
      retryable: false,
      message: expect.stringContaining('ignores range requests'),
    })
  })

  test('is asked for again, once a request, when the access has expired', async () => {
    const requests: string[] = []
    const url = await serve((request, response) => {
      requests.push(request.url!)
      if (request.url === '/secret/2') ranges(request, response)
      else status(403)(request, response)
    })
    const accesses: FileAccess[] = ['/1', '/2'].map(path => ({ url: url + path, expiresAt: '2020-01-01T00:00:00Z' }))
    const file = await openFileBytes(chunk, async () => accesses.shift()!, new AbortController().signal)
    expect(await file.read(0, 10)).toEqual(content.slice(0, 10))
    expect(await file.read(10, 20)).toEqual(content.slice(10, 20))
    expect(requests).toEqual(['/secret/1', '/secret/2', '/secret/2'])
  })

  test('is refused for good where a new access does not help', async () => {
    let opens = 0
    const url = await serve(status(410))
    const expired = async () => ({ url: `${url}/${opens++}`, expiresAt: '2020-01-01T00:00:00Z' })
    const file = await openFileBytes(chunk, expired, new AbortController().signal)
    await expect(file.read(0, 10)).rejects.toMatchObject({ code: 'source_failed', retryable: false })
    expect(opens).toBe(2)
  })

  test('is asked for anew by the server alone: its clock may be ahead', async () => {
    const url = await serve((request, response) =>
      request.url === '/secret/0' ? response.writeHead(403).end() : ranges(request, response),
    )
    let opens = 0
    const access = async () => ({ url: `${url}/${opens++}`, expiresAt: '2100-01-01T00:00:00Z' })
    const file = await openFileBytes(chunk, access, new AbortController().signal)
    const reads = await Promise.all([file.read(0, 10), file.read(10, 20), file.read(20, 30)])
    expect(reads.map(bytes => bytes[0])).toEqual([0, 10, 20])
    // once for all that were refused
    expect(opens).toBe(2)
  })

  test('is refused for good where the access does not expire', async () => {
    let opens = 0
    const url = await serve(status(401))
    const valid = async () => ({ url: `${url}/${opens++}` })
    const file = await openFileBytes(chunk, valid, new AbortController().signal)
    await expect(file.read(0, 10)).rejects.toMatchObject({ code: 'source_failed', retryable: false })
    expect(opens).toBe(1)
  })

  test.each([
    ['is missing', status(404), { code: 'file_missing' }],
    ['is too short', status(416), { code: 'file_corrupt' }],
    ['may come later', status(503), { code: 'source_failed', retryable: true }],
    [
      'is another file',
      ((_, response) =>
        response.writeHead(206, { 'content-range': 'bytes 0-9/2000' }).end(content.slice(0, 10))) as Handler,
      { code: 'file_corrupt' },
    ],
    [
      'is another range',
      ((_, response) =>
        response.writeHead(206, { 'content-range': 'bytes 1-10/1000' }).end(content.slice(1, 11))) as Handler,
      { code: 'source_failed', retryable: false },
    ],
    [
      'is shorter than announced',
      ((request, response) => {
        const [start, last] = rangeOf(request)
        response.writeHead(206, { 'content-range': `bytes ${start}-${last}/1000` }).end(content.slice(start, last))
      }) as Handler,
      { code: 'source_failed', retryable: true },
    ],
    ['breaks off', (request => request.socket.destroy()) as Handler, { code: 'source_failed', retryable: true }],
  ])('that %s is an error that keeps the URL to itself', async (_, handler, expected) => {
    const file = await opened({ url: await serve(handler) })
    const error = await file.read(0, 10).catch(error => error)
    expect(error).toMatchObject(expected)
    expect(error.message).toContain('"part-7.parquet"')
    expect(error.message).not.toContain('secret')
  })

  test('is read on where an answer broke off', async () => {
    const seen: string[] = []
    const url = await serve((request, response) => {
      seen.push(request.headers.range!)
      const [start, last] = rangeOf(request)
      const part = content.slice(start, last + 1)
      response.writeHead(206, { 'content-range': `bytes ${start}-${last}/1000`, 'content-length': part.length })
      if (part.length < 300) response.end(part)
      else response.write(part.slice(0, 300), () => setImmediate(() => request.socket.destroy()))
    })
    const file = await opened({ url })
    expect(await file.read(0, 1000)).toEqual(content)
    expect(seen[0]).toBe('bytes=0-999')
    expect(seen.length).toBeGreaterThan(1)
    // nothing twice, as far as it had arrived
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('is asked for again where the server is busy, or silent', async () => {
    const answers: Handler[] = [status(503), status(429), request => request.resume(), ranges]
    const url = await serve((request, response) => answers.shift()!(request, response))
    const file = await opened({ url })
    expect(await file.read(0, 10)).toEqual(content.slice(0, 10))
    expect(answers).toEqual([])
  })

  test('is given up after so many attempts that brought nothing', async () => {
    let requests = 0
    const url = await serve((_, response) => {
      requests++
      response.writeHead(500).end()
    })
    await expect((await opened({ url })).read(0, 10)).rejects.toMatchObject({
      code: 'source_failed',
      message: 'the staged file "part-7.parquet" could not be fetched (HTTP 500)',
    })
    expect(requests).toBe(HASTY.maxAttempts)
  })

  test.each([
    ['refuses', status(412)],
    [
      'shows',
      ((request, response) => {
        response.setHeader('etag', '"new"')
        ranges(request, response)
      }) as Handler,
    ],
  ])('that was written again is corrupt, where the server %s that', async (_, handler) => {
    const file = await opened({ url: await serve(handler), headers: { 'if-match': '"old"' } })
    await expect(file.read(0, 10)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: 'the staged file "part-7.parquet" was written again since it was staged: create the backfill again',
    })
  })

  test('may be elsewhere than its URL says', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/secret') response.writeHead(302, { location: '/moved' }).end()
      else ranges(request, response)
    })
    expect(await (await opened({ url })).read(3, 9)).toEqual(content.slice(3, 9))
  })

  test('is read into the memory that is offered', async () => {
    const file = await opened({ url: await serve(ranges) })
    const spare = new Uint8Array(100)
    const bytes = await file.read(5, 55, spare)
    expect([bytes.buffer === spare.buffer, bytes.length, bytes[0]]).toEqual([true, 50, 5])
  })

  test('can be given up while the server does not answer', async () => {
    const abort = new AbortController()
    const asked = Promise.withResolvers<void>()
    const file = await opened({ url: await serve(() => asked.resolve()) }, abort.signal)
    const reading = file.read(0, 10)
    reading.catch(() => {})
    await asked.promise
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
  })
})

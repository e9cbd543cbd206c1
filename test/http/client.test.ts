import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeServer } from '../../examples/http/node.ts'
import type { Job } from '../../src/core/job.ts'
import { ApiError, type Client, createClient } from '../../src/http/client.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { testJob } from '../../src/testing/store-driver.ts'
import { picky } from '../core/picky-sink.ts'
import { BASE, KEYS, numbersRequest, type Service, startService } from './service.ts'

async function listen(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

const store = memoryStore()
const { sink, to } = picky('out', [7])
const request = { ...numbersRequest, destinations: [to] }
let service: Service
let server: Server
let client: Client

beforeAll(async () => {
  service = await startService({ store, sinks: [{ sink, maxDeadLetters: 5 }], keepStagedMs: { completed: 60_000 } })
  server = nodeServer(service.api)
  client = createClient({ baseUrl: `${await listen(server)}/`, apiKey: KEYS.one })
})
afterAll(async () => {
  await new Promise(resolve => server.close(resolve))
  await service[Symbol.asyncDispose]()
})

describe('the client', () => {
  it('creates a job, watches it to its end, and asks for all that there is to know', async () => {
    const { job_id } = await client.create(request, { idempotencyKey: 'a' })
    expect(await client.create(request, { idempotencyKey: 'a' })).toMatchObject({ job_id })
    const states = await all(client.watch(job_id))
    expect(states.at(-1)).toMatchObject({ status: 'completed', chunks_left: 0 })
    expect(await client.get(job_id)).toEqual(states.at(-1))
    expect(await client.receipt(job_id)).toMatchObject({ job_id, num_chunks: 3 })
    expect((await all(client.deadLetters(job_id))).map(({ row }) => row)).toEqual([4])
    expect(await all(client.deadLetters(job_id, to))).toHaveLength(1)
    expect(await client.redrive(job_id, to)).toEqual({ redriven: 0, refused: 1 })
    await client.redeliver(job_id, { ...to, chunks: { from: 0, to: 1 } })
    expect((await all(client.watch(job_id))).at(-1)!.destinations[0]!.delivered).toBe(3)
    const { values_ref, count } = await client.putValues(['a', 'b', 7, true, 'a'])
    expect([values_ref.slice(0, 7), count]).toEqual(['sha256:', 4])
  })

  it('pauses, paces, resumes and cancels', async () => {
    const { job_id } = await client.create(request)
    expect(await client.pause(job_id)).toMatchObject({ paused: true })
    const { destinations } = await client.setPace(job_id, to, { rows_per_second: 9 })
    expect(destinations[0]!.pace).toEqual({ rows_per_second: 9, bytes_per_second: null })
    expect(await client.resume(job_id)).toMatchObject({ paused: false })
    expect(await client.cancel(job_id)).toMatchObject({ cancel_requested: true })
    expect((await all(client.watch(job_id))).at(-1)!.status).toBe('cancelled')
    await expect(client.retry(job_id)).rejects.toMatchObject({ status: 409, code: 'conflict' })
  })

  it('lists page by page, as far as it is asked to', async () => {
    for (let day = 10; day < 25; day++)
      await store.create(testJob({ organizationId: 'one', table: 'old', timeCreated: `2020-01-${day}T00:00:00.000Z` }))
    const old = await all(client.list({ table: 'old', pageSize: 4 }))
    expect(old.map(({ time_created }) => time_created.slice(8, 10))).toEqual(
      Array.from({ length: 15 }, (_, index) => String(24 - index)),
    )
    for await (const job of client.list({ pageSize: 1 })) {
      expect(job.time_created > '2021').toBe(true)
      break
    }
    expect(await all(client.list({ status: 'failed' }))).toEqual([])
  })

  it('rejects with what the server says', async () => {
    const error = await client.create({ ...request, table: 'x' }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      status: 422,
      code: 'invalid_request',
      details: [{ path: 'table', message: 'unknown table x; there is numbers' }],
    })
    const nobody = createClient({
      baseUrl: 'http://host',
      apiKey: 'nobody',
      fetch: (url, init) => service.api(new Request(url as string, init)),
    })
    await expect(all(nobody.watch('x'))).rejects.toMatchObject({ status: 401, code: 'unauthenticated' })
  })

  it('does with a server that knows no pages, and whose errors are of another shape', async () => {
    const answers: Record<string, [number, unknown]> = {
      [`GET ${BASE}`]: [
        200,
        [
          { job_id: 'a', status: 'failed', table: 't' } as Partial<Job>,
          { job_id: 'b', status: 'completed', table: 't' },
        ],
      ],
      [`POST ${BASE}`]: [503, 'try later'],
      [`POST ${BASE}/a/cancel`]: [200, { job_id: 'a' }],
    }
    const hosted = createServer((request, response) => {
      const [status, body] = answers[`${request.method} ${request.url!.split('?')[0]}`]!
      response.writeHead(status, { 'retry-after': '7' }).end(JSON.stringify(body))
    })
    const other = createClient({ baseUrl: await listen(hosted), apiKey: 'k' })
    expect((await all(other.list({ status: 'completed' }))).map(({ job_id }) => job_id)).toEqual(['b'])
    expect(await other.cancel('a')).toEqual({ job_id: 'a' })
    await expect(other.create(request)).rejects.toMatchObject({
      status: 503,
      code: 'unknown',
      message: 'HTTP 503: "try later"',
      retryAfterMs: 7_000,
    })
    await new Promise(resolve => hosted.close(resolve))
  })

  it('takes a lost connection up again where it was', async () => {
    const { job_id } = await client.create(request)
    const asked: (string | null)[] = []
    const flaky = createClient({
      baseUrl: 'http://host',
      apiKey: KEYS.one,
      async fetch(url, init) {
        const request = new Request(url as string, init)
        asked.push(request.headers.get('last-event-id'))
        const response = await service.api(request)
        if (asked.length > 1) return response
        // one event, and the line is cut
        const text = new TextDecoder()
        let seen = ''
        const cut = new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            controller.enqueue(chunk)
            seen += text.decode(chunk, { stream: true })
            if (seen.includes('event: job')) controller.error(new Error('cut'))
          },
        })
        return new Response(response.body!.pipeThrough(cut), response)
      },
    })
    const states = await all(flaky.watch(job_id))
    expect(states.at(-1)!.status).toBe('completed')
    expect(asked.length).toBe(2)
  })
})

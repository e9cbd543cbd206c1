/** The examples of hosts: each answers as the API by itself does, beside routes of its own. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { expressApp } from '../../examples/http/express.ts'
import { fastifyApp } from '../../examples/http/fastify.ts'
import { nodeServer } from '../../examples/http/node.ts'
import type { Job } from '../../src/core/job.ts'
import type { Api } from '../../src/http/api.ts'
import type { Created } from '../../src/http/schemas.ts'
import { BASE, KEYS, numbersRequest, type Service, startService } from './service.ts'

const running: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop()
})

async function listen(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  running.push(() => new Promise(resolve => server.close(resolve)))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const HOSTS: readonly [name: string, start: (api: Api) => Promise<string>, mount: string, basePath?: string][] = [
  ['node:http', api => listen(nodeServer(api)), ''],
  ['Express', api => listen(createServer(expressApp(api) as RequestListener)), '/millrace'],
  [
    'Fastify',
    async api => {
      const app = fastifyApp(api)
      running.push(() => Promise.resolve(app.close()))
      return app.listen({ port: 0, host: '127.0.0.1' })
    },
    '/millrace',
    '/millrace',
  ],
]

describe.each(HOSTS)('%s', (_, start, mount, basePath) => {
  async function started(): Promise<{ readonly service: Service; readonly host: string; readonly url: string }> {
    const service = await startService({}, { maxBodyBytes: 50_000, ...(basePath ? { basePath } : {}) })
    running.push(async () => service[Symbol.asyncDispose]())
    const host = await start(service.api)
    return { service, host, url: `${host}${mount}${BASE}` }
  }
  const headers = { 'x-api-key': KEYS.one, 'content-type': 'application/json' }

  it('takes a backfill, tells of it in events, and answers lists', async () => {
    const { host, url } = await started()
    const created = await fetch(url, { method: 'POST', headers, body: JSON.stringify(numbersRequest) })
    expect(created.status).toBe(200)
    const { job_id } = (await created.json()) as Created
    const events = await fetch(`${url}/${job_id}/events`, { headers })
    expect((await events.text()).match(/"status":"completed"/)).not.toBeNull()
    const jobs = (await (await fetch(`${url}?limit=1`, { headers })).json()) as Job[]
    expect(jobs.map(job => [job.job_id, job.status])).toEqual([[job_id, 'completed']])
    expect((await fetch(`${host}${mount}/healthz`)).status).toBe(200)
    if (mount !== '') expect(await (await fetch(`${host}/hello`)).json()).toEqual({ hello: 'from the host' })
  })

  it('reads bodies within its own bounds, with and without a length', async () => {
    const { url } = await started()
    const body = JSON.stringify({ ...numbersRequest, job_name: 'x'.repeat(100_000) })
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(413)
    const stream = ReadableStream.from([new TextEncoder().encode(body)])
    const chunked = await fetch(url, { method: 'POST', headers, body: stream, duplex: 'half' } as RequestInit)
    expect(chunked.status).toBe(413)
    expect((await fetch(url, { method: 'POST', headers, body: '{' })).status).toBe(400)
    expect((await fetch(url)).status).toBe(401)
  })

  it('ends what it streams when the client goes away', async () => {
    const { service, url } = await started()
    const { job_id } = await service.engine.create(numbersRequest, { organization_id: 'one' })
    await service.engine.pause(job_id, { organization_id: 'one' })
    const leaving = new AbortController()
    const events = await fetch(`${url}/${job_id}/events`, { headers, signal: leaving.signal })
    await events.body!.getReader().read()
    // the server's closing, after the test, waits for connections that are open
    leaving.abort()
  })
})

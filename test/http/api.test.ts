import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Job } from '../../src/core/job.ts'
import { jobSchema } from '../../src/core/job.ts'
import type { Created } from '../../src/http/schemas.ts'
import { receiptSchema } from '../../src/http/schemas.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import type { Estimate, StageRequest } from '../../src/sources/source.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { testJob } from '../../src/testing/store-driver.ts'
import { arrowSource } from '../core/arrow-source.ts'
import { picky } from '../core/picky-sink.ts'
import { bodyOf, numbersRequest, type Service, startService } from './service.ts'

let service: Service
const sink = memorySink({ name: 'out' })

beforeEach(async () => {
  service = await startService({ sinks: [sink], keepStagedMs: { completed: 60_000 } })
})
afterEach(() => service[Symbol.asyncDispose]())

const create = async (json: unknown = numbersRequest): Promise<string> =>
  (await bodyOf<Created>(service.ask('', { json }))).job_id
const scope = { organization_id: 'one' }

async function finished(jobId: string): Promise<Job> {
  let last: Job | undefined
  for await (const job of service.engine.watch(jobId, scope)) last = job
  return last!
}

describe('create and list', () => {
  it('answers the ids, and lists the job as the hosted API does, with more at the end', async () => {
    const request = { ...numbersRequest, job_name: 'all of them', filter: { column: 'word', values: ['one', 'two'] } }
    const created = await bodyOf<Created>(service.ask('', { json: request }))
    expect(created).toEqual({
      job_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      workflow_id: `beam-backfill-one-${created.job_id}`,
    })
    await finished(created.job_id)
    const [job, ...others] = await bodyOf<Job[]>(service.ask(''))
    expect(others).toEqual([])
    expect(job).toMatchObject({
      job_id: created.job_id,
      workflow_id: created.workflow_id,
      organization_id: 'one',
      status: 'completed',
      job_name: 'all of them',
      table: 'numbers',
      partition_key: 'id',
      backfill_start: 0,
      backfill_end: 1_000_000,
      filter_column: 'word',
      filter_values: ['one', 'two'],
      filter_values_count: 2,
      destinations: [{ type: 'memory', name: 'out', uid: expect.any(String) }],
      static_egress_ip: false,
      num_chunks: 3,
      chunks_left: 0,
      error_message: null,
      queued: false,
    })
    expect(jobSchema.parse(job)).toEqual(job)
    expect(await bodyOf(service.ask(`/${created.job_id}`))).toEqual(job)
  })

  it('leaves filter values beyond the first 1,000 out of answers', async () => {
    const values = Array.from({ length: 1_500 }, (_, index) => `word ${index}`)
    const id = await create({ ...numbersRequest, filter: { column: 'word', values } })
    const job = await bodyOf<Job>(service.ask(`/${id}`))
    expect(job.filter_values).toEqual(values.slice(0, 1_000))
    expect(job.filter_values_count).toBe(1_500)
  })

  it('lists page by page, by links that are relative to the request, or all at once', async () => {
    const ids: string[] = []
    for (let count = 0; count < 7; count++) {
      ids.unshift(await create())
      await finished(ids[0]!)
    }
    const pages: string[][] = []
    for (let path: string | undefined = '?limit=3&status=completed&table=numbers'; path !== undefined; ) {
      const response = await service.ask(path)
      const link: string | null = response.headers.get('link')
      pages.push((await bodyOf<Job[]>(response)).map(({ job_id }) => job_id))
      path = link === null ? undefined : /^<(\?[^>]+)>; rel="next"$/.exec(link)![1]
    }
    expect(pages.map(page => page.length)).toEqual([3, 3, 1])
    const all = await bodyOf<Job[]>(service.ask(''))
    expect(pages.flat()).toEqual(all.map(({ job_id }) => job_id))
    expect(new Set(pages.flat())).toEqual(new Set(ids))
    expect(await bodyOf(service.ask('?status=failed'))).toEqual([])
    expect(await bodyOf(service.ask('?status=failed&limit=5'))).toEqual([])
  })

  it('streams more jobs than the store gives in one answer', async () => {
    const store = memoryStore()
    const jobs = Array.from({ length: 430 }, () => testJob({ organizationId: 'one' }))
    await Promise.all(jobs.map(job => store.create(job)))
    await using full = await startService({ store, takeOver: false })
    const all = await bodyOf<Job[]>(full.ask(''))
    expect(all).toHaveLength(430)
    expect(new Set(all.map(({ job_id }) => job_id))).toEqual(new Set(jobs.map(({ jobId }) => jobId)))
    expect(await bodyOf(full.ask('', { key: 'key of two' }))).toEqual([])
  })

  it.each([
    ['?limit=0', 'limit'],
    ['?limit=1001', 'limit'],
    ['?limit=1&limit=2', 'limit'],
    ['?status=running', 'status'],
    ['?cursor=nonsense', 'cursor'],
    ['?staus=failed', '(request)'],
  ])('refuses %s', async (query, path) => {
    const { error } = await bodyOf<{ error: { code: string; details: { path: string }[] } }>(service.ask(query), 422)
    expect(error).toMatchObject({ code: 'invalid_request', details: [{ path }] })
  })
})

describe('Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'march' }

  it('makes one job of repeated requests, at the same time and later', async () => {
    const ask = () => bodyOf<Created>(service.ask('', { json: numbersRequest, headers }))
    const created = await Promise.all([ask(), ask(), ask()])
    await finished(created[0]!.job_id)
    expect(new Set([...created, await ask()].map(({ job_id }) => job_id)).size).toBe(1)
    expect(await bodyOf<Job[]>(service.ask(''))).toHaveLength(1)
  })

  it('refuses another request under the same key, and knows the keys of organizations apart', async () => {
    const { job_id } = await bodyOf<Created>(service.ask('', { json: numbersRequest, headers }))
    const other = { ...numbersRequest, job_name: 'another' }
    await bodyOf(service.ask('', { json: other, headers }), 409)
    const two = await bodyOf<Created>(service.ask('', { json: other, headers, key: 'key of two' }))
    expect(two.job_id).not.toBe(job_id)
    await bodyOf(service.ask('', { json: other, headers: { 'idempotency-key': 'x'.repeat(256) } }), 422)
  })
})

describe('one job', () => {
  it('tells of changes as events, and goes on behind the last one that was seen', async () => {
    const id = await create()
    const response = await service.ask(`/${id}/events`)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const events = (await response.text()).split('\n\n').filter(event => event.startsWith('id: '))
    const states = events.map(event => JSON.parse(/^data: (.*)$/m.exec(event)![1]!) as Job)
    expect(states.at(-1)).toEqual(await bodyOf(service.ask(`/${id}`)))
    expect(states.at(-1)!.status).toBe('completed')
    const ids = events.map(event => /^id: (.*)$/m.exec(event)![1]!)
    expect(new Set(ids).size).toBe(ids.length)
    const again = await service.ask(`/${id}/events`, { headers: { 'last-event-id': ids[0]! } })
    expect(await again.text()).toContain(`id: ${ids.at(-1)}\nevent: job\n`)
    expect((await service.ask(`/${id}/events`, { headers: { 'last-event-id': ids.at(-1)! } })).status).toBe(204)
  })

  it('ends the watching when the client goes away', async () => {
    const id = await create()
    await service.engine.pause(id, scope).catch(() => {})
    const reader = (await service.ask(`/${id}/events`)).body!.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(': jobs\n\n')
    await reader.cancel()
    expect(service.answers.every(({ error }) => error === undefined)).toBe(true)
  })

  it('gives a receipt', async () => {
    const id = await create()
    await finished(id)
    const receipt = await bodyOf<unknown>(service.ask(`/${id}/receipt`))
    expect(receipt).toEqual(await service.engine.receipt(id, scope))
    expect(receiptSchema.parse(receipt)).toEqual(receipt)
  })

  it('is redelivered, also in part', async () => {
    const id = await create()
    await finished(id)
    const before = sink.rows().length
    const job = await bodyOf<Job>(
      service.ask(`/${id}/redeliver`, { json: { type: 'memory', name: 'out', chunks: { from: 0, to: 1 } } }),
    )
    expect(job.job_id).toBe(id)
    await finished(id)
    expect(sink.rows().length - before).toBe(3)
    await bodyOf(service.ask(`/${id}/redeliver`, { json: { type: 'memory', name: 'elsewhere' } }), 422)
    await bodyOf(service.ask(`/${id}/redeliver`, { json: { type: 'memory', name: 'out', chunks: { from: 2 } } }), 422)
  })

  it('answers 409 to what its state does not allow', async () => {
    const id = await create()
    await finished(id)
    for (const verb of ['cancel', 'pause', 'resume', 'retry']) {
      const { error } = await bodyOf<{ error: unknown }>(service.ask(`/${id}/${verb}`, { method: 'POST' }), 409)
      expect(error).toMatchObject({ code: 'conflict', details: [] })
    }
    const pace = { pace: { rows_per_second: 5 } }
    await bodyOf(service.ask(`/${id}/destinations/memory/out`, { method: 'PATCH', json: pace }), 409)
  })
})

describe('a job under way', () => {
  it('is paused, paced, resumed and cancelled', async () => {
    await using slow = await startService({
      sinks: [{ sink: memorySink({ name: 'a/b' }), pace: { rowsPerSecond: 1 } }],
    })
    const json = { ...numbersRequest, destinations: [{ type: 'memory', name: 'a/b' }] }
    const { job_id } = await bodyOf<Created>(slow.ask('', { json }))
    expect(await bodyOf<Job>(slow.ask(`/${job_id}/pause`, { method: 'POST' }))).toMatchObject({ paused: true })
    const path = `/${job_id}/destinations/memory/a%2Fb`
    const paced = await bodyOf<Job>(
      slow.ask(path, { method: 'PATCH', json: { pace: { rows_per_second: 7, bytes_per_second: null } } }),
    )
    expect(paced.destinations[0]!.pace).toEqual({ rows_per_second: 7, bytes_per_second: null })
    const back = await bodyOf<Job>(slow.ask(path, { method: 'PATCH', json: { pace: null } }))
    expect(back.destinations[0]!.pace).toEqual({ rows_per_second: 1, bytes_per_second: null })
    await bodyOf(slow.ask(path, { method: 'PATCH', json: { pace: { rows_per_second: -1 } } }), 422)
    await bodyOf(slow.ask(path, { method: 'PATCH', json: {} }), 422)
    await bodyOf(slow.ask(`/${job_id}/destinations/memory/c`, { method: 'PATCH', json: { pace: null } }), 422)
    expect(await bodyOf<Job>(slow.ask(`/${job_id}/resume`, { json: {} }))).toMatchObject({ paused: false })
    expect(await bodyOf<Job>(slow.ask(`/${job_id}/cancel`, { method: 'POST' }))).toMatchObject({
      cancel_requested: true,
    })
    let last: Job | undefined
    for await (const job of slow.engine.watch(job_id, scope)) last = job
    expect(last!.status).toBe('cancelled')
  })
})

describe('dead letters', () => {
  it('are listed as lines of JSON, and sent again', async () => {
    const { sink, to } = picky('out', [7, 9])
    await using strict = await startService({ sinks: [{ sink, maxDeadLetters: 5 }] })
    const { job_id } = await bodyOf<Created>(strict.ask('', { json: { ...numbersRequest, destinations: [to] } }))
    for await (const _ of strict.engine.watch(job_id, scope));
    const response = await strict.ask(`/${job_id}/dead-letters?${new URLSearchParams(to)}`)
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const letters = (await response.text())
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(letters.map(({ chunk, row }) => [chunk, row])).toEqual([
      [1, 4],
      [1, 6],
    ])
    expect(letters[0]).toMatchObject({
      destination: to,
      payload: expect.stringContaining('"id":7'),
      cause: 'not today',
    })
    await bodyOf(strict.ask(`/${job_id}/dead-letters?type=x`), 422)
    await bodyOf(strict.ask(`/${job_id}/dead-letters?type=x&name=y`), 422)
    const redrive = () => bodyOf(strict.ask(`/${job_id}/dead-letters/redrive`, { json: to }))
    expect(await redrive()).toEqual({ redriven: 0, refused: 2 })
  })
})

describe('value sets', () => {
  const headers = { 'content-type': 'application/x-ndjson' }

  it('are uploaded as lines, whatever the pieces that they come in, and named in requests', async () => {
    const bytes = new TextEncoder().encode('"öne"\n\n7\ntrue\n12345678901234567890\r\n"öne"')
    const body = ReadableStream.from(Array.from(bytes, byte => Uint8Array.of(byte)))
    const { values_ref, count } = await bodyOf<{ values_ref: string; count: number }>(
      service.ask('/value-sets', { method: 'POST', body, headers }),
    )
    expect(count).toBe(4)
    const text = '"12345678901234567890"\n"7"\n"true"\n"öne"\n'
    expect(await bodyOf(service.ask('/value-sets', { body: text, headers }))).toEqual({ values_ref, count })
    const id = await create({ ...numbersRequest, filter: { column: 'word', values_ref } })
    expect(await finished(id)).toMatchObject({
      filter_values: null,
      filter_values_ref: values_ref,
      status: 'completed',
    })
  })

  it.each([
    ['', 422, 'must have at least one value'],
    ['1\n{"a":1}', 422, 'line 2: must be a string, a number or a boolean'],
    ['null', 422, 'line 1'],
    ['secret', 400, 'line 1 is not JSON'],
  ])('refuses %j, and does not repeat it', async (body, status, message) => {
    const { error } = await bodyOf<{ error: { message: string } }>(
      service.ask('/value-sets', { body, headers }),
      status,
    )
    expect(error.message).toContain(message)
    expect(error.message).not.toContain('secret')
  })
})

describe('estimate', () => {
  it('tells how much it would be, without the SQL of the host', async () => {
    const estimate: Estimate = {
      rows: 7,
      files: 1,
      bytes: null,
      sql: ['SELECT secret'],
      columns: [{ name: 'id', native: 'BIGINT', staged: 'id' }],
    }
    const source = { ...arrowSource({ dir: '/nowhere', files: [] }), estimate: async (_: StageRequest) => estimate }
    await using estimating = await startService({ source })
    expect(await bodyOf(estimating.ask('/estimate', { json: numbersRequest }))).toEqual({
      rows: 7,
      files: 1,
      bytes: null,
      columns: [{ name: 'id', native: 'BIGINT' }],
    })
    await bodyOf(estimating.ask('/estimate', { json: { ...numbersRequest, table: 'x' } }), 422)
    await bodyOf(service.ask('/estimate', { json: numbersRequest }), 409)
  })
})

describe('beside the jobs', () => {
  it('says that it is well, and describes itself, to everybody', async () => {
    expect(await bodyOf(service.ask('//healthz', { key: null }))).toEqual({ status: 'ok' })
    const document = await bodyOf<{ openapi: string; paths: Record<string, object> }>(
      service.ask('//openapi.json', { key: null }),
    )
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths)).toContain('/api/v1/beam/backfills/{id}/destinations/{type}/{name}')
  })

  it('is mounted under a path of its own', async () => {
    await using mounted = await startService({}, { basePath: '/mill' })
    expect(await bodyOf(mounted.ask('//mill/api/v1/beam/backfills'))).toEqual([])
    await bodyOf(mounted.ask('//mill/healthz'))
    await bodyOf(mounted.ask('//api/v1/beam/backfills'), 404)
  })

  it('passes on what a request says of its address', async () => {
    await using service = await startService()
    const wrong = await bodyOf<{ error: { details: unknown } }>(
      service.ask('', { json: { ...numbersRequest, static_egress_ip: true } }),
      422,
    )
    expect(wrong.error.details).toEqual([
      { path: 'static_egress_ip', message: 'memory/out has no static egress address configured' },
    ])
    const egress = { ...memorySink({ name: 'out' }), staticEgress: true }
    await using with_ = await startService({ sinks: [egress] })
    const { job_id } = await bodyOf<Created>(with_.ask('', { json: { ...numbersRequest, static_egress_ip: true } }))
    expect(await bodyOf<Job>(with_.ask(`/${job_id}`))).toMatchObject({ static_egress_ip: true })
  })
})

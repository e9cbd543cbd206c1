/** A webhook at the end of the engine: what a receiver is sent, over failures, retries and crashes. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { arrowSource, wordOf } from '../core/arrow-source.ts'
import { allNumbers, finish } from '../core/number-jobs.ts'
import { type Answer, type Received, type Receiver, sinkTo, startReceiver } from '../sinks/webhook/receiver.ts'

const FILES = [3, 20_000, 1]
const ROWS = 20_004

let dir: string
let receiver: Receiver
let answer: (request: Received, index: number) => Answer | 'drop'
const engines: Engine[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-webhook-'))
  answer = () => ({ status: 200 })
  receiver = await startReceiver({ answer: (request, index) => answer(request, index) })
})

afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.close()))
  await receiver.close()
  await rm(dir, { recursive: true, force: true })
})

function engineOf(sinks: EngineOptions['sinks'], options: Partial<EngineOptions> = {}): Engine {
  const source = arrowSource({ dir, files: FILES })
  const engine = createEngine({ source, store: memoryStore(), lanes: 1, sinks, ...options })
  engines.push(engine)
  return engine
}

/** What a receiver keeps that goes by the key: of each, the first body. One key must not come with two bodies. */
function byKey(requests: readonly Received[]): Map<string, string> {
  const bodies = new Map<string, string>()
  for (const { headers, raw } of requests) {
    const key = String(headers['x-idempotency-key'])
    const hash = createHash('sha256').update(raw).digest('hex')
    expect(bodies.get(key) ?? hash).toBe(hash)
    bodies.set(key, hash)
  }
  return bodies
}

const allRows = Array.from({ length: ROWS }, (_, id) => JSON.stringify({ id, word: wordOf(id) }))
const sorted = (rows: Iterable<string>): string[] => [...rows].sort((a, b) => idOf(a) - idOf(b))
const idOf = (row: string): number => (JSON.parse(row) as { id: number }).id

test('every row arrives once, in full batches, while the receiver fails now and then', async () => {
  answer = (_, index) => {
    if (index % 7 === 3) return { status: 503, headers: { 'Retry-After': '0' } }
    return index % 11 === 5 ? 'drop' : { status: 204 }
  }
  const sink = sinkTo(receiver, { hashKey: 'secret', compression: 'gzip' })
  const engine = engineOf([sink])
  const job = await finish(engine, await engine.create(allNumbers(sink)))
  expect(job).toMatchObject({ status: 'completed', error_message: null })
  expect(job.destinations[0]).toMatchObject({ delivered: ROWS, dead_lettered: 0 })
  expect(sorted(receiver.rows)).toEqual(allRows)
  const taken = receiver.requests.map(({ rows }) => rows.length)
  expect(Math.max(...taken)).toBe(500)
})

test('what a failed delivery is retried with has the same keys and bodies, so that a receiver can drop it', async () => {
  const sink = sinkTo(receiver, { concurrency: 4 })
  const engine = engineOf([{ sink, maxUnsettledRows: 16_384 }])
  const taken = new Map<string, readonly string[]>()
  let broken = true
  answer = ({ headers, rows }, index) => {
    if (broken && index === 15) return { status: 403 }
    taken.set(String(headers['x-idempotency-key']), rows)
    return { status: 200 }
  }
  const failed = await finish(engine, await engine.create(allNumbers(sink)))
  expect(failed).toMatchObject({ status: 'failed', error_code: 'destination_misconfigured' })
  expect(failed.error_message).toBe(
    `webhook/test: http://127.0.0.1:${receiver.port} answered 403: check the URL, the headers and the keys of the sink`,
  )
  broken = false
  expect(await finish(engine, await engine.retry(failed.job_id))).toMatchObject({ status: 'completed' })
  expect(byKey(receiver.requests).size).toBeLessThan(receiver.requests.length)
  expect(sorted([...taken.values()].flat())).toEqual(allRows)
})

test('a receiver that takes less than a batch gets it in pieces, and a row that it refuses becomes a dead letter', async () => {
  answer = ({ rows }) => {
    if (rows.length > 200) return { status: 413 }
    return { status: rows.some(row => idOf(row) === 7_777) ? 422 : 200 }
  }
  const sink = sinkTo(receiver, { batchRows: 400 })
  const engine = engineOf([{ sink, maxDeadLetters: 1_000 }])
  const job = await finish(engine, await engine.create(allNumbers(sink)))
  expect(job).toMatchObject({ status: 'completed' })
  const letters: string[] = []
  for await (const { payload } of engine.deadLetters(job.job_id)) letters.push(payload)
  expect(letters.map(idOf)).toContain(7_777)
  expect(letters.length).toBeLessThanOrEqual(200)
  expect(job.destinations[0]).toMatchObject({ delivered: ROWS - letters.length, dead_lettered: letters.length })
  expect(sorted([...receiver.rows, ...letters])).toEqual(allRows)
  byKey(receiver.requests)
})

test('a job with a static egress address sends from it, and one to a destination without is refused or fails', async () => {
  const bound = sinkTo(receiver, { egress: { localAddress: '127.0.0.1' } })
  const unbound = memorySink({ name: 'elsewhere' })
  const engine = engineOf([bound, unbound], { keepStagedMs: { completed: 600_000 } })
  const request = { ...allNumbers(bound), static_egress_ip: true }
  await expect(engine.create({ ...allNumbers(bound, unbound), static_egress_ip: true })).rejects.toMatchObject({
    code: 'invalid_request',
    problems: [{ path: 'static_egress_ip', message: 'memory/elsewhere has no static egress address configured' }],
  })
  const job = await finish(engine, await engine.create(request))
  expect(job).toMatchObject({ status: 'completed', static_egress_ip: true })
  expect(receiver.rows).toHaveLength(ROWS)
  const again = await finish(engine, await engine.redeliver(job.job_id, { type: 'memory', name: 'elsewhere' }))
  expect(again).toMatchObject({
    status: 'failed',
    error_code: 'destination_misconfigured',
    error_message: expect.stringContaining('memory/elsewhere: the job asks for static_egress_ip'),
  })
  expect(unbound.rows()).toEqual([])
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import { nullSink } from '../../src/sinks/null.ts'
import type { Marker, Sink } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { arrowSource } from './arrow-source.ts'
import { allNumbers, finish } from './number-jobs.ts'

let dir: string
let engine: Engine | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-markers-'))
})

afterEach(async () => {
  await engine?.close()
  await rm(dir, { recursive: true, force: true })
})

/** Notes how many rows came, and what was marked. */
function markedSink(refuse: (event: Marker['event']) => boolean = () => false) {
  const events: (Marker | number)[] = []
  const sink: Sink = {
    type: 'marked',
    name: 'out',
    takesMarkers: true,
    open: async () => ({
      async write({ rows }) {
        events.push(rows)
      },
      async mark(marker) {
        if (refuse(marker.event)) throw new Error('no markers today')
        events.push(marker)
      },
      close: async () => {},
    }),
  }
  return { sink, events }
}

async function backfill(sink: Sink, files: readonly number[], markers = true): Promise<Job> {
  engine = createEngine({
    source: arrowSource({ dir, files }),
    store: memoryStore(),
    sinks: [{ sink, markers }],
    lanes: 1,
    keepStagedMs: { completed: 60_000 },
  })
  return finish(engine, await engine.create(allNumbers(sink)))
}

const about = (job: Job, delivery = 0) => ({
  ...{ job_id: job.job_id, table: 'numbers', window: { start: 0, end: 1_000_000 }, delivery },
})

test('the first and the last that a destination gets are the markers, the last one with its counts', async () => {
  const { sink, events } = markedSink()
  const job = await backfill(sink, [30_000, 10])
  expect(job.status).toBe('completed')
  expect(events.at(0)).toEqual({ event: 'start', ...about(job) })
  const { bytes } = job.destinations[0]!
  const counts = { delivered: 30_010, filtered: 0, dead_lettered: 0, bytes }
  expect(events.at(-1)).toEqual({ event: 'end', ...about(job), ...counts })
  const rows = events.slice(1, -1)
  expect(rows.reduce<number>((sum, count) => sum + (count as number), 0)).toBe(30_010)
})

test('a redelivery has markers of its own', async () => {
  const { sink, events } = markedSink()
  const job = await backfill(sink, [10])
  events.length = 0
  await engine!.redeliver(job.job_id, { type: 'marked', name: 'out' })
  await finish(engine!, job)
  expect(events).toMatchObject([{ event: 'start', ...about(job, 1) }, 10, { event: 'end', delivered: 10 }])
})

test('a job without rows is marked as well', async () => {
  const { sink, events } = markedSink()
  await backfill(sink, [])
  expect(events).toMatchObject([{ event: 'start' }, { event: 'end', delivered: 0, bytes: 0 }])
})

test('without the option there are none', async () => {
  const { sink, events } = markedSink()
  await backfill(sink, [10], false)
  expect(events).toEqual([10])
})

test.each(['start', 'end'] as const)('a marker that cannot be sent fails the destination: %s', async event => {
  const { sink } = markedSink(marked => marked === event)
  expect(await backfill(sink, [10])).toMatchObject({
    status: 'failed',
    error_message: expect.stringContaining('no markers today'),
  })
})

test('an engine is not made for a sink that has no markers', async () => {
  await expect(backfill(nullSink({ name: 'out' }), [10])).rejects.toThrow('sinks[0].markers: null sinks have none')
})

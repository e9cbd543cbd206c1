import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { isFinal, type Job } from '../../src/core/job.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { arrowSource } from './arrow-source.ts'
import { allNumbers, finish, recordingSink, until } from './number-jobs.ts'

let dir: string
let engine: Engine
let open: () => void
const started: string[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-queue-'))
  started.length = 0
  const gate = Promise.withResolvers<void>()
  open = gate.resolve
  const { sink } = recordingSink('out', () => gate.promise)
  engine = createEngine({
    source: arrowSource({ dir, files: [3], onStage: async ({ jobId }) => void started.push(jobId) }),
    sinks: [sink],
    store: memoryStore(),
    lanes: 1,
    maxRunningJobs: 1,
  })
})
afterEach(async () => {
  open()
  await engine.close()
  await rm(dir, { recursive: true, force: true })
})

const create = (organization_id = 'default'): Promise<Job> =>
  engine.create(allNumbers({ type: 'recording', name: 'out' }), { organization_id })

test('jobs over the limit of their organization wait, queued, and run in the order of their creation', async () => {
  const first = await create()
  const second = await create()
  const third = await create()
  expect([first.queued, second.queued, third.queued]).toEqual([false, true, true])
  expect((await create('another')).queued).toBe(false)
  expect(second.status).toBe('staging')
  await until(engine, first, ({ status }) => status === 'transporting')
  open()
  await finish(engine, third)
  const ids = [first, second, third].map(({ job_id }) => job_id)
  expect(started.filter(id => ids.includes(id))).toEqual(ids)
})

test('a queued job is cancelled at once', async () => {
  await create()
  const queued = await create()
  expect(queued.queued).toBe(true)
  await engine.cancel(queued.job_id)
  const last = await until(engine, queued, ({ status }) => isFinal(status))
  expect(last).toMatchObject({ status: 'cancelled', queued: false })
  expect(started).not.toContain(queued.job_id)
})

/** Tests of creating, reading and listing jobs, and of wishes. */
import assert from 'node:assert/strict'
import type { JobRecord, ListQuery, NewJob, Store } from '../stores/store.ts'
import { fulfilled, HOOK, KAFKA, ownedJob, refused, type StoreCase, testJob } from './store-driver.ts'

export const jobCases: readonly StoreCase[] = [
  [
    'a created job is as it was given, in staging, and owned by nobody',
    async store => {
      const job = testJob()
      await store.create(job)
      const untouched = {
        state: 'pending',
        error: undefined,
        saved: undefined,
        delivery: 0,
        ...{ delivered: 0, filtered: 0, deadLettered: 0, bytes: 0, chunksDone: 0 },
      }
      const expected = {
        ...job,
        status: 'staging',
        epoch: 0,
        beat: 0,
        wishes: {},
        staging: undefined,
        staged: undefined,
        numChunks: undefined,
        chunksLeft: undefined,
        error: undefined,
        timeCompleted: undefined,
        destinationRecords: [
          { ...KAFKA, ...untouched },
          { ...HOOK, ...untouched },
        ],
      }
      assert.deepEqual({ ...(await store.get(job.jobId)) }, expected)
      assert.deepEqual(
        (await store.list({})).map(record => ({ ...record })),
        [expected],
      )
    },
  ],

  [
    'what was given to create is copied',
    async store => {
      const job = testJob()
      const given = structuredClone(job)
      await store.create(given)
      given.request.backfill_window.start = 'changed by the caller'
      assert.equal((await store.get(job.jobId))?.request.backfill_window.start, '2026-03-01T00:00:00')
    },
  ],

  [
    'any text survives',
    async store => {
      const text = `'; DROP TABLE jobs; -- "\\ \n\t \u2028 é 😀 ${'x'.repeat(10_000)}`
      const job = testJob({ organizationId: text, partitionKey: text, table: text })
      await store.create(job)
      const [record] = await store.list({ organizationId: text, table: text })
      assert.deepEqual(record && given(record), job)
    },
  ],

  [
    '100,000 filter values survive, in a job and in a list of such jobs',
    async store => {
      const values = Array.from({ length: 100_000 }, (_, index) => `0x${index.toString(16).padStart(64, '0')}`)
      const jobs = ['2026-11-03T00:00:00.000Z', '2026-11-02T00:00:00.000Z', '2026-11-01T00:00:00.000Z'].map(
        timeCreated => {
          const job = testJob({ timeCreated })
          return { ...job, request: { ...job.request, filter: { column: 'token_address', values } } }
        },
      )
      for (const job of jobs) await store.create(job)
      assert.deepEqual((await store.get(jobs[0]!.jobId))?.request.filter?.values, values)
      const listed = await store.list({})
      assert.deepEqual(ids(listed), ids(jobs))
      for (const record of listed) assert.deepEqual(record.request.filter, { column: 'token_address', values })
    },
  ],

  [
    'an id that is taken is a conflict, and the first job stays',
    async store => {
      const job = testJob()
      await store.create(job)
      await refused('conflict', store.create({ ...testJob({ organizationId: 'other' }), jobId: job.jobId }))
      assert.deepEqual(given((await store.get(job.jobId))!), job)
      assert.equal((await store.list({})).length, 1)
    },
  ],

  [
    'of parallel creates with one id exactly one succeeds',
    async store => {
      const job = testJob()
      assert.equal(
        await fulfilled(
          'conflict',
          Array.from({ length: 8 }, () => store.create(job)),
        ),
        1,
      )
    },
  ],

  [
    'an unknown job is undefined everywhere',
    async store => {
      await store.create(testJob())
      const jobId = testJob().jobId
      assert.equal(await store.get(jobId), undefined)
      assert.equal(await store.manifest(jobId), undefined)
      assert.equal(await store.wish(jobId, { cancel: true }, ['staging']), undefined)
      assert.equal(await store.claim({ jobId, epoch: 0, beat: 0 }), undefined)
      assert.deepEqual(await store.checkpoints(jobId), {})
    },
  ],

  [
    'lists are newest first, and by id descending where the time is the same',
    async store => {
      const jobs = await createMany(store)
      assert.deepEqual(ids(await store.list({})), ids(jobs))
    },
  ],

  [
    'pages follow each other without gap or repetition, also between equal times',
    async store => {
      const jobs = await createMany(store)
      for (const limit of [1, 2, 3, 5, jobs.length]) {
        assert.deepEqual(ids(await allPages(store, { limit })), ids(jobs), `pages of ${limit}`)
      }
    },
  ],

  [
    'a page does not shift when newer jobs come in',
    async store => {
      const jobs = await createMany(store)
      const [first] = await store.list({ limit: 1 })
      await store.create(testJob({ timeCreated: '2026-12-31T00:00:00.000Z' }))
      assert.deepEqual(ids(await store.list({ before: first! })), ids(jobs.slice(1)))
    },
  ],

  [
    'lists filter by organization, status and table, alone and together',
    async store => {
      const jobs = await createMany(store)
      const completed = new Set<string>()
      for (const [index, job] of jobs.entries()) {
        if (index % 3 !== 0) continue
        const lease = await store.claim({ jobId: job.jobId, epoch: 0, beat: 0 })
        await store.transition(lease!, 'staging', 'completed', {})
        completed.add(job.jobId)
      }
      for (const organizationId of [undefined, 'one', 'two', 'nobody']) {
        for (const status of [undefined, 'staging', 'completed', 'failed'] as const) {
          for (const table of [undefined, 'a.b', 'a.c', 'a.d']) {
            const expected = jobs.filter(
              job =>
                (organizationId === undefined || job.organizationId === organizationId) &&
                (status === undefined || status === (completed.has(job.jobId) ? 'completed' : 'staging')) &&
                (table === undefined || job.request.table === table),
            )
            const query = {
              ...(organizationId !== undefined && { organizationId }),
              ...(status !== undefined && { status }),
              ...(table !== undefined && { table }),
            }
            assert.deepEqual(ids(await store.list(query)), ids(expected), JSON.stringify(query))
            assert.deepEqual(ids(await allPages(store, { ...query, limit: 2 })), ids(expected), JSON.stringify(query))
          }
        }
      }
    },
  ],

  [
    'a list without a limit has 1,000 jobs at most',
    async store => {
      await Promise.all(Array.from({ length: 1_001 }, () => store.create(testJob())))
      assert.equal((await store.list({})).length, 1_000)
      assert.equal((await store.list({ limit: 1_001 })).length, 1_001)
    },
  ],

  [
    'a wish is kept if the status is one of those named, and answers the job',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      assert.deepEqual((await store.wish(jobId, { cancel: true }, ['transporting']))?.wishes, {})
      assert.deepEqual((await store.get(jobId))?.wishes, {})
      const wished = await store.wish(jobId, { cancel: true }, ['staging', 'transporting'])
      assert.deepEqual(wished?.wishes, { cancel: true })
      assert.deepEqual(await store.get(jobId), wished)
      await store.transition(lease, 'staging', 'cancelled', {})
      assert.equal((await store.wish(jobId, { cancel: true }, ['staging', 'transporting']))?.status, 'cancelled')
    },
  ],

  [
    'wishes add up: what was wished once stays, for the next owner as well',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      await store.wish(jobId, { cancel: true }, ['staging'])
      assert.deepEqual((await store.wish(jobId, {}, ['staging']))?.wishes, { cancel: true })
      assert.deepEqual((await store.wish(jobId, { cancel: false }, ['staging']))?.wishes, { cancel: true })
      assert.deepEqual(await store.beat(lease), { cancel: true })
      await store.release(lease)
      const next = await store.claim({ jobId, epoch: lease.epoch + 1, beat: 0 })
      assert.deepEqual(await store.beat(next!), { cancel: true })
    },
  ],
]

/** In the order of a list: three times, four jobs each, of two organizations and three tables. */
async function createMany(store: Store): Promise<readonly NewJob[]> {
  const times = ['2026-11-03T08:00:00.001Z', '2026-11-03T08:00:00.000Z', '2025-01-01T00:00:00.000Z']
  const jobs = times.flatMap((timeCreated, time) =>
    [0, 1, 2, 3].map(index =>
      testJob({
        timeCreated,
        organizationId: (time + index) % 2 ? 'one' : 'two',
        table: ['a.b', 'a.c', 'a.d'][(index + 2 * time) % 3]!,
      }),
    ),
  )
  await Promise.all(jobs.map(job => store.create(job)))
  return jobs.sort((a, b) => (a.timeCreated + a.jobId > b.timeCreated + b.jobId ? -1 : 1))
}

async function allPages(store: Store, query: ListQuery): Promise<JobRecord[]> {
  const records: JobRecord[] = []
  for (;;) {
    const last = records.at(-1)
    const page = await store.list({
      ...query,
      ...(last && { before: { timeCreated: last.timeCreated, jobId: last.jobId } }),
    })
    if (page.length === 0) return records
    assert(page.length <= query.limit!, 'a page is longer than its limit')
    records.push(...page)
  }
}

function ids(jobs: readonly { readonly jobId: string }[]): string[] {
  return jobs.map(job => job.jobId)
}

function given({ jobId, organizationId, request, partitionKey, destinations, timeCreated }: JobRecord): NewJob {
  return { jobId, organizationId, request, partitionKey, destinations, timeCreated }
}

/** Tests of units and their reports: attempts, checkpoints, sums, chunks left. */
import assert from 'node:assert/strict'
import {
  checkpointAt,
  checkpointsOf,
  chunksLeft,
  deliveringJob,
  destinationOf,
  everythingOf,
  HOOK,
  KAFKA,
  letterAt,
  refused,
  type StoreCase,
  startReporter,
  testJob,
  unitId,
} from './store-driver.ts'

const attempts: readonly StoreCase[] = [
  [
    'attempts of a unit are numbered from 1, each unit by itself, across owners',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 2)
      const [first, second] = [unitId(jobId, KAFKA, 0), unitId(jobId, KAFKA, 1)]
      assert.deepEqual([await store.startUnit(lease, first), await store.startUnit(lease, first)], [1, 2])
      assert.equal(await store.startUnit(lease, second), 1)
      const [seen] = await store.unfinished()
      const next = await store.claim(seen!)
      assert.equal(await store.startUnit(next!, first), 3)
    },
  ],

  [
    'parallel starts of a unit have different attempts',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 1)
      const attempts = await Promise.all(Array.from({ length: 8 }, () => store.startUnit(lease, unitId(jobId, KAFKA))))
      assert.deepEqual(attempts.sort(), [1, 2, 3, 4, 5, 6, 7, 8])
    },
  ],

  [
    'a report of an earlier attempt, or of a unit that was never started, is refused and changes nothing',
    async store => {
      const owned = await deliveringJob(store, 2)
      const earlier = await startReporter(store, owned)
      const latest = await startReporter(store, owned)
      await latest.settle([0, 10])
      const before = await everythingOf(store, owned.jobId)
      const progress = {
        checkpoints: [checkpointAt(0, 100)],
        deadLetters: [letterAt(0, 50)],
        proof: [{ first: '1', last: '2' }],
      }
      await refused('lease_lost', earlier.report(progress, 10))
      const neverStarted = {
        unit: unitId(owned.jobId, KAFKA, 1),
        attempt: 1,
        jobId: owned.jobId,
        destination: KAFKA.uid,
        delivery: 0,
      }
      await refused('lease_lost', store.report(owned.lease, { ...neverStarted, ...progress }, 10))
      assert.deepEqual(await everythingOf(store, owned.jobId), before)
    },
  ],

  [
    'a report for a destination that the job does not have is not found',
    async store => {
      const owned = await deliveringJob(store, 1, { destinations: [KAFKA] })
      await refused('not_found', (await startReporter(store, owned, HOOK)).settle([0, 10]))
    },
  ],

  [
    'a report brings the wishes',
    async store => {
      const owned = await deliveringJob(store, 1)
      const reporter = await startReporter(store, owned)
      assert.deepEqual(await reporter.report({}), { deadLettersRefused: 0, wishes: {} })
      await store.wish(owned.jobId, { cancel: true }, ['transporting'])
      assert.deepEqual(await reporter.report({}), { deadLettersRefused: 0, wishes: { cancel: true } })
    },
  ],
]

const checkpoints: readonly StoreCase[] = [
  [
    'checkpoints are kept by destination, ordered by chunk, and their sums in the destination',
    async store => {
      const owned = await deliveringJob(store, 4)
      const kafka = await startReporter(store, owned)
      const hook = await startReporter(store, owned, HOOK)
      await kafka.settle([2, 30, true], [0, 100])
      await kafka.settle([1, 50, true])
      await hook.settle([0, 40])
      assert.deepEqual(await checkpointsOf(store, owned.jobId), [
        checkpointAt(0, 100),
        checkpointAt(1, 50, true),
        checkpointAt(2, 30, true),
      ])
      assert.deepEqual(await checkpointsOf(store, owned.jobId, HOOK), [checkpointAt(0, 40)])
      const { delivered, filtered, bytes, chunksDone } = await destinationOf(store, owned.jobId)
      assert.deepEqual(
        { delivered, filtered, bytes, chunksDone },
        { delivered: 162, filtered: 18, bytes: 16_200, chunksDone: 2 },
      )
      assert.equal((await destinationOf(store, owned.jobId, HOOK)).delivered, 36)
    },
  ],

  [
    'a checkpoint moves on and the sums with it; one that is not ahead changes nothing',
    async store => {
      const owned = await deliveringJob(store, 2)
      const reporter = await startReporter(store, owned)
      await reporter.settle([0, 100], [1, 10])
      await reporter.settle([0, 250])
      const before = await everythingOf(store, owned.jobId)
      assert.equal((await destinationOf(store, owned.jobId)).delivered, 225 + 9)
      await reporter.settle([0, 250])
      await reporter.settle([0, 100], [1, 0])
      await reporter.report({ checkpoints: [{ ...checkpointAt(0, 250), delivered: 1, checksum: 'f'.repeat(16) }] })
      await reporter.report({ checkpoints: [{ ...checkpointAt(0, 240), done: true }] })
      assert.deepEqual(await everythingOf(store, owned.jobId), before)
    },
  ],

  [
    'a chunk may be found done at a row that was reported before, and stays done',
    async store => {
      const owned = await deliveringJob(store, 2, { destinations: [KAFKA] })
      const reporter = await startReporter(store, owned)
      await reporter.settle([0, 100])
      await reporter.settle([0, 100, true])
      await reporter.settle([1, 0, true])
      await reporter.settle([0, 100], [1, 0])
      await reporter.settle([0, 200])
      assert.deepEqual(await checkpointsOf(store, owned.jobId), [checkpointAt(0, 100, true), checkpointAt(1, 0, true)])
      assert.equal((await destinationOf(store, owned.jobId)).chunksDone, 2)
      assert.equal(await chunksLeft(store, owned.jobId), 0)
    },
  ],

  [
    'a checkpoint outlives its owner and its attempt',
    async store => {
      const owned = await deliveringJob(store, 1)
      await (await startReporter(store, owned)).settle([0, 100])
      const [seen] = await store.unfinished()
      const next = { jobId: owned.jobId, lease: (await store.claim(seen!))! }
      const reporter = await startReporter(store, next)
      await reporter.settle([0, 60])
      assert.deepEqual(await checkpointsOf(store, owned.jobId), [checkpointAt(0, 100)])
      await reporter.settle([0, 120])
      assert.deepEqual(await checkpointsOf(store, owned.jobId), [checkpointAt(0, 120)])
    },
  ],

  [
    'parallel reports of many units add up exactly, whatever their order',
    async store => {
      const owned = await deliveringJob(store, 60)
      const [kafka, hook] = [await startReporter(store, owned), await startReporter(store, owned, HOOK)]
      await Promise.all(
        [kafka, hook].flatMap(reporter =>
          Array.from({ length: 60 }, (_, chunk) => [
            reporter.settle([chunk, 10]),
            reporter.settle([chunk, 40, true]),
            reporter.settle([chunk, 20]),
          ]).flat(),
        ),
      )
      for (const to of [KAFKA, HOOK]) {
        const { delivered, filtered, bytes, chunksDone } = await destinationOf(store, owned.jobId, to)
        assert.deepEqual(
          { delivered, filtered, bytes, chunksDone },
          { delivered: 2_160, filtered: 240, bytes: 216_000, chunksDone: 60 },
        )
        const expected = Array.from({ length: 60 }, (_, chunk) => checkpointAt(chunk, 40, true))
        assert.deepEqual(await checkpointsOf(store, owned.jobId, to), expected)
      }
      assert.equal(await chunksLeft(store, owned.jobId), 0)
    },
  ],

  [
    'the checkpoints of 5,000 chunks come back whole',
    async store => {
      const owned = await deliveringJob(store, 5_000, { destinations: [KAFKA] })
      const reporter = await startReporter(store, owned)
      const all = Array.from({ length: 5_000 }, (_, chunk) => checkpointAt(chunk, 10, chunk % 2 === 0))
      await reporter.report({ checkpoints: all })
      assert.deepEqual(await checkpointsOf(store, owned.jobId), all)
      assert.equal(await chunksLeft(store, owned.jobId), 2_500)
    },
  ],
]

const chunkCounts: readonly StoreCase[] = [
  [
    'a chunk is left until every destination has settled it',
    async store => {
      const owned = await deliveringJob(store, 3)
      const [kafka, hook] = [await startReporter(store, owned), await startReporter(store, owned, HOOK)]
      await kafka.settle([0, 10, true], [1, 10, true], [2, 10])
      assert.equal(await chunksLeft(store, owned.jobId), 3)
      await hook.settle([0, 10, true], [2, 10, true])
      assert.equal(await chunksLeft(store, owned.jobId), 2)
      await kafka.settle([2, 20, true])
      assert.equal(await chunksLeft(store, owned.jobId), 1)
      await hook.settle([1, 10, true])
      assert.equal(await chunksLeft(store, owned.jobId), 0)
    },
  ],

  [
    'a destination that has failed is no longer waited for, and no longer counts',
    async store => {
      const owned = await deliveringJob(store, 4)
      const [kafka, hook] = [await startReporter(store, owned), await startReporter(store, owned, HOOK)]
      await kafka.settle([0, 10, true], [1, 10, true])
      await hook.settle([1, 10, true], [2, 10, true])
      assert.equal(await chunksLeft(store, owned.jobId), 3)
      await store.setDestination(owned.lease, HOOK.uid, { state: 'failed' })
      assert.equal(await chunksLeft(store, owned.jobId), 2)
      await hook.settle([0, 10, true], [3, 10, true])
      assert.equal(await chunksLeft(store, owned.jobId), 2, 'a failed destination settled chunks')
      assert.equal((await destinationOf(store, owned.jobId, HOOK)).chunksDone, 4, 'its checkpoints are still stored')
      await kafka.settle([3, 10, true])
      assert.equal(await chunksLeft(store, owned.jobId), 1)
      await store.setDestination(owned.lease, KAFKA.uid, { state: 'failed' })
      assert.equal(await chunksLeft(store, owned.jobId), 0, 'nobody is left to settle anything')
      await kafka.settle([2, 10, true])
      assert.equal(await chunksLeft(store, owned.jobId), 0)
    },
  ],

  [
    'a destination that failed before the manifest is not waited for',
    async store => {
      const owned = await deliveringJob(store, 0)
      const job = testJob()
      await store.create(job)
      const lease = (await store.claim({ jobId: job.jobId, epoch: 0, beat: 0 }))!
      await store.setDestination(lease, HOOK.uid, { state: 'failed' })
      const manifest = { ...(await store.manifest(owned.jobId))!, files: [{ name: 'a', bytes: 1 }] }
      await store.transition(lease, 'staging', 'transporting', { manifest })
      assert.equal(await chunksLeft(store, job.jobId), 1)
      await (await startReporter(store, { jobId: job.jobId, lease })).settle([0, 1, true])
      assert.equal(await chunksLeft(store, job.jobId), 0)
    },
  ],
]

export const reportCases: readonly StoreCase[] = [...attempts, ...checkpoints, ...chunkCounts]

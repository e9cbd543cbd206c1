/** Tests of claims, leases and epochs. */
import assert from 'node:assert/strict'
import type { JobStatus } from '../core/job.ts'
import type { Lease, Store } from '../stores/store.ts'
import {
  checkpointAt,
  deliveringJob,
  everythingOf,
  fulfilled,
  KAFKA,
  letterAt,
  ownedJob,
  refused,
  type StoreCase,
  startReporter,
  testJob,
  testManifest,
} from './store-driver.ts'

export const ownershipCases: readonly StoreCase[] = [
  [
    'a claim has the next epoch, and a beat that is not 0',
    async store => {
      const job = testJob()
      await store.create(job)
      const { jobId } = job
      assert.deepEqual(await store.claim({ jobId, epoch: 0, beat: 0 }), { jobId, epoch: 1 })
      const record = await store.get(jobId)
      assert.equal(record?.epoch, 1)
      assert.notEqual(record?.beat, 0)
    },
  ],

  [
    'a job that is not final is unfinished, with what a claim needs',
    async store => {
      const fresh = testJob()
      await store.create(fresh)
      const owned = await deliveringJob(store, 1)
      await store.beat(owned.lease)
      for (const status of ['completed', 'failed', 'cancelled'] as const) {
        await store.transition((await ownedJob(store)).lease, 'staging', status, {})
      }
      const unfinished = await store.unfinished()
      const { epoch, beat } = (await store.get(owned.jobId))!
      assert.deepEqual(
        new Set(unfinished),
        new Set([
          { jobId: fresh.jobId, epoch: 0, beat: 0 },
          { jobId: owned.jobId, epoch, beat },
        ]),
      )
      assert.equal(unfinished.length, 2)
      for (const seen of unfinished) assert.equal((await store.claim(seen))?.epoch, seen.epoch + 1)
    },
  ],

  [
    'unfinished jobs are there in the order of their creation',
    async store => {
      const jobs = ['2026-03-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '2026-02-01T00:00:00.000Z'].map(
        timeCreated => testJob({ timeCreated }),
      )
      for (const job of jobs) await store.create(job)
      const order = [1, 2, 0].map(index => jobs[index]!.jobId)
      assert.deepEqual(
        (await store.unfinished()).map(({ jobId }) => jobId),
        order,
      )
    },
  ],

  [
    'with a limit, jobs of an organization are claimed in the order of their creation, as others end',
    async store => {
      const [first, second, third] = [1, 2, 3].map(day => testJob({ timeCreated: `2026-01-0${day}T00:00:00.000Z` }))
      const other = testJob({ timeCreated: '2026-02-01T00:00:00.000Z', organizationId: 'another' })
      for (const job of [first!, second!, third!, other]) await store.create(job)
      const claim = ({ jobId }: { jobId: string }, most?: number) => store.claim({ jobId, epoch: 0, beat: 0 }, most)
      assert.equal(await claim(second!, 1), undefined, 'an older job waits')
      const lease = await claim(first!, 1)
      assert(lease)
      assert.equal(await claim(second!, 1), undefined, 'one is under way')
      assert(await claim(other, 1), 'organizations do not count for each other')
      assert.equal(await claim(third!, 2), undefined, 'an older job waits for the second place')
      assert(await claim(second!, 2))
      const beat = (await store.get(first!.jobId))!.beat
      const taken = await store.claim({ jobId: first!.jobId, epoch: lease.epoch, beat }, 1)
      assert(taken, 'a job that is owned already keeps its place')
      await store.transition(taken, 'staging', 'failed', {})
      assert(await claim(third!, 2), 'a place is free')
    },
  ],

  [
    'a claim fails if the epoch or the beat has moved since',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      assert.equal(await store.claim({ jobId, epoch: 0, beat: 0 }), undefined, 'the epoch has moved')
      const [seen] = await store.unfinished()
      await store.beat(lease)
      assert.equal(await store.claim(seen!), undefined, 'the beat has moved')
      assert.equal((await store.get(jobId))?.epoch, lease.epoch)
      const [now] = await store.unfinished()
      assert.deepEqual(await store.claim(now!), { jobId, epoch: lease.epoch + 1 })
    },
  ],

  [
    'of parallel claims exactly one wins',
    async store => {
      const job = testJob()
      await store.create(job)
      for (let epoch = 0; epoch < 3; epoch++) {
        const [seen] = await store.unfinished()
        const leases = await Promise.all(Array.from({ length: 8 }, () => store.claim(seen!)))
        assert.deepEqual(
          leases.filter(lease => lease !== undefined),
          [{ jobId: job.jobId, epoch: epoch + 1 }],
        )
      }
    },
  ],

  [
    'a final job cannot be claimed, and takes no more progress',
    async store => {
      const owned = await deliveringJob(store, 1)
      const { jobId, lease } = owned
      const reporter = await startReporter(store, owned)
      await store.transition(lease, 'transporting', 'completed', {})
      const before = await everythingOf(store, jobId)
      const { epoch, beat } = before.record!
      assert.equal(await store.claim({ jobId, epoch, beat }), undefined)
      await refused('conflict', store.saveStaging(lease, { stagingId: 'late', saved: null }))
      await refused('conflict', store.startUnit(lease, reporter.unit))
      await refused('conflict', store.setDestination(lease, KAFKA.uid, { state: 'failed' }))
      await refused('conflict', reporter.settle([0, 10, true]))
      assert.deepEqual(await everythingOf(store, jobId), before)
      await store.beat(lease)
      await store.release(lease)
      assert.equal(await store.claim({ jobId, epoch: epoch + 1, beat: 0 }), undefined)
      assert.equal((await store.get(jobId))?.status, 'completed')
    },
  ],

  [
    'a beat raises the beat and nothing else',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      const before = await everythingOf(store, jobId)
      assert.deepEqual(await store.beat(lease), {})
      const after = await everythingOf(store, jobId)
      assert(after.record!.beat > before.record!.beat)
      assert.deepEqual(
        { ...after, record: { ...after.record, beat: before.record!.beat } },
        { ...before, record: { ...before.record } },
      )
    },
  ],

  [
    'a released job may be claimed at once, and the lease is lost',
    async store => {
      const owned = await deliveringJob(store, 1)
      await store.release(owned.lease)
      await refusesEverything(store, owned.lease, 'transporting')
      const [seen] = await store.unfinished()
      assert.equal(seen?.beat, 0)
      const next = await store.claim(seen!)
      assert(next && next.epoch > owned.lease.epoch)
      await store.beat(next)
    },
  ],

  [
    'an owner that was taken over can change nothing',
    async store => {
      const owned = await deliveringJob(store, 2)
      const reporter = await startReporter(store, owned)
      await reporter.report(
        { checkpoints: [checkpointAt(0, 50)], deadLetters: [letterAt(1, 7)], proof: [{ first: '0', last: '9' }] },
        10,
      )
      const [seen] = await store.unfinished()
      const next = await store.claim(seen!)
      const before = await everythingOf(store, owned.jobId)
      await refusesEverything(store, owned.lease, 'transporting')
      assert.deepEqual(await everythingOf(store, owned.jobId), before)
      await store.beat(next!)
    },
  ],

  [
    'nobody owns a job by guessing its next epoch, nor one that does not exist',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      await refusesEverything(store, { jobId, epoch: lease.epoch + 1 }, 'staging')
      await refusesEverything(store, { jobId: testJob().jobId, epoch: 0 }, 'staging')
      await store.beat(lease)
    },
  ],

  [
    'a takeover in the middle of reports leaves either none or all of each',
    async store => {
      const owned = await deliveringJob(store, 40, { destinations: [KAFKA] })
      const reporter = await startReporter(store, owned)
      const [seen] = await store.unfinished()
      const reports = Array.from({ length: 40 }, (_, chunk) => [
        reporter.settle([chunk, 100, true]),
        ...(chunk === 20 ? [store.claim(seen!).then(lease => assert(lease))] : []),
      ]).flat()
      const stored = (await fulfilled('lease_lost', reports)) - 1
      const record = (await store.get(owned.jobId))!
      assert.equal(record.destinationRecords[0]!.chunksDone, stored)
      assert.equal(record.destinationRecords[0]!.delivered, stored * 90)
      assert.equal(record.chunksLeft, 40 - stored)
    },
  ],
]

async function refusesEverything(store: Store, lease: Lease, status: JobStatus): Promise<void> {
  const { jobId } = lease
  const report = {
    unit: `${jobId}/${KAFKA.uid}/0/0`,
    attempt: 1,
    jobId,
    destination: KAFKA.uid,
    delivery: 0,
    checkpoints: [checkpointAt(0, 1_000, true)],
    deadLetters: [letterAt(0, 3)],
    proof: [{ first: '10', last: '19' }],
  }
  await refused('lease_lost', store.beat(lease))
  await refused('lease_lost', store.release(lease))
  await refused('lease_lost', store.saveStaging(lease, { stagingId: 'stale', saved: null }))
  await refused('lease_lost', store.transition(lease, status, 'failed', { manifest: testManifest(1) }))
  await refused('lease_lost', store.setDestination(lease, KAFKA.uid, { state: 'failed', saved: 'stale' }))
  await refused('lease_lost', store.startUnit(lease, report.unit))
  await refused('lease_lost', store.report(lease, report, 10))
}

/** Tests of what becomes of a job after its end: reopened, its staged files removed, its dead letters delivered. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { JobStatus } from '../core/job.ts'
import type { JobChange, Store } from '../stores/store.ts'
import {
  checkpointAt,
  checkpointsOf,
  chunksLeft,
  collect,
  deliveringJob,
  destinationOf,
  everythingOf,
  HOOK,
  KAFKA,
  letterAt,
  type OwnedJob,
  ownedJob,
  refused,
  type StoreCase,
  startReporter,
} from './store-driver.ts'

const ENDED = '2026-11-02T10:00:00.000Z'
const STAGING = { stagingId: 'files-1', saved: { query: 'abc' } }

/** A job of three chunks whose Kafka topic has all of the first and half of the second, while the webhook failed. */
async function endedJob(store: Store, to: JobStatus = 'failed', change: JobChange = {}): Promise<OwnedJob> {
  const owned = await deliveringJob(store, 3)
  await store.saveStaging(owned.lease, STAGING)
  const reporter = await startReporter(store, owned)
  await reporter.settle([0, 1_000, true], [1, 500])
  await store.setDestination(owned.lease, KAFKA.uid, { state: 'delivering' })
  await store.setDestination(owned.lease, HOOK.uid, {
    state: 'failed',
    error: { code: 'delivery_failed', message: 'no' },
  })
  await store.transition(owned.lease, 'transporting', to, {
    error: { code: 'delivery_failed', message: 'webhook/hook: no' },
    timeCompleted: ENDED,
    staged: { state: 'kept', until: '2026-11-03T10:00:00.000Z' },
    ...change,
  })
  return owned
}

const reopening: readonly StoreCase[] = [
  [
    'destinations that were under way when a job failed or was cancelled are cancelled; others stay as they are',
    async store => {
      for (const status of ['failed', 'cancelled'] as const) {
        const { jobId } = await endedJob(store, status)
        assert.equal((await destinationOf(store, jobId)).state, 'cancelled')
        assert.equal((await destinationOf(store, jobId, HOOK)).state, 'failed')
      }
    },
  ],

  [
    'a job that failed goes on from its checkpoints, under a new epoch and owned by nobody',
    async store => {
      const { jobId, lease } = await endedJob(store)
      await store.wish(jobId, { cancel: true, pause: true }, ['failed'])
      const record = await store.reopen(jobId, ['failed'], { goOn: [KAFKA.uid, HOOK.uid] })
      assert.equal(record.status, 'transporting')
      assert.equal(record.error, undefined)
      assert.equal(record.timeCompleted, undefined)
      assert.equal(record.staged, undefined)
      assert.deepEqual(record.staging, STAGING)
      assert.deepEqual(record.wishes, { pause: true })
      assert.deepEqual(await store.get(jobId), record)
      for (const to of [KAFKA, HOOK]) {
        const { state, error, delivery } = await destinationOf(store, jobId, to)
        assert.deepEqual([state, error, delivery], ['pending', undefined, 0])
      }
      assert.deepEqual(await checkpointsOf(store, jobId), [checkpointAt(0, 1_000, true), checkpointAt(1, 500)])
      assert.equal(await chunksLeft(store, jobId), 3)
      await refused('lease_lost', store.beat(lease))
      const [seen] = await store.unfinished()
      assert.deepEqual(seen, { jobId, epoch: lease.epoch + 1, beat: 0 })
      const next = await store.claim(seen!)
      await (await startReporter(store, { jobId, lease: next! })).settle([1, 1_000, true])
      assert.equal((await destinationOf(store, jobId)).delivered, 1_800)
    },
  ],

  [
    'a job without a manifest is staged again',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      await store.saveStaging(lease, STAGING)
      const staged = { state: 'gone' } as const
      await store.transition(lease, 'staging', 'failed', { error: { code: 'source_failed', message: 'no' }, staged })
      const { status, error, staging } = await store.reopen(jobId, ['failed'], { goOn: [KAFKA.uid] })
      assert.deepEqual([status, error, staging], ['staging', undefined, { ...STAGING, saved: null }])
    },
  ],

  [
    'reopening is refused in another status, for an unknown job or destination, and when the files are gone, and changes nothing',
    async store => {
      const { jobId } = await endedJob(store)
      const before = await everythingOf(store, jobId)
      const again = [{ uid: randomUUID(), from: 0, to: 1 }]
      await refused('conflict', store.reopen(jobId, ['completed'], {}))
      await refused('not_found', store.reopen(jobId, ['failed'], { goOn: [randomUUID()] }))
      await refused('not_found', store.reopen(jobId, ['failed'], { goOn: [KAFKA.uid], again }))
      await refused('not_found', store.reopen(randomUUID(), ['failed'], {}))
      assert.deepEqual(await everythingOf(store, jobId), before)
      await store.beginDiscard(jobId)
      await refused('conflict', store.reopen(jobId, ['failed'], {}))
      await store.discarded(jobId)
      await refused('conflict', store.reopen(jobId, ['failed'], {}))
      const going = await deliveringJob(store, 1)
      await refused('conflict', store.reopen(going.jobId, ['failed', 'completed'], {}))
    },
  ],

  [
    'a destination can be added, and starts at the first row',
    async store => {
      const { jobId } = await endedJob(store, 'completed')
      const added = { type: 'file', name: 'copy', uid: randomUUID() }
      const { destinations } = await store.reopen(jobId, ['completed'], { added: [added] })
      assert.deepEqual(destinations, [KAFKA, HOOK, added])
      const { state, delivered, chunksDone, delivery } = await destinationOf(store, jobId, added)
      assert.deepEqual([state, delivered, chunksDone, delivery], ['pending', 0, 0, 0])
      assert.equal(await chunksLeft(store, jobId), 3)
      const lease = (await store.claim((await store.unfinished())[0]!))!
      await (await startReporter(store, { jobId, lease }, added)).settle([2, 10, true])
      assert.equal((await destinationOf(store, jobId, added)).chunksDone, 1)
    },
  ],

  [
    'a delivery is repeated for the chunks that are asked for, with sums, dead letters and proof of its own',
    async store => {
      const owned = await deliveringJob(store, 4)
      const { jobId } = owned
      const reporter = await startReporter(store, owned)
      await reporter.settle([0, 1_000, true], [1, 1_000, true], [2, 1_000, true], [3, 1_000, true])
      await reporter.report({ deadLetters: [letterAt(1, 3)], proof: [{ partition: 0, first: '0', last: '9' }] }, 5)
      await store.setDestination(owned.lease, KAFKA.uid, { state: 'completed' })
      await store.setDestination(owned.lease, HOOK.uid, { state: 'failed' })
      await store.transition(owned.lease, 'transporting', 'completed', {})
      await store.reopen(jobId, ['completed'], { again: [{ uid: KAFKA.uid, from: 1, to: 3 }] })

      const { state, delivery, delivered, bytes, chunksDone } = await destinationOf(store, jobId)
      assert.deepEqual([state, delivery, delivered, bytes, chunksDone], ['pending', 1, 0, 0, 2])
      const done = (await checkpointsOf(store, jobId)).map(({ chunk, row, done, delivered }) => [
        chunk,
        row,
        done,
        delivered,
      ])
      assert.deepEqual(done, [
        [0, 0, true, 0],
        [3, 0, true, 0],
      ])
      assert.equal(await chunksLeft(store, jobId), 2)
      assert.deepEqual(await collect(store.deadLetters(jobId, KAFKA.uid)), [])
      assert.deepEqual(await store.proof(jobId, KAFKA.uid), [])

      const lease = (await store.claim((await store.unfinished())[0]!))!
      const late = await startReporter(store, { jobId, lease }, KAFKA, 0, 0)
      await refused('lease_lost', late.settle([1, 500]))
      await (await startReporter(store, { jobId, lease }, KAFKA, 0, 1)).settle([1, 500], [2, 1_000, true])
      assert.equal((await destinationOf(store, jobId)).delivered, 1_350)
      assert.equal(await chunksLeft(store, jobId), 1)
    },
  ],
]

const discarding: readonly StoreCase[] = [
  [
    'staged files expire when their time is over, and are removed by whoever asks first or again',
    async store => {
      const { jobId } = await endedJob(store)
      const forever = await endedJob(store, 'failed', { staged: { state: 'kept' } })
      assert.deepEqual(await store.expired('2026-11-03T09:59:59.999Z'), [])
      assert.deepEqual(await store.expired('2026-11-03T10:00:00.000Z'), [jobId])
      assert.deepEqual(await store.beginDiscard(jobId), STAGING)
      assert.deepEqual((await store.get(jobId))?.staged, { state: 'discarding' })
      // whoever began it may have died
      assert.deepEqual(await store.expired(ENDED), [jobId])
      assert.deepEqual(await store.beginDiscard(jobId), STAGING)
      await store.discarded(jobId)
      assert.deepEqual((await store.get(jobId))?.staged, { state: 'gone' })
      assert.equal(await store.beginDiscard(jobId), undefined)
      assert.deepEqual(await store.expired('2027-01-01T00:00:00.000Z'), [])
      assert.deepEqual((await store.get(forever.jobId))?.staged, { state: 'kept' })
    },
  ],

  [
    'the files of a job that goes on are not to be removed',
    async store => {
      const owned = await deliveringJob(store, 1)
      await store.saveStaging(owned.lease, STAGING)
      assert.equal(await store.beginDiscard(owned.jobId), undefined)
      assert.equal(await store.beginDiscard(randomUUID()), undefined)
      const { jobId } = await endedJob(store)
      await store.reopen(jobId, ['failed'], {})
      assert.deepEqual(await store.expired('2027-01-01T00:00:00.000Z'), [])
      assert.equal(await store.beginDiscard(jobId), undefined)
      await store.discarded(jobId)
      assert.equal((await store.get(jobId))?.staged, undefined)
    },
  ],
]

const nothing = { delivered: [], refused: [], proof: [] }

const redriving: readonly StoreCase[] = [
  [
    'dead letters that were delivered after all are gone, and their chunks count them as delivered; others have a new cause',
    async store => {
      const owned = await deliveringJob(store, 2)
      const { jobId } = owned
      const reporter = await startReporter(store, owned)
      const checkpoint = { ...checkpointAt(0, 100), delivered: 88, deadLettered: 2, checksum: 'ffffffffffffffff' }
      await reporter.report(
        { checkpoints: [checkpoint], deadLetters: [letterAt(0, 3), letterAt(0, 4), letterAt(1, 5)] },
        9,
      )
      const row = { chunk: 0, row: 3, bytes: 17, checksum: '0000000000000003' }
      await refused('conflict', store.redriven(jobId, KAFKA.uid, { ...nothing, delivered: [row] }))
      await store.transition(owned.lease, 'transporting', 'failed', {})

      const again = { chunk: 0, row: 4, cause: 'still too large', time: '2026-11-03T10:00:00.000Z' }
      const proof = [{ partition: 1, first: '7', last: '8' }]
      // chunk 1 has no tallies yet that would speak of its row
      const rows = [row, { ...row, row: 77 }, { chunk: 1, row: 5, bytes: 17, checksum: '0000000000000001' }]
      const outcome = { delivered: rows, refused: [again, { ...again, row: 88 }], proof }
      assert.equal(await store.redriven(jobId, KAFKA.uid, outcome), 2)
      assert.equal(await store.redriven(jobId, KAFKA.uid, outcome), 0)
      assert.deepEqual(await collect(store.deadLetters(jobId, KAFKA.uid)), [{ ...letterAt(0, 4), ...again }])
      assert.deepEqual(await store.proof(jobId, KAFKA.uid), proof)
      const after = {
        ...checkpoint,
        delivered: 89,
        deadLettered: 1,
        bytes: checkpoint.bytes + 17,
        checksum: '0000000000000002',
      }
      assert.deepEqual(await checkpointsOf(store, jobId), [after])
      const { delivered, deadLettered, bytes } = await destinationOf(store, jobId)
      assert.deepEqual([delivered, deadLettered, bytes], [89, 1, after.bytes])
      await refused('not_found', store.redriven(randomUUID(), KAFKA.uid, outcome))
      await refused('not_found', store.redriven(jobId, randomUUID(), outcome))
    },
  ],
]

export const reopeningCases: readonly StoreCase[] = [...reopening, ...discarding, ...redriving]

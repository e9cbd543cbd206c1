/** Tests of what the owner stores of the job as a whole: staging, status, manifest, destinations. */
import assert from 'node:assert/strict'
import {
  deliveringJob,
  destinationOf,
  everythingOf,
  fulfilled,
  HOOK,
  KAFKA,
  ownedJob,
  refused,
  type StoreCase,
  testManifest,
} from './store-driver.ts'

export const progressCases: readonly StoreCase[] = [
  [
    'staging is kept as it was last saved; a new one drops what was saved for the old',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      const saved = { query: 'q-1', tries: [1, null, 'x', { deep: true }] }
      for (const staging of [
        { stagingId: 'first', saved: null },
        { stagingId: 'first', saved },
        { stagingId: 'second', saved: null },
      ]) {
        await store.saveStaging(lease, staging)
        assert.deepEqual((await store.get(jobId))?.staging, staging)
      }
    },
  ],

  [
    'a transition changes the status, and keeps error and time of completion',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      await store.transition(lease, 'staging', 'transporting', { manifest: testManifest(3) })
      assert.equal((await store.get(jobId))?.status, 'transporting')
      const error = { code: 'source_failed', message: 'the "warehouse" said no\n' }
      const timeCompleted = '2026-11-02T00:00:00.123Z'
      await store.transition(lease, 'transporting', 'failed', { error, timeCompleted })
      const record = await store.get(jobId)
      assert.equal(record?.status, 'failed')
      assert.deepEqual(record?.error, error)
      assert.equal(record?.timeCompleted, timeCompleted)
      assert.equal(record?.numChunks, 3)
    },
  ],

  [
    'a transition from another status is a conflict and changes nothing',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      const before = await everythingOf(store, jobId)
      const change = {
        manifest: testManifest(2),
        error: { code: 'internal', message: 'no' },
        timeCompleted: '2026-11-02T00:00:00.000Z',
      }
      await refused('conflict', store.transition(lease, 'transporting', 'completed', change))
      assert.deepEqual(await everythingOf(store, jobId), before)
    },
  ],

  [
    'of parallel transitions from one status exactly one succeeds',
    async store => {
      const { lease } = await ownedJob(store)
      const ends = ['completed', 'failed', 'cancelled', 'completed'] as const
      assert.equal(
        await fulfilled(
          'conflict',
          ends.map(to => store.transition(lease, 'staging', to, {})),
        ),
        1,
      )
    },
  ],

  [
    'the manifest survives, and fixes the number of chunks',
    async store => {
      const { jobId, lease } = await ownedJob(store)
      assert.equal(await store.manifest(jobId), undefined)
      const manifest = {
        files: [
          { name: 'a.parquet', bytes: 10, rows: 5, fingerprint: 'abc', format: 'parquet' as const },
          { name: 'b.arrow', bytes: 20 },
        ],
        residual: {
          window: {
            column: 'block',
            type: { kind: 'integer' as const, bits: 64 as const, signed: true },
            start: '1',
            end: '9',
          },
          filter: { column: 'token', type: { kind: 'string' as const }, values: { count: 2, inline: ['a', 'b'] } },
        },
        spanRows: 8_192,
        schema: { table: 'table', columns: [], partitionKeys: ['key'] },
        units: [[0, 1]],
      }
      await store.transition(lease, 'staging', 'transporting', { manifest })
      assert.deepEqual(await store.manifest(jobId), manifest)
      const record = await store.get(jobId)
      assert.equal(record?.numChunks, 2)
      assert.equal(record?.chunksLeft, 2)
    },
  ],

  [
    'a second manifest is a conflict, and the first stays',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 2)
      await refused('conflict', store.transition(lease, 'transporting', 'failed', { manifest: testManifest(3) }))
      assert.deepEqual(await store.manifest(jobId), testManifest(2))
      assert.equal((await store.get(jobId))?.status, 'transporting')
    },
  ],

  [
    'an empty window has no chunks, and none left',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 0)
      await store.transition(lease, 'transporting', 'completed', {})
      const record = await store.get(jobId)
      assert.equal(record?.numChunks, 0)
      assert.equal(record?.chunksLeft, 0)
    },
  ],

  [
    'a destination keeps its state, its error and what its sink saved, apart from the others',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 1)
      const hook = await destinationOf(store, jobId, HOOK)
      await store.setDestination(lease, KAFKA.uid, { state: 'delivering' })
      await store.setDestination(lease, KAFKA.uid, { saved: { partitions: 12 } })
      assert.equal((await destinationOf(store, jobId)).state, 'delivering')
      assert.deepEqual((await destinationOf(store, jobId)).saved, { partitions: 12 })
      await store.setDestination(lease, KAFKA.uid, { saved: null })
      assert.equal((await destinationOf(store, jobId)).saved, null)
      await store.setDestination(lease, KAFKA.uid, { state: 'completed' })
      assert.equal((await destinationOf(store, jobId)).state, 'completed')
      assert.equal((await destinationOf(store, jobId)).saved, null)
      assert.deepEqual(await destinationOf(store, jobId, HOOK), hook)
    },
  ],

  [
    'the first failure of a destination stays, with its error',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 1)
      const error = { code: 'delivery_failed', message: 'the first' }
      await store.setDestination(lease, KAFKA.uid, { state: 'failed', error })
      await store.setDestination(lease, KAFKA.uid, {
        state: 'failed',
        error: { code: 'internal', message: 'the second' },
      })
      await store.setDestination(lease, KAFKA.uid, { state: 'completed', saved: 'still saved' })
      const { state, error: stored, saved } = await destinationOf(store, jobId)
      assert.deepEqual({ state, stored, saved }, { state: 'failed', stored: error, saved: 'still saved' })
    },
  ],

  [
    'a destination that the job does not have is not found',
    async store => {
      const { jobId, lease } = await deliveringJob(store, 1, { destinations: [KAFKA] })
      const before = await everythingOf(store, jobId)
      await refused('not_found', store.setDestination(lease, HOOK.uid, { state: 'failed' }))
      assert.deepEqual(await everythingOf(store, jobId), before)
    },
  ],
]

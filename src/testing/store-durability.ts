/** Tests of closing a store, and of opening again what it kept. */
import assert from 'node:assert/strict'
import type { StoreTestOptions } from './store.ts'
import {
  checkpointAt,
  deliveringJob,
  everythingOf,
  HOOK,
  KAFKA,
  letterAt,
  refused,
  type StoreCase,
  startReporter,
  testJob,
} from './store-driver.ts'

export function durabilityCases(reopen: StoreTestOptions['reopen']): readonly StoreCase[] {
  return reopen ? [...closing, ...reopening(reopen)] : closing
}

const closing: readonly StoreCase[] = [
  [
    'closing lets what was called before come to its end, and may be repeated',
    async store => {
      const jobs = Array.from({ length: 20 }, () => testJob())
      const created = jobs.map(job => store.create(job))
      await Promise.all([store.close(), store.close()])
      await Promise.all(created)
      await store.close()
    },
  ],

  [
    'a store that was never used can be closed',
    async store => {
      await store.close()
    },
  ],
]

function reopening(reopen: NonNullable<StoreTestOptions['reopen']>): readonly StoreCase[] {
  return [
    [
      'everything that was stored is there when the store is opened again',
      async store => {
        const owned = await deliveringJob(store, 3)
        const { jobId, lease } = owned
        await store.saveStaging(lease, { stagingId: 'there', saved: { query: 1 } })
        await store.setDestination(lease, HOOK.uid, {
          state: 'failed',
          error: { code: 'internal', message: 'x' },
          saved: [1],
        })
        const reporter = await startReporter(store, owned)
        const progress = {
          checkpoints: [checkpointAt(0, 9, true)],
          deadLetters: [letterAt(1, 1)],
          proof: [{ first: '1', last: '2' }],
        }
        await reporter.report(progress, 1)
        await store.wish(jobId, { cancel: true }, ['transporting'])
        const { ref } = await store.putValueSet(pieces(['b', 'a']))
        const before = await everythingOf(store, jobId)
        assert.equal(before.record?.chunksLeft, 2)
        await store.close()

        const again = await reopen(store)
        try {
          assert.deepEqual(await everythingOf(again, jobId), before)
          assert.equal((await again.valueSet(ref))?.count, 2)
          await again.report(
            lease,
            { unit: reporter.unit, attempt: 1, jobId, destination: KAFKA.uid, delivery: 0, ...progress },
            1,
          )
          assert.deepEqual(await everythingOf(again, jobId), before, 'the report was stored already')
          const [seen] = await again.unfinished()
          const next = await again.claim(seen!)
          assert.equal(next?.epoch, lease.epoch + 1)
          assert.equal(await again.startUnit(next!, reporter.unit), 2)
          await refused('lease_lost', again.beat(lease))
        } finally {
          await again.close()
        }
      },
    ],

    [
      'what was called just before closing is there when the store is opened again',
      async store => {
        const jobs = Array.from({ length: 20 }, () => testJob())
        for (const job of jobs) void store.create(job)
        await store.close()
        const again = await reopen(store)
        try {
          assert.equal((await again.list({})).length, 20)
        } finally {
          await again.close()
        }
      },
    ],
  ]
}

async function* pieces(...values: readonly (readonly string[])[]) {
  yield* values
}

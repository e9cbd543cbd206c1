/** Tests of what reports carry beside checkpoints: dead letters and proof. */
import assert from 'node:assert/strict'
import {
  checkpointAt,
  checkpointsOf,
  collect,
  deliveringJob,
  destinationOf,
  HOOK,
  KAFKA,
  letterAt,
  type StoreCase,
  startReporter,
  testJob,
} from './store-driver.ts'

export const deadLetterCases: readonly StoreCase[] = [
  [
    'dead letters are ordered by chunk and row, per destination, and survive as they are',
    async store => {
      const owned = await deliveringJob(store, 12)
      const reporter = await startReporter(store, owned)
      const odd = {
        chunk: 3,
        row: 1,
        payload: '{"text":"é😀\\n\'\\""}',
        key: '',
        cause: 'because\nof "that"',
        time: '2026-11-02T09:00:00.000Z',
      }
      await reporter.report({ deadLetters: [letterAt(10, 2), letterAt(2, 100), odd] }, 10)
      await reporter.report({ deadLetters: [letterAt(2, 20)] }, 10)
      assert.deepEqual(await collect(store.deadLetters(owned.jobId, KAFKA.uid)), [
        letterAt(2, 20),
        letterAt(2, 100),
        odd,
        letterAt(10, 2),
      ])
      assert.deepEqual(await collect(store.deadLetters(owned.jobId, HOOK.uid)), [])
      assert.deepEqual(await collect(store.deadLetters(testJob().jobId, KAFKA.uid)), [])
    },
  ],

  [
    'a repeated dead letter counts once',
    async store => {
      const owned = await deliveringJob(store, 2)
      const reporter = await startReporter(store, owned)
      const letters = [letterAt(0, 1), letterAt(0, 2), letterAt(1, 1)]
      for (const _ of [1, 2, 3]) {
        assert.equal((await reporter.report({ deadLetters: letters }, 3)).deadLettersRefused, 0)
      }
      assert.equal((await reporter.report({ deadLetters: [letterAt(0, 1), letterAt(0, 1)] }, 3)).deadLettersRefused, 0)
      assert.deepEqual(await collect(store.deadLetters(owned.jobId, KAFKA.uid)), letters)
    },
  ],

  [
    'dead letters over the limit are refused from the first such on, over all reports of the destination',
    async store => {
      const owned = await deliveringJob(store, 2)
      const [first, second] = [await startReporter(store, owned), await startReporter(store, owned, KAFKA, 1)]
      const hook = await startReporter(store, owned, HOOK)
      assert.equal((await hook.report({ deadLetters: [letterAt(0, 0)] }, 1)).deadLettersRefused, 0)
      assert.equal((await first.report({ deadLetters: [letterAt(0, 5)] }, 3)).deadLettersRefused, 0)
      const more = [letterAt(1, 1), letterAt(0, 5), letterAt(1, 2), letterAt(1, 3), letterAt(1, 1), letterAt(1, 4)]
      assert.equal((await second.report({ deadLetters: more }, 3)).deadLettersRefused, 3)
      assert.equal((await second.report({ deadLetters: more }, 3)).deadLettersRefused, 3, 'the same again')
      assert.deepEqual(await collect(store.deadLetters(owned.jobId, KAFKA.uid)), [
        letterAt(0, 5),
        letterAt(1, 1),
        letterAt(1, 2),
      ])
    },
  ],

  [
    'with a limit of 0 every dead letter is refused',
    async store => {
      const owned = await deliveringJob(store, 1)
      const reporter = await startReporter(store, owned)
      assert.equal((await reporter.report({ deadLetters: [letterAt(0, 5)] }, 0)).deadLettersRefused, 1)
      assert.deepEqual(await collect(store.deadLetters(owned.jobId, KAFKA.uid)), [])
    },
  ],

  [
    'a checkpoint that covers a refused row is not stored, the rest of the report is',
    async store => {
      const owned = await deliveringJob(store, 3)
      const reporter = await startReporter(store, owned)
      await reporter.settle([1, 10])
      const answer = await reporter.report(
        {
          checkpoints: [checkpointAt(0, 100, true), checkpointAt(1, 50, true), checkpointAt(2, 20)],
          deadLetters: [letterAt(0, 7), letterAt(1, 49), letterAt(2, 20)],
          proof: [{ first: '0', last: '9' }],
        },
        1,
      )
      assert.equal(answer.deadLettersRefused, 2)
      const expected = [checkpointAt(0, 100, true), checkpointAt(1, 10), checkpointAt(2, 20)]
      assert.deepEqual(await checkpointsOf(store, owned.jobId), expected)
      assert.equal((await destinationOf(store, owned.jobId)).delivered, 90 + 9 + 18)
      assert.deepEqual(await store.proof(owned.jobId, KAFKA.uid), [{ first: '0', last: '9' }])
    },
  ],

  [
    'many dead letters come in order, may be left early, and read twice',
    async store => {
      const owned = await deliveringJob(store, 3)
      const reporter = await startReporter(store, owned)
      const letters = Array.from({ length: 3_000 }, (_, index) => letterAt(index % 3, index))
      await reporter.report({ deadLetters: letters }, letters.length)
      const ordered = letters.toSorted((a, b) => a.chunk - b.chunk || a.row - b.row)
      for await (const letter of store.deadLetters(owned.jobId, KAFKA.uid)) {
        assert.deepEqual(letter, ordered[0])
        break
      }
      await reporter.settle([0, 10])
      assert.deepEqual(await collect(store.deadLetters(owned.jobId, KAFKA.uid)), ordered)
    },
  ],
]

export const proofCases: readonly StoreCase[] = [
  [
    'proof is kept in the order of the reports, and a repeated report adds none',
    async store => {
      const owned = await deliveringJob(store, 1)
      const reporter = await startReporter(store, owned)
      const entries = [
        { partition: 3, first: '100', last: '199' },
        { partition: 0, first: '100', last: '199' },
        { first: '7', last: '9' },
        { partition: 3, first: '200', last: '200' },
      ]
      await reporter.report({ proof: entries.slice(0, 3) })
      await reporter.report({ proof: entries.slice(3) })
      await reporter.report({ proof: entries })
      assert.deepEqual(await store.proof(owned.jobId, KAFKA.uid), entries)
      assert.deepEqual(await store.proof(owned.jobId, HOOK.uid), [])
      assert.deepEqual(await store.proof(testJob().jobId, KAFKA.uid), [])
    },
  ],
]

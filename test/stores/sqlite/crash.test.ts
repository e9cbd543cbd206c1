import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { sqliteStore } from '../../../src/stores/sqlite.ts'
import { collect, HOOK, KAFKA, letterAt, testJob, testManifest } from '../../../src/testing/store-driver.ts'
import { temporaryFolder } from '../folder.ts'
import type { Acknowledged } from './child.ts'
import { startChild } from './children.ts'

const CHUNKS = 200

describe('a process killed in the middle of a storm of reports', () => {
  it('leaves a consistent file with everything that was acknowledged, again and again', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const jobId = await createDelivering(path)
    const acknowledged: Acknowledged[] = []
    for (const kill of [1, 2, 3]) {
      const child = startChild('storm', path)
      let said = 0
      for await (const line of child.lines) {
        acknowledged.push(line as Acknowledged)
        if (++said === 150 * kill) child.process.kill('SIGKILL')
      }
      expect((await child.exit).signal).toBe('SIGKILL')
      checkFile(path)
      await checkJob(path, jobId, acknowledged)
    }
  })
})

async function createDelivering(path: string): Promise<string> {
  const store = sqliteStore({ path })
  const job = testJob()
  await store.create(job)
  const lease = await store.claim({ jobId: job.jobId, epoch: 0, beat: 0 })
  await store.transition(lease!, 'staging', 'transporting', { manifest: testManifest(CHUNKS) })
  await store.close()
  return job.jobId
}

function checkFile(path: string): void {
  const db = new DatabaseSync(path)
  expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
  expect(db.prepare('PRAGMA foreign_key_check').all()).toEqual([])
  const counts = db.prepare(
    'SELECT stored_dead_letters AS stored, (SELECT count(*) FROM dead_letters WHERE destination = id) AS counted FROM destinations',
  )
  for (const { stored, counted } of counts.all()) expect(stored).toBe(counted)
  db.close()
}

async function checkJob(path: string, jobId: string, acknowledged: readonly Acknowledged[]): Promise<void> {
  const store = sqliteStore({ path })
  const record = (await store.get(jobId))!
  const checkpoints = await store.checkpoints(jobId)
  const settled = new Map<number, number>()
  for (const { uid } of [KAFKA, HOOK]) {
    const stored = checkpoints[uid]!
    const letters = new Set(
      (await collect(store.deadLetters(jobId, uid))).map(({ chunk, row, payload }) => `${chunk}/${row} ${payload}`),
    )
    const proof = new Set((await store.proof(jobId, uid)).map(({ first }) => first))
    const rows = new Map(stored.map(checkpoint => [checkpoint.chunk, checkpoint]))
    for (const { chunk, row } of acknowledged.filter(ack => ack.uid === uid)) {
      // what is done stays as it was
      expect(rows.get(chunk)!.done || rows.get(chunk)!.row >= row).toBe(true)
      expect(letters.has(`${chunk}/${row} ${letterAt(chunk, row).payload}`)).toBe(true)
      expect(proof.has(`${chunk % 4}-${row}`)).toBe(true)
    }
    for (const { chunk, done } of stored) if (done) settled.set(chunk, (settled.get(chunk) ?? 0) + 1)
    const destination = record.destinationRecords.find(each => each.uid === uid)!
    expect(destination.delivered).toBe(stored.reduce((sum, { delivered }) => sum + delivered, 0))
    expect(destination.bytes).toBe(stored.reduce((sum, { bytes }) => sum + bytes, 0))
    expect(destination.chunksDone).toBe(stored.filter(({ done }) => done).length)
  }
  expect(record.chunksLeft).toBe(CHUNKS - [...settled.values()].filter(count => count === 2).length)
  await store.close()
}

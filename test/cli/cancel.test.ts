import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { waitForEnd } from '../../src/cli/cancel.ts'
import type { Source } from '../../src/sources/source.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'
import { millrace } from './cli.ts'
import { claim, IDS, storeJobs } from './stored-jobs.ts'

let cwd: string
let store: Store
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-cancel-'))
  store = sqliteStore({ path: join(cwd, 'jobs.sqlite') })
  await storeJobs(store)
})
afterEach(async () => {
  await store.close()
  await rm(cwd, { recursive: true })
})

describe('millrace cancel', () => {
  it('asks the owner of the job through the store', async () => {
    expect(await cancel(IDS.moving)).toEqual({ code: 0, stdout: `asked job ${IDS.moving} to stop\n`, stderr: '' })
    expect(await store.get(IDS.moving)).toMatchObject({ status: 'transporting', wishes: { cancel: true } })
  })

  it('waits for the end with --wait', async () => {
    const lease = await claim(store, IDS.waiting)
    const command = cancel(IDS.waiting, '--wait')
    while (!(await store.beat(lease)).cancel) await new Promise(setImmediate)
    await store.transition(lease, 'staging', 'cancelled', { timeCompleted: new Date().toISOString() })
    expect(await command).toEqual({ code: 0, stdout: `asked job ${IDS.waiting} to stop\ncancelled\n`, stderr: '' })
  })

  it('answers 4 with --wait when the job came to another end first', async () => {
    const lease = await claim(store, IDS.waiting)
    const command = cancel(IDS.waiting, '--wait')
    while (!(await store.beat(lease)).cancel) await new Promise(setImmediate)
    const error = { code: 'source_failed', message: 'too late' }
    await store.transition(lease, 'staging', 'failed', { error, timeCompleted: new Date().toISOString() })
    expect(await command).toMatchObject({ code: 4, stdout: expect.stringMatching(/\nfailed\n$/) })
  })

  it('ends a job that nobody runs with --wait, and leaves its staged files to an engine', async () => {
    const lease = await claim(store, IDS.waiting)
    await store.saveStaging(lease, { stagingId: 'staged', saved: null })
    await store.release(lease)
    expect(await cancel(IDS.waiting, '--wait')).toEqual({
      code: 0,
      stdout: `asked job ${IDS.waiting} to stop\ncancelled\n`,
      stderr: [
        `no process runs job ${IDS.waiting}: ended it here\n`,
        'its staged files are removed when an engine with its source next starts on this store\n',
      ].join(''),
    })
    expect(await store.get(IDS.waiting)).toMatchObject({ status: 'cancelled', staged: { state: 'discarding' } })
  })

  it('ends a job whose owner has been silent for a lease, and removes its staged files where it has the source', async () => {
    const lease = await claim(store, IDS.waiting)
    await store.saveStaging(lease, { stagingId: 'staged', saved: { query: 7 } })
    const discarded: unknown[] = []
    const source = {
      tables: async () => ['flights'],
      discard: async (...args: unknown[]) => void discarded.push(args.slice(0, 2)),
    } as Partial<Source> as Source
    const said: string[] = []
    const waiting = { source, leaseMs: 300, say: (text: string) => void said.push(text) }
    const start = performance.now()
    expect(await waitForEnd(store, IDS.waiting, waiting)).toBe('cancelled')
    expect(performance.now() - start).toBeGreaterThan(290)
    expect(said).toEqual([`no process runs job ${IDS.waiting}: ended it here`])
    expect(discarded).toEqual([['staged', { query: 7 }]])
    expect((await store.get(IDS.waiting))?.staged).toEqual({ state: 'gone' })
    await expect(store.beat(lease)).rejects.toMatchObject({ code: 'lease_lost' })
  })

  it('leaves a job to an owner that is heard of', async () => {
    const lease = await claim(store, IDS.waiting)
    const said: string[] = []
    const ended = waitForEnd(store, IDS.waiting, { leaseMs: 600, say: text => void said.push(text) })
    for (const start = performance.now(); performance.now() - start < 1_500; ) await store.beat(lease)
    expect(said).toEqual([])
    expect(await ended).toBe('cancelled')
  })

  it('answers 4 for a job that has ended, and 3 for one that is not there', async () => {
    expect(await cancel(IDS.failed)).toEqual({
      code: 4,
      stdout: '',
      stderr: `millrace: job ${IDS.failed} is already failed\n`,
    })
    expect(await cancel('nope')).toMatchObject({ code: 3, stderr: 'millrace: there is no job nope in this store\n' })
  })
})

function cancel(...args: string[]) {
  return millrace(['cancel', ...args, '--store', 'jobs.sqlite'], { cwd })
}

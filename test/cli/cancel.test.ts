import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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

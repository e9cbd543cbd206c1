import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'
import { millrace } from './cli.ts'
import { IDS, storeJobs } from './stored-jobs.ts'

let cwd: string
let store: Store
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-pause-'))
  store = sqliteStore({ path: join(cwd, 'jobs.sqlite') })
  await storeJobs(store)
})
afterEach(async () => {
  await store.close()
  await rm(cwd, { recursive: true })
})

describe('millrace pause and resume', () => {
  it('ask the owner of the job through the store', async () => {
    expect(await run('pause', IDS.moving)).toEqual({
      code: 0,
      stdout: `asked job ${IDS.moving} to pause\n`,
      stderr: '',
    })
    expect((await store.get(IDS.moving))?.wishes).toEqual({ pause: true })
    expect(await run('resume', IDS.moving)).toEqual({
      code: 0,
      stdout: `asked job ${IDS.moving} to resume\n`,
      stderr: '',
    })
    expect((await store.get(IDS.moving))?.wishes).toEqual({})
  })

  it('answer 4 for a job that has ended, and 3 for one that is not there', async () => {
    const stderr = `millrace: job ${IDS.failed} is already failed\n`
    expect(await run('pause', IDS.failed)).toEqual({ code: 4, stdout: '', stderr })
    expect(await run('resume', 'nope')).toMatchObject({
      code: 3,
      stderr: 'millrace: there is no job nope in this store\n',
    })
  })
})

function run(...args: string[]) {
  return millrace([...args, '--store', 'jobs.sqlite'], { cwd })
}

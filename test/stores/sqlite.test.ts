import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { StoreError } from '../../src/core/errors.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { testStore } from '../../src/testing/store.ts'
import { collect, ownedJob, testJob } from '../../src/testing/store-driver.ts'
import { temporaryFolder } from './folder.ts'
import { runChild } from './sqlite/children.ts'

describe('sqliteStore keeps the contract', () => {
  const paths = new WeakMap<object, string>()
  function open(path: string) {
    const store = sqliteStore({ path })
    paths.set(store, path)
    return store
  }
  const tests = testStore({
    create: () => open(`${temporaryFolder()}/jobs.sqlite`),
    reopen: closed => open(paths.get(closed)!),
  })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('sqliteStore', () => {
  it('opens nothing before the first call, and then a file under the current directory', async () => {
    const folder = temporaryFolder()
    const before = process.cwd()
    process.chdir(folder)
    const store = sqliteStore()
    process.chdir(before)
    expect(existsSync(`${folder}/.millrace`)).toBe(false)
    await store.create(testJob())
    expect(existsSync(`${folder}/.millrace/millrace.sqlite`)).toBe(true)
    await store.close()
  })

  it('waits for other processes in a thread of its own, while the host goes on', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const store = sqliteStore({ path })
    await store.unfinished()
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    let isCreated = false
    const created = store.create(testJob()).then(() => {
      isCreated = true
    })
    // a host that waited here itself could never release the lock
    for (let turn = 0; turn < 1_000; turn++) await setImmediate()
    expect(isCreated).toBe(false)
    other.exec('ROLLBACK')
    await created
    other.close()
    await store.close()
  })

  it('keeps beating while a large value set is put', async () => {
    const store = sqliteStore({ path: `${temporaryFolder()}/jobs.sqlite` })
    const { lease } = await ownedJob(store)
    const events: string[] = []
    let beaten: Promise<unknown> | undefined
    async function beat() {
      await setImmediate() // by now the upload waits for its last call, which sorts and takes long
      await store.beat(lease)
      events.push('beat')
    }
    async function* values() {
      for (let piece = 0; piece < 20; piece++)
        yield Array.from({ length: 10_000 }, (_, index) => `${index % 7}-${piece}-${index}`)
      beaten = beat()
    }
    const { count } = await store.putValueSet(values())
    events.push('stored')
    await beaten
    expect(count).toBe(200_000)
    expect(events).toEqual(['beat', 'stored'])
    await store.close()
  })

  it('shares its file: of claims in several processes and stores exactly one wins', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const store = sqliteStore({ path })
    const jobs = Array.from({ length: 60 }, () => testJob())
    await Promise.all(jobs.map(job => store.create(job)))
    const children = Promise.all([runChild('claim', path), runChild('claim', path)])
    const won: unknown[] = []
    for (const { jobId } of jobs.slice(0, 20)) {
      const claims = [sqliteStore({ path }), store].map(async each => {
        const lease = await each.claim({ jobId, epoch: 0, beat: 0 })
        if (each !== store) await each.close()
        return lease
      })
      won.push(...(await Promise.all(claims)).filter(lease => lease !== undefined).map(lease => lease.jobId))
    }
    const [first, second] = await children
    won.push(...first.said, ...second.said)
    expect(won.toSorted()).toEqual(jobs.map(job => job.jobId).toSorted())
    await store.close()
  })

  it('shares its file: what several stores write at the same time is all stored', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const stores = [sqliteStore({ path }), sqliteStore({ path })]
    const owned = await Promise.all(stores.map(store => ownedJob(store)))
    await Promise.all(
      stores.flatMap((store, index) => Array.from({ length: 200 }, () => store.beat(owned[index]!.lease))),
    )
    for (const { jobId } of owned) expect((await stores[0]!.get(jobId))?.beat).toBe(201)
    await Promise.all(stores.map(store => store.close()))
  })

  it('opens a new file from many stores at once', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const stores = Array.from({ length: 6 }, () => sqliteStore({ path }))
    await Promise.all(stores.map(store => store.create(testJob())))
    for (const store of stores) expect(await store.list({})).toHaveLength(6)
    await Promise.all(stores.map(store => store.close()))
  })

  it('lets the process end when nothing is under way', async () => {
    const { code, said } = await runChild('idle', `${temporaryFolder()}/jobs.sqlite`)
    expect({ code, said }).toEqual({ code: 0, said: ['created'] })
  })

  it('keeps the process alive while something is', async () => {
    const { code, said } = await runChild('busy', `${temporaryFolder()}/jobs.sqlite`)
    expect({ code, said }).toEqual({ code: 0, said: ['created'] })
  })

  it('fails what was under way when its thread ends, and goes on in another', async () => {
    const store = sqliteStore({ path: `${temporaryFolder()}/jobs.sqlite` })
    const threads: Worker[] = []
    const onWorker = (worker: Worker) => threads.push(worker)
    process.on('worker', onWorker)
    onTestFinished(() => void process.off('worker', onWorker))
    await store.create(testJob())
    const calls = Array.from({ length: 500 }, () => store.create(testJob()))
    const ended = threads[0]!.terminate()
    const results = await Promise.allSettled(calls)
    await ended
    const failed = results.filter(result => result.status === 'rejected')
    expect(failed.length).toBeGreaterThan(0)
    for (const { reason } of failed) {
      expect(reason).toBeInstanceOf(StoreError)
      expect(reason).toMatchObject({ code: 'store_failed', message: expect.stringContaining('its thread ended') })
    }
    // one more may have been stored than was acknowledged
    const stored = (await store.list({})).length - 1
    expect([0, 1]).toContain(stored - (results.length - failed.length))
    await store.close()
    expect(threads).toHaveLength(2)
  })

  it('refuses calls once it is closed, also in the middle of a reading', async () => {
    const store = sqliteStore({ path: `${temporaryFolder()}/jobs.sqlite` })
    async function* values() {
      yield ['a']
      await store.close()
      yield ['b']
    }
    const closed = { code: 'store_failed', retryable: false, message: expect.stringContaining('the store is closed') }
    await expect(store.putValueSet(values())).rejects.toMatchObject(closed)
    await expect(store.unfinished()).rejects.toMatchObject(closed)
    await expect(collect(store.deadLetters('any', 'any'))).rejects.toMatchObject(closed)
  })
})

import { describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { testStore } from '../../src/testing/store.ts'
import { ownedJob } from '../../src/testing/store-driver.ts'

describe('memoryStore keeps the contract', () => {
  it.each(testStore({ create: memoryStore }))('$name', async ({ run }) => run())
})

describe('memoryStore', () => {
  it('keeps its jobs when it is closed, so that another engine can go on', async () => {
    const store = memoryStore()
    const { jobId, lease } = await ownedJob(store)
    await store.close()
    expect(await store.get(jobId)).toMatchObject({ jobId, epoch: 1 })
    expect(await store.beat(lease)).toEqual({})
  })
})

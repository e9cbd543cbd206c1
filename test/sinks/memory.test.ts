import { describe, expect, it } from 'vitest'
import { memorySink } from '../../src/sinks/memory.ts'
import { testSink } from '../../src/testing/sink.ts'
import { deliver, openSession, testJob, testRows, testUnit } from '../../src/testing/sink-driver.ts'

describe('memorySink keeps the contract', () => {
  const tests = testSink({
    create: () => memorySink({ name: 'test' }),
    read: async sink => sink.texts(),
    ordered: true,
    // memory of the process has no way to misbehave
  })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('memorySink', () => {
  it('hands out rows parsed and as text, in the order of arrival', async () => {
    const sink = memorySink({ name: 'test' })
    const job = testJob(sink)
    await deliver(await openSession(job), testUnit(job, 0), testRows(3))
    expect(sink.rows()).toEqual([
      { id: 0, key: 'key-0', text: 'row 0' },
      { id: 1, key: 'key-1', text: 'row 1' },
      { id: 2, key: 'key-2', text: 'row 2' },
    ])
    expect(sink.texts()[2]).toBe('{"id":2,"key":"key-2","text":"row 2"}')
  })

  it('forgets its rows when it is cleared', async () => {
    const sink = memorySink({ name: 'test' })
    const job = testJob(sink)
    const session = await openSession(job)
    await deliver(session, testUnit(job, 0), testRows(3))
    sink.clear()
    await deliver(session, testUnit(job, 1), testRows(1))
    expect(sink.texts()).toEqual(['{"id":0,"key":"key-0","text":"row 0"}'])
  })

  it('is named as requests name it', () => {
    expect(memorySink({ name: 'rows' })).toMatchObject({ type: 'memory', name: 'rows' })
  })
})

import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ABORT_GRACE_MS, Ending } from '../../src/core/ending.ts'
import { SimulatedTime } from './simulated-time.ts'

const reason = new Error('the process leaves')

describe('an ending', () => {
  let time: SimulatedTime

  beforeEach(() => {
    time = new SimulatedTime(() => 0.5)
  })

  afterEach(() => time.restore())

  test('aborts with its parent, also one that was aborted before', () => {
    const parent = new AbortController()
    const [before, after] = [new Ending(parent.signal), new Ending(AbortSignal.abort(reason))]
    parent.abort(reason)
    expect([before.signal.aborted, before.signal.reason]).toEqual([true, reason])
    expect([after.signal.aborted, after.signal.reason]).toEqual([true, reason])
  })

  test('aborts for the first reason alone, and leaves its parent as it was', () => {
    const parent = new AbortController()
    const ending = new Ending(parent.signal)
    ending.abort(reason)
    ending.abort(new Error('another'))
    expect([ending.signal.reason, parent.signal.aborted, time.timers]).toEqual([reason, false, 1])
  })

  test('has the result of work that ends, aborted or not, within the grace', async () => {
    const ending = new Ending(new AbortController().signal)
    expect(await ending.wait(7)).toBe(7)
    const error = new Error('broken')
    await expect(ending.wait(Promise.reject(error))).rejects.toBe(error)
    ending.abort(reason)
    expect(await time.run(ending.wait(time.pause(ABORT_GRACE_MS - 1).then(() => 8)), 10)).toBe(8)
  })

  test('waits no longer than the grace for work that does not end, nor for more of it', async () => {
    const ending = new Ending(new AbortController().signal)
    const work = ending.wait(new Promise(() => {}))
    ending.abort(reason)
    await expect(time.run(work, 10)).rejects.toBe(reason)
    expect(time.now).toBe(ABORT_GRACE_MS)
    await expect(ending.wait(new Promise(() => {}))).rejects.toBe(reason)
  })

  test('leaves neither a timer nor a listener once it is cleared', () => {
    const parent = new AbortController()
    const ending = new Ending(parent.signal)
    ending.abort(reason)
    expect([time.timers, getEventListeners(parent.signal, 'abort').length]).toEqual([1, 1])
    ending.clear()
    expect([time.timers, getEventListeners(parent.signal, 'abort').length]).toEqual([0, 0])
  })
})

test('does not keep the results of what it waited for', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const ending = new Ending(new AbortController().signal)
  const results: WeakRef<object>[] = []
  for (let index = 0; index < 10; index++) results.push(new WeakRef(await ending.wait(Promise.resolve({ index }))))
  await turn()
  collect()
  expect(results.filter(result => result.deref() !== undefined).length).toBeLessThan(2)
  ending.abort(reason)
  ending.clear()
})

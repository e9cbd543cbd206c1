import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DeliveryError } from '../../src/core/errors.ts'
import { failureOf, openPatiently } from '../../src/core/opening.ts'
import { fakeSession } from './fake-session.ts'
import { SimulatedTime } from './simulated-time.ts'

const destination = { type: 'kafka', name: 'orders' }
const down = new DeliveryError('no broker answered', { code: 'destination_unavailable' })
const { session } = fakeSession([])

let time: SimulatedTime
let ends: AbortController

beforeEach(() => {
  time = new SimulatedTime(() => 0.5)
  ends = new AbortController()
})

afterEach(() => {
  const left = [time.timers, getEventListeners(ends.signal, 'abort').length]
  time.restore()
  expect(left).toEqual([0, 0])
})

/** Opens where each attempt fails as told, and the one behind the last succeeds. */
function open(errors: readonly Error[], deadlineMs = 60_000) {
  const times: number[] = []
  const attempt = async () => {
    const error = errors[times.push(time.now) - 1]
    if (error) throw error
    return session
  }
  return { times, result: time.run(openPatiently(attempt, { destination, deadlineMs, signal: ends.signal }), 1_000) }
}

test('what may pass is tried again after pauses that double, or as long as is asked for, with a warning', async () => {
  const warnings: unknown[] = []
  const listen = (warning: unknown): void => void warnings.push(warning)
  subscribe('millrace:warning', listen)
  const busy = new DeliveryError('busy', { retryable: true, retryAfterMs: 5_000 })
  const { times, result } = open([down, down, busy])
  expect(await result).toBe(session)
  unsubscribe('millrace:warning', listen)
  expect(times).toEqual([0, 50, 150, 5_150])
  expect(warnings).toEqual(
    [down, down, busy].map(error => ({ message: 'kafka/orders could not be opened yet', error })),
  )
})

test('what will not pass is final', async () => {
  for (const error of [new DeliveryError('no topic', { code: 'destination_misconfigured' }), new Error('a bug')]) {
    const { times, result } = open([error])
    await expect(result).rejects.toBe(error)
    expect(times).toHaveLength(1)
  }
})

test('the deadline ends it with the last error', async () => {
  const { times, result } = open(
    Array.from({ length: 100 }, () => down),
    5_000,
  )
  await expect(result).rejects.toBe(down)
  expect([times.length, time.now]).toEqual([7, 3_150])
})

test('a pause is cut short when the job ends', async () => {
  const busy = new DeliveryError('busy', { retryable: true, retryAfterMs: 30_000 })
  const { times, result } = open([busy, busy])
  void time.pause(1_000).then(() => ends.abort())
  await expect(result).rejects.toBe(busy)
  expect([times, time.now]).toEqual([[0], 1_000])
})

test('a failure names its destination, and keeps what else it says', () => {
  expect(failureOf(destination, down)).toMatchObject({
    code: 'destination_unavailable',
    message: 'kafka/orders: no broker answered',
    retryable: true,
    cause: down,
  })
  expect(failureOf(destination, new Error('a bug'))).toMatchObject({ code: 'internal', retryable: false })
})

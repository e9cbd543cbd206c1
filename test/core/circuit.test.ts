import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Circuit } from '../../src/core/circuit.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import { SimulatedTime } from './simulated-time.ts'

let time: SimulatedTime
let signal: AbortSignal
let events: unknown[]
let circuit: Circuit

beforeEach(() => {
  // half jitter: three quarters of 1, 2, 4, ... seconds
  time = new SimulatedTime(() => 0.5)
  signal = new AbortController().signal
  events = []
  circuit = new Circuit(event => events.push(event))
})

afterEach(() => {
  const left = [time.timers, getEventListeners(signal, 'abort').length]
  time.restore()
  expect(left).toEqual([0, 0])
})

const down = new Error('connection refused')

/** Attempts that note when they were made. */
function attempts(answer: (number: number) => Promise<{ failure?: unknown }>) {
  const times: number[] = []
  return {
    times,
    make: (on = signal) => circuit.attempt(() => answer(times.push(time.now)), on),
  }
}

const failing = () => attempts(async () => ({ failure: down }))
const succeeding = () => attempts(async () => ({}))

async function fail(times: number): Promise<void> {
  const { make } = failing()
  for (let attempt = 0; attempt < times; attempt++) await make()
}

test('lets every attempt through while the destination answers, also after four failures in a row', async () => {
  const { times, make } = attempts(async number => (number % 5 === 0 ? {} : { failure: down }))
  for (let attempt = 0; attempt < 50; attempt++) await make()
  expect([times.length, time.now, events]).toEqual([50, 0, []])
})

test('hands on what an attempt answers, and what it throws', async () => {
  const answer = { rows: 3, failure: undefined }
  expect(await circuit.attempt(async () => answer, signal)).toBe(answer)
  await expect(circuit.attempt(() => Promise.reject(down), signal)).rejects.toBe(down)
})

test('after five failures in a row makes one attempt after each pause, and all at once when one gets through', async () => {
  await fail(5)
  expect([events, circuit.failure]).toEqual([[{ event: 'opened', error: down }], down])
  const { times, make } = attempts(async number => (number < 4 ? { failure: down } : {}))
  const all = Promise.all(Array.from({ length: 8 }, () => make()))
  await time.run(all, 100)
  expect(times).toEqual([750, 2_250, 5_250, 11_250, 11_250, 11_250, 11_250, 11_250])
  expect([events.slice(1), circuit.failure]).toEqual([[{ event: 'closed' }], undefined])
})

test('never pauses for longer than a minute by itself, and begins anew after a success', async () => {
  await fail(5)
  const { times, make } = failing()
  for (let attempt = 0; attempt < 12; attempt++) await time.run(make(), 100)
  expect(times.at(-1)! - times.at(-2)!).toBe(45_000)
  await time.run(succeeding().make(), 100)
  await fail(5)
  const startedAt = time.now
  const again = failing()
  await time.run(again.make(), 100)
  expect(again.times[0]! - startedAt).toBe(750)
})

test('pauses for as long as the destination asks, if that is longer', async () => {
  const busy = new DeliveryError('busy', { retryable: true, retryAfterMs: 20_000 })
  const asked = attempts(async () => ({ failure: busy }))
  for (let attempt = 0; attempt < 5; attempt++) await asked.make()
  const { times, make } = succeeding()
  await time.run(make(), 100)
  expect(times).toEqual([20_000])
})

test('is closed by an attempt from before it opened that gets through after all', async () => {
  const gate = Promise.withResolvers<{ failure?: unknown }>()
  const early = attempts(() => gate.promise).make()
  await fail(5)
  const { times, make } = succeeding()
  const waiting = make()
  gate.resolve({})
  await time.run(Promise.all([early, waiting]), 100)
  expect([times, events.at(-1)]).toEqual([[0], { event: 'closed' }])
})

test('failures from before it opened do not make it wait longer', async () => {
  const gate = Promise.withResolvers<{ failure?: unknown }>()
  const early = Array.from({ length: 20 }, () => attempts(() => gate.promise).make())
  await fail(5)
  gate.resolve({ failure: down })
  await Promise.all(early)
  const { times, make } = succeeding()
  await time.run(make(), 100)
  expect([times, events.length]).toEqual([[750], 2])
})

test('waiting ends with the signal, and leaves nothing behind', async () => {
  await fail(5)
  const controller = new AbortController()
  const reason = new Error('cancelled')
  const { times, make } = succeeding()
  const waiting = make(controller.signal)
  void time.pause(100).then(() => controller.abort(reason))
  await expect(time.run(waiting, 100)).rejects.toBe(reason)
  await expect(make(controller.signal)).rejects.toBe(reason)
  expect([times, time.now, time.timers, getEventListeners(controller.signal, 'abort')]).toEqual([[], 100, 0, []])
})

test('a single attempt that is aborted shows nothing, and the next one is made at once', async () => {
  await fail(5)
  const aborted = attempts(() => Promise.reject(new Error('aborted'))).make()
  const { times, make } = succeeding()
  const next = make()
  await expect(time.run(aborted, 100)).rejects.toThrow('aborted')
  await time.run(next, 100)
  expect([times, events.length]).toEqual([[750 + 1], 2])
})

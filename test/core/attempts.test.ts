import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { writeBatch } from '../../src/core/attempts.ts'
import { Circuit } from '../../src/core/circuit.ts'
import { ABORT_GRACE_MS } from '../../src/core/ending.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Encoding, SinkSession } from '../../src/sinks/sink.ts'
import { batchOf, busy, parent, refusal, simulateTime, time, write } from './batch-writing.ts'
import { type Answer, fakeSession, never, untilAborted } from './fake-session.ts'

simulateTime()

test('hands on the proof of a write', async () => {
  const { session, batches } = fakeSession([[{ partition: 3, first: '7', last: '9' }]])
  const batch = batchOf(3)
  expect(await write(session, batch)).toEqual({
    proof: [{ partition: 3, first: '7', last: '9' }],
    refused: new Map(),
    clean: true,
  })
  expect(batches).toEqual([batch])
})

describe('an error that may pass', () => {
  test.each([
    ['a retryable DeliveryError', busy()],
    ['an error of unknown kind', new Error('socket hang up')],
  ])('%s: the same batch is sent again, after pauses that double', async (_, error) => {
    const { session, batches, times } = fakeSession([error, error, error, error])
    const batch = batchOf(3)
    await write(session, batch)
    expect(batches).toEqual([batch, batch, batch, batch, batch])
    expect(times).toEqual([0, 50, 150, 350, 750])
  })

  test('is waited for as long as the destination asks, if that is longer', async () => {
    const { session, times } = fakeSession([busy(10), busy(7_000), busy(1)])
    await write(session, batchOf(3))
    expect(times).toEqual([0, 50, 7_050, 7_250])
  })

  test('never pauses for longer than half a minute by itself', async () => {
    const { session, times } = fakeSession(Array.from({ length: 14 }, () => busy()))
    await write(session, batchOf(3), { deadlineMs: 3_600_000 })
    expect(times.at(-1)! - times.at(-2)!).toBe(15_000)
  })

  test('thrown before the write returns a promise is treated alike', async () => {
    let calls = 0
    const write_ = (): Promise<void> => {
      if (calls++ === 0) throw new Error('not connected')
      return Promise.resolve()
    }
    await write({ write: write_, close: async () => {} }, batchOf(1))
    expect(calls).toBe(2)
  })
})

describe('the deadline', () => {
  test('ends the attempts, with the last error as the cause', async () => {
    const error = new Error('connection refused')
    const { session, times } = fakeSession(Array.from({ length: 100 }, () => error))
    await expect(write(session, batchOf(3), { deadlineMs: 5_000 })).rejects.toMatchObject({
      code: 'destination_unavailable',
      retryable: true,
      message: 'a batch was not delivered within 5 s: connection refused',
      cause: error,
    })
    expect([times.length, time.now]).toEqual([7, 5_000])
  })

  test('cuts a pause short that the destination asked for, however long', async () => {
    const { session } = fakeSession([busy(2 ** 31)])
    await expect(write(session, batchOf(3))).rejects.toThrow('a batch was not delivered within 60 s: busy')
    expect(time.now).toBe(60_000)
  })

  test('aborts a write that hangs', async () => {
    const { session } = fakeSession([untilAborted])
    await expect(write(session, batchOf(3))).rejects.toThrow(
      'a batch was not delivered within 60 s, and the destination did not answer',
    )
    expect(time.now).toBe(60_000)
  })

  test('gives up a write that ignores its signal after the grace', async () => {
    const { session } = fakeSession([never])
    await expect(write(session, batchOf(3))).rejects.toMatchObject({ code: 'destination_unavailable' })
    expect(time.now).toBe(60_000 + ABORT_GRACE_MS)
  })
})

describe('the budget of attempts', () => {
  test('ends them with the last error as the cause, and says how many there were', async () => {
    const errors = Array.from({ length: 9 }, (_, index) => new DeliveryError(`busy ${index}`, { retryable: true }))
    const { session, batches } = fakeSession(errors)
    await expect(write(session, batchOf(3), { maxAttempts: 4 })).rejects.toMatchObject({
      code: 'destination_unavailable',
      retryable: true,
      message: 'a batch was not delivered in 4 attempts (maxAttempts): busy 3',
      cause: errors[3],
    })
    expect([batches.length, time.now]).toEqual([4, 350])
  })

  test('is not overdrawn by the attempt that succeeds with the last of it, nor by rows that are refused for good', async () => {
    const { session } = fakeSession([busy(), busy(), busy()])
    expect((await write(session, batchOf(3), { maxAttempts: 4 }))?.refused.size).toBe(0)
    const refusing = fakeSession([busy(), refusal()])
    expect((await write(refusing.session, batchOf(3), { maxAttempts: 2 }))?.refused.size).toBe(3)
  })

  test('counts attempts for some of the rows as well', async () => {
    const some = new DeliveryError('some', { failed: new Map([[0, busy()]]), rest: 'delivered' })
    const { session, batches } = fakeSession([some, some, some, some])
    await expect(write(session, batchOf(3), { maxAttempts: 3 })).rejects.toThrow('in 3 attempts')
    expect(batches.map(batch => batch.rows)).toEqual([3, 1, 1])
  })
})

describe('the circuit of a destination', () => {
  function writeAll(session: SinkSession, count: number, circuit: Circuit, deliveryDeadlineMs = 60_000) {
    const attempts = {
      encoding: { kind: 'rows' } as Encoding,
      deliveryDeadlineMs,
      maxAttempts: 20,
      signal: parent.signal,
    }
    return Promise.allSettled(
      Array.from({ length: count }, () => writeBatch(session, batchOf(3), { ...attempts, circuit })),
    )
  }

  test('lets batches wait together while it is down, and all are delivered once it is back', async () => {
    const { session, times } = fakeSession([], {})
    const back: SinkSession = {
      ...session,
      async write(batch, signal) {
        await session.write(batch, signal)
        if (time.now < 3_000) throw busy()
      },
    }
    const results = await time.run(writeAll(back, 8, new Circuit(() => {})), 10_000)
    expect(results!.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 'fulfilled'))
    expect(times.filter(at => at < 3_000)).toHaveLength(8 + 2)
    expect(times.length).toBe(8 + 2 + 8)
  })

  test('costs a batch that waits none of its attempts, but of its time: the last failure is the cause', async () => {
    const error = new Error('connection refused')
    const { session, batches } = fakeSession(Array.from({ length: 1_000 }, () => error))
    const results = await time.run(writeAll(session, 50, new Circuit(() => {}), 200_000), 10_000)
    for (const result of results!)
      expect(result).toMatchObject({
        reason: { message: 'a batch was not delivered within 200 s: connection refused', cause: error },
      })
    expect(batches.length).toBeLessThan(50 + 12)
  })

  test('stays closed where rows are refused for good, or only some get through', async () => {
    const events: unknown[] = []
    const some = new DeliveryError('some', { failed: new Map([[0, busy()]]), rest: 'delivered' })
    const answers = Array.from({ length: 40 }, (_, index) => [some, refusal()][index % 2]!)
    const { session, times } = fakeSession(answers)
    await time.run(writeAll(session, 20, new Circuit(event => events.push(event))), 10_000)
    expect([events, times.length > 20]).toEqual([[], true])
  })
})

describe('when the batch is to be left', () => {
  const reason = new Error('left')

  function leaveAfter(ms: number, session: SinkSession, circuit?: Circuit) {
    const leave = new AbortController()
    void time.pause(ms).then(() => leave.abort(reason))
    const options = { encoding: { kind: 'rows' } as Encoding, deliveryDeadlineMs: 60_000, maxAttempts: 20, circuit }
    return time.run(writeBatch(session, batchOf(3), { ...options, signal: parent.signal, leave: leave.signal }), 1_000)
  }

  test('a pause between two attempts ends at once', async () => {
    const { session, batches } = fakeSession([busy(30_000)])
    await expect(leaveAfter(1_000, session)).rejects.toBe(reason)
    expect([time.now, batches.length]).toEqual([1_000, 1])
  })

  test('so does waiting for the circuit', async () => {
    const circuit = new Circuit(() => {})
    const { session, batches } = fakeSession(Array.from({ length: 9 }, () => busy(30_000)))
    for (let failures = 0; failures < 5; failures++)
      await circuit.attempt(async () => ({ failure: busy(30_000) }), parent.signal)
    await expect(leaveAfter(1_000, session, circuit)).rejects.toBe(reason)
    expect([time.now, batches.length]).toEqual([1_000, 0])
  })

  test('a write that is under way goes on to its end, and no further', async () => {
    const slow: Answer = () => time.pause(5_000)
    expect(await leaveAfter(1_000, fakeSession([slow]).session)).toMatchObject({ clean: true })
    const fails: Answer = () => time.pause(5_000).then(() => Promise.reject(busy()))
    const { session, batches } = fakeSession([fails])
    await expect(leaveAfter(1_000, session)).rejects.toBe(reason)
    expect(batches).toHaveLength(1)
  })
})

describe('an abort', () => {
  const reason = new Error('cancelled')

  function abortAfter(ms: number): void {
    void time.pause(ms).then(() => parent.abort(reason))
  }

  test('before the first attempt keeps it from being made', async () => {
    const { session, batches } = fakeSession([])
    parent.abort(reason)
    await expect(write(session, batchOf(3))).rejects.toBe(reason)
    expect(batches).toEqual([])
  })

  test('cuts a pause between two attempts short', async () => {
    const { session, batches } = fakeSession([busy(30_000)])
    abortAfter(1_000)
    await expect(write(session, batchOf(3))).rejects.toBe(reason)
    expect([time.now, batches.length]).toEqual([1_000, 1])
  })

  test('ends a write that heeds its signal', async () => {
    const { session } = fakeSession([untilAborted])
    abortAfter(1_000)
    await expect(write(session, batchOf(3))).rejects.toBe(reason)
    expect(time.now).toBe(1_000)
  })

  test('lets a write that ignores its signal go on for the grace, and what it throws later harms nobody', async () => {
    const late: Answer = () => time.pause(20_000).then(() => Promise.reject(new Error('late')))
    const { session } = fakeSession([late])
    abortAfter(1_000)
    await expect(write(session, batchOf(3))).rejects.toBe(reason)
    expect(time.now).toBe(1_000 + ABORT_GRACE_MS)
    await time.run(time.pause(20_000), 100)
  })

  test('still counts a write that succeeds in the grace', async () => {
    const { session } = fakeSession([() => time.pause(3_000)])
    abortAfter(1_000)
    expect(await write(session, batchOf(3))).toEqual({ proof: [], refused: new Map(), clean: true })
    expect(time.now).toBe(3_000)
  })

  test('finds no listeners left of the batches before', async () => {
    const { session } = fakeSession([busy(), busy()])
    for (let batches = 0; batches < 20; batches++) await write(session, batchOf(3))
    expect(getEventListeners(parent.signal, 'abort')).toEqual([])
  })
})

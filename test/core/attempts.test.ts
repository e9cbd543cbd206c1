import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeBatch } from '../../src/core/attempts.ts'
import { Circuit } from '../../src/core/circuit.ts'
import { ABORT_GRACE_MS } from '../../src/core/ending.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Encoding, MessageBatch, SinkSession } from '../../src/sinks/sink.ts'
import { fakeMessage, fakeRows, fakeUnit, payloadsOf } from './fake-batch.ts'
import { type Answer, fakeSession, never, untilAborted } from './fake-session.ts'
import { SimulatedTime } from './simulated-time.ts'

let time: SimulatedTime
let parent: AbortController

beforeEach(() => {
  time = new SimulatedTime(() => 0.5)
  parent = new AbortController()
})

afterEach(() => {
  const left = [time.timers, getEventListeners(parent.signal, 'abort').length]
  time.restore()
  expect(left).toEqual([0, 0])
})

const busy = (retryAfterMs = 0): DeliveryError => new DeliveryError('busy', { retryable: true, retryAfterMs })
const refusal = (): DeliveryError => new DeliveryError('too large')

function batchOf(rows: number, encoding?: Encoding): MessageBatch {
  return fakeMessage(fakeUnit(), fakeRows(rows), encoding)
}

function write(
  session: SinkSession,
  batch: MessageBatch,
  { deadlineMs = 60_000, maxAttempts = 1_000, encoding = { kind: 'rows' } as Encoding } = {},
) {
  return time.run(
    writeBatch(session, batch, { encoding, deliveryDeadlineMs: deadlineMs, maxAttempts, signal: parent.signal }),
    1_000,
  )
}

function rowsOf(batch: MessageBatch, encoding?: Encoding): number[] {
  return payloadsOf(batch, encoding).map(payload => JSON.parse(payload).row)
}

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

describe('rows that are refused for good', () => {
  test('are all of them if the batch as a whole is', async () => {
    const error = refusal()
    const { session, batches } = fakeSession([error])
    const refused = new Map([0, 1, 2].map(index => [index, error]))
    expect(await write(session, batchOf(3))).toEqual({ proof: [], refused, clean: false })
    expect(batches).toHaveLength(1)
  })

  test('are none where the destination is set up wrong', async () => {
    const error = new DeliveryError('no such topic', { code: 'destination_misconfigured' })
    const { session } = fakeSession([error])
    await expect(write(session, batchOf(3))).rejects.toBe(error)
  })

  test('may be of a batch whose rows do not show', async () => {
    const error = new DeliveryError('some', { failed: new Map([[1, refusal()]]), rest: 'delivered' })
    const { session } = fakeSession([error], { retries: 'own' })
    const written = await write(session, { ...batchOf(3), ends: new Uint32Array(0) })
    expect([...written!.refused.keys()]).toEqual([1])
  })

  test('fail the destination where the others of such a batch would have to be sent again', async () => {
    const error = new DeliveryError('some', { failed: new Map([[1, busy()]]), rest: 'delivered' })
    const { session } = fakeSession([error])
    await expect(write(session, { ...batchOf(3), ends: new Uint32Array(0) })).rejects.toBe(error)
  })
})

describe('a write that failed in part', () => {
  const causes = { busy: busy(), refusal: refusal(), unknown: new Error('what is this') }
  const failed = new Map([
    [1, causes.busy],
    [2, causes.refusal],
    [4, causes.unknown],
    [5, causes.busy],
  ])

  test('is sent again for the rows that may pass, where the rest was delivered', async () => {
    const { session, batches } = fakeSession([new DeliveryError('some', { failed, rest: 'delivered' })])
    const { refused } = (await write(session, batchOf(7)))!
    expect([...refused]).toEqual([
      [2, causes.refusal],
      [4, causes.unknown],
    ])
    expect(batches.map(batch => rowsOf(batch))).toEqual([
      [0, 1, 2, 3, 4, 5, 6],
      [1, 5],
    ])
  })

  test('is sent again for the rows that may pass and the rest, in their order, where the rest was not delivered', async () => {
    const { session, batches } = fakeSession([new DeliveryError('some', { failed })])
    const { refused } = (await write(session, batchOf(7)))!
    expect([...refused.keys()]).toEqual([2, 4])
    expect(rowsOf(batches[1]!)).toEqual([0, 1, 3, 5, 6])
  })

  test('again and again names refused rows by their position in the whole batch', async () => {
    const part = (rest: 'delivered' | 'not delivered', ...entries: [number, unknown][]): DeliveryError =>
      new DeliveryError('some', { failed: new Map(entries), rest })
    const { session, batches } = fakeSession([
      part('not delivered', [0, causes.refusal]),
      part('delivered', [1, causes.busy], [3, causes.refusal], [5, causes.busy]),
      part('not delivered', [0, causes.unknown]),
      [{ first: '6', last: '6' }],
    ])
    const { refused, proof } = (await write(session, batchOf(7)))!
    expect(batches.map(batch => rowsOf(batch))).toEqual([[0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [2, 6], [6]])
    expect([...refused.keys()]).toEqual([0, 4, 2])
    expect(proof).toEqual([{ first: '6', last: '6' }])
    expect(new Set(batches.map(batch => batch.name)).size).toBe(4)
  })

  test.each<[Encoding, string]>([
    [{ kind: 'rows' }, '{"row":1}{"row":5}'],
    [{ kind: 'ndjson' }, '{"row":1}\n{"row":5}\n'],
    [{ kind: 'json-array' }, '[{"row":1},{"row":5}]'],
  ])('is framed anew: %o', async (encoding, text) => {
    const { session, batches } = fakeSession([new DeliveryError('some', { failed, rest: 'delivered' })])
    await write(session, batchOf(7, encoding), { encoding })
    expect(Buffer.from(batches[1]!.bytes).toString()).toBe(text)
    expect(rowsOf(batches[1]!, encoding)).toEqual([1, 5])
  })

  test('is understood from another copy of the package', async () => {
    const brand = { [Symbol.for('millrace.error')]: true, code: 'delivery_failed', retryable: false }
    const cause = Object.assign(new Error('busy'), brand, { retryable: true })
    const foreign = Object.assign(new Error('some'), brand, { failed: new Map([[1, cause]]), rest: 'delivered' })
    const { session, batches } = fakeSession([foreign])
    expect((await write(session, batchOf(3)))?.refused.size).toBe(0)
    expect(rowsOf(batches[1]!)).toEqual([1])
  })
})

test('the proof of rows that were delivered beside others that failed is kept', async () => {
  const partly = (first: string, cause: Error) =>
    new DeliveryError('some', { failed: new Map([[0, cause]]), rest: 'delivered', proof: [{ first, last: first }] })
  const { session } = fakeSession([partly('7', busy()), partly('9', refusal())])
  expect(await write(session, batchOf(3))).toMatchObject({
    proof: [
      { first: '7', last: '7' },
      { first: '9', last: '9' },
    ],
    refused: new Map([[0, expect.anything()]]),
  })
})

describe('a sink that retries on its own', () => {
  test.each([
    ['a retryable error', busy()],
    ['an error of unknown kind', new Error('socket hang up')],
    ['rows that were not delivered', new DeliveryError('some', { failed: new Map([[1, refusal()]]) })],
  ])('is never sent a batch twice: %s is final', async (_, error) => {
    const { session, batches } = fakeSession([error], { retries: 'own' })
    await expect(write(session, batchOf(3))).rejects.toBe(error)
    expect(batches).toHaveLength(1)
  })

  test('has the rows it names refused, whatever their causes say', async () => {
    const failed = new Map([[1, busy()]])
    const { session, batches } = fakeSession([new DeliveryError('some', { failed, rest: 'delivered' })], {
      retries: 'own',
    })
    expect([...(await write(session, batchOf(3)))!.refused.keys()]).toEqual([1])
    expect(batches).toHaveLength(1)
  })

  test('has a batch refused whole', async () => {
    const { session } = fakeSession([refusal()], { retries: 'own' })
    expect((await write(session, batchOf(3)))?.refused.size).toBe(3)
  })
})

test('delivers every row once or has it refused, whatever fails', async () => {
  const kinds = fc.array(fc.constantFrom('deliver', 'busy', 'refuse'), { minLength: 12, maxLength: 12 })
  const rounds = fc.array(fc.record({ kinds, rest: fc.constantFrom('delivered' as const, 'not delivered' as const) }), {
    maxLength: 6,
  })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 12 }), rounds, async (count, script) => {
      const delivered: number[] = []
      const answers = script.map(
        ({ kinds, rest }): Answer =>
          async batch => {
            const rows = rowsOf(batch)
            expect(rows).toEqual(rows.toSorted((a, b) => a - b))
            const failed = new Map<number, unknown>()
            for (let index = 0; index < rows.length; index++) {
              if (kinds[index] !== 'deliver') failed.set(index, kinds[index] === 'busy' ? busy() : refusal())
              else if (rest === 'delivered') delivered.push(rows[index]!)
            }
            throw new DeliveryError('some', { failed, rest })
          },
      )
      const { session, batches } = fakeSession(answers)
      const { refused } = (await write(session, batchOf(count)))!
      if (batches.length > answers.length) delivered.push(...rowsOf(batches.at(-1)!))
      const all = [...delivered, ...refused.keys()].toSorted((a, b) => a - b)
      expect(all).toEqual(Array.from({ length: count }, (_, index) => index))
    }),
    { numRuns: 150 },
  )
})

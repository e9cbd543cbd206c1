import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Encoding } from '../../src/sinks/sink.ts'
import { batchOf, busy, refusal, rowsOf, simulateTime, write } from './batch-writing.ts'
import { type Answer, fakeSession } from './fake-session.ts'

simulateTime()

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

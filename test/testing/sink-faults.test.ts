import { describe, expect, it } from 'vitest'
import { DeliveryError } from '../../src/core/errors.ts'
import type { SinkSession } from '../../src/sinks/sink.ts'
import { testSink } from '../../src/testing/sink.ts'
import { committing, honest, type MakeSession, shelfSink, testOptions, textsOf } from './shelf.ts'

const HANGS = 'while the destination hangs, no more is read than the window holds; then every row arrives, once'
const ABORT = 'writes that hang end when their signal aborts, and so does the session'
const CLOSE = 'a session that is closed while writes hang ends them'
const BACK = 'a destination that goes away in the middle and comes back gets every row'
const LATER = 'rows that are turned away for now arrive later, and no others twice'
const REFUSED = 'rows that are refused for good become dead letters, and the others arrive once'
const OVERSIZE = 'a row that is too large for the destination becomes a dead letter, and the others arrive once'
const FORBIDDEN = 'what the user has to mend is told when it is opened, by a probe as well'
const KEY_ORDER = ', the rows of a key in their order'

describe.each([
  ['', honest],
  [', with a commit', committing],
])('testSink passes a sink that keeps the contract while its destination misbehaves%s', (_, session) => {
  it.each(testSink(testOptions(session)))('$name', ({ run }) => run())
})

describe('testSink', () => {
  it('has the cases of the faults that are given, and those of orders where the sink keeps them', () => {
    const namesOf = (...options: Parameters<typeof testOptions>) =>
      testSink(testOptions(...options)).map(({ name }) => name)
    const all = namesOf(honest)
    const faulty = [HANGS, ABORT, CLOSE, BACK, BACK + KEY_ORDER, LATER, LATER + KEY_ORDER, REFUSED, OVERSIZE, FORBIDDEN]
    expect(new Set(all).size).toBe(all.length)
    expect(all.slice(-faulty.length)).toEqual(faulty)
    const well = namesOf(honest, { faults: {}, ordered: false })
    expect(well).toEqual(all.filter(name => !faulty.includes(name) && !name.includes(KEY_ORDER)))
    expect(namesOf(honest, { faults: { interrupt: () => () => {} }, ordered: false })).toEqual([...well, BACK])
  })

  it.each<[flaw: string, MakeSession, name: string, RegExp]>([
    [
      'resolves early',
      (shelf, context) => ({ ...honest(shelf, context), write: async batch => void shelf.take(textsOf(batch)) }),
      HANGS,
      /rows were acknowledged by nobody/,
    ],
    [
      'buffers without a bound',
      shelf => {
        const buffer: string[] = []
        const drain = async (): Promise<void> => {
          await shelf.answers
          await shelf.take(buffer.splice(0))
        }
        return { write: async batch => void (buffer.push(...textsOf(batch)) && drain()), close: drain }
      },
      HANGS,
      /rows were acknowledged by nobody/,
    ],
    [
      'loses rows when some of a batch are turned away',
      (shelf, context) => ({
        ...honest(shelf, context),
        write: async batch => void (await shelf.take(textsOf(batch))),
      }),
      LATER,
      /of 400 rows 80 did not arrive/,
    ],
    [
      'loses rows when some of a batch are refused',
      (shelf, context) => ({
        ...honest(shelf, context),
        write: async batch => void (await shelf.take(textsOf(batch))),
      }),
      REFUSED,
      /other rows than these were refused for good/,
    ],
    [
      'sends what arrived again when some of a batch are turned away',
      retelling(() => new DeliveryError('try all again', { retryable: true })),
      LATER,
      /320 arrived that should not have, or twice/,
    ],
    [
      'refuses a whole batch for some of its rows',
      retelling(() => new DeliveryError('the batch is bad', { retryable: false })),
      OVERSIZE,
      /other rows than these were refused for good/,
    ],
    [
      'takes what may pass for what is refused for good',
      retelling(({ failed }) => {
        const lost = new Map(Array.from(failed!.keys(), row => [row, new Error('lost')]))
        return new DeliveryError('some were lost', { failed: lost, rest: 'delivered' })
      }),
      LATER,
      /of 400 rows 80 did not arrive/,
    ],
    [
      'tries what is refused for good for ever',
      retelling(({ failed }) => {
        const again = new DeliveryError('once more', { retryable: true })
        const all = new Map(Array.from(failed!.keys(), row => [row, again]))
        return new DeliveryError('some are left', { failed: all, rest: 'delivered' })
      }),
      REFUSED,
      /the delivery did not end within 1 s/,
    ],
    [
      'reorders a key when it tries again by itself',
      (shelf, context) => ({
        ...honest(shelf, context),
        retries: 'own',
        async write(batch) {
          const rows = textsOf(batch)
          const failed = await shelf.take(rows)
          if (failed.size > 0) setTimeout(() => void shelf.take(Array.from(failed.keys(), row => rows[row]!)), 20)
        },
        close: () => new Promise(resolve => setTimeout(resolve, 100)),
      }),
      LATER + KEY_ORDER,
      /of key key-\d row \d+ arrived before row \d+/,
    ],
    [
      'sends rows of a key although one before them has to be sent again',
      (shelf, context) => honest(shelf, { ...context, order: 'none' }),
      LATER + KEY_ORDER,
      /of key key-\d row \d+ arrived before row \d+/,
    ],
    [
      'hangs on abort',
      (shelf, context) => {
        const session = honest(shelf, context)
        return { ...session, write: batch => session.write(batch, new AbortController().signal) }
      },
      ABORT,
      /the writes did not settle after their signal was aborted within 1 s/,
    ],
    [
      'leaves its writes behind when it is closed',
      (shelf, context) => ({ ...honest(shelf, context), close: async () => {} }),
      CLOSE,
      /the writes did not settle after their session was closed within 1 s/,
    ],
    [
      'cannot close while writes hang',
      (shelf, context) => ({ ...honest(shelf, context), close: () => shelf.answers }),
      CLOSE,
      /the session did not close within 1 s/,
    ],
    [
      'does not get over an outage',
      (shelf, context) => {
        const session = honest(shelf, context)
        let lost: Error | undefined
        return {
          ...session,
          async write(batch, signal) {
            if (!shelf.up) lost = new DeliveryError('the connection is lost', { code: 'destination_misconfigured' })
            if (lost) throw lost
            await session.write(batch, signal)
          },
        }
      },
      BACK,
      /the connection is lost/,
    ],
    [
      'loses what was in flight in an outage',
      (shelf, context) => {
        const session = honest(shelf, context)
        return { ...session, write: (batch, signal) => session.write(batch, signal).catch(() => {}) }
      },
      BACK,
      /rows \d+ did not arrive/,
    ],
  ])('fails a sink that %s', async (_, session, name, message) => {
    const test = testSink(testOptions(session, { patienceMs: 1_000 })).find(each => each.name === name)
    await expect(test!.run()).rejects.toThrow(message)
  })

  it('fails a sink that opens what the user has to mend, or takes that for what may pass', async () => {
    const runs = (create: () => ReturnType<typeof shelfSink>) =>
      testSink({ ...testOptions(honest), create })
        .find(({ name }) => name === FORBIDDEN)!
        .run()
    const session: SinkSession = { write: async () => {}, close: async () => {} }
    const careless = { ...shelfSink(honest), open: async () => session }
    await expect(runs(() => careless)).rejects.toThrow(/Missing expected rejection/)
    const hopeful = (): Promise<SinkSession> =>
      Promise.reject(new DeliveryError('not there', { code: 'destination_unavailable' }))
    await expect(runs(() => ({ ...shelfSink(honest), open: hopeful }))).rejects.toThrow()
    const honestIfProbed = shelfSink(honest)
    const onlyProbes = {
      ...honestIfProbed,
      open: (context: Parameters<typeof honestIfProbed.open>[0]) =>
        context.probe ? honestIfProbed.open(context) : careless.open(),
    }
    await expect(runs(() => onlyProbes)).rejects.toThrow(/Missing expected rejection/)
  })
})

/** Tells of rows that were not taken in another way. */
function retelling(tell: (error: DeliveryError) => Error): MakeSession {
  return (shelf, context) => {
    const session = honest(shelf, context)
    return {
      ...session,
      write: (batch, signal) =>
        session.write(batch, signal).catch(error => {
          throw error instanceof DeliveryError && error.failed ? tell(error) : error
        }),
    }
  }
}

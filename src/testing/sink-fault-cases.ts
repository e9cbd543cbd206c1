/** Tests of what a sink does when its destination misbehaves, as the tests' author makes it. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { isMillraceError } from '../core/errors.ts'
import type { Order, Sink } from '../sinks/sink.ts'
import { outstandingBound, startDelivery } from './sink-delivery.ts'
import {
  beginWrites,
  deliver,
  openSession,
  type TestJob,
  type TestRow,
  testJob,
  testRows,
  testUnit,
} from './sink-driver.ts'
import type { Recover, SinkFaults } from './sink-options.ts'
import type { SinkCase, SinkTesting } from './sink-testing.ts'

export function faultCases<S extends Sink>(testing: SinkTesting<S>): readonly SinkCase<S>[] {
  const { stall, interrupt, turnAway, refuse, oversize, forbid } = testing.faults
  return [
    ...(stall ? stallCases(testing, stall) : []),
    ...(interrupt ? testing.orders.map(order => interruptCase(testing, interrupt, order)) : []),
    ...(turnAway ? testing.orders.map(order => turnAwayCase(testing, turnAway, order)) : []),
    ...(refuse ? [refuseCase(testing, refuse)] : []),
    ...(oversize ? [oversizeCase(testing, oversize)] : []),
    ...(forbid ? [forbidCase(testing, forbid)] : []),
  ]
}

type Hook<S extends Sink, Name extends keyof SinkFaults<S>> = NonNullable<SinkFaults<S>[Name]>

function stallCases<S extends Sink>(testing: SinkTesting<S>, stall: Hook<S, 'stall'>): readonly SinkCase<S>[] {
  /** A session whose writes hang, as many as it takes. */
  async function hanging(sink: S) {
    const job = testJob(sink)
    const session = await openSession(job)
    const unit = testUnit(job, 0)
    await session.begin?.(unit)
    const recover = await stall(sink)
    const controller = new AbortController()
    // more than pipes and sockets hold
    const rows = testRows(400, id => `${id} `.padEnd(8_192, '.'))
    const { ended } = await beginWrites(session, unit, rows, { batchRows: 20, signal: controller.signal })
    // what was sent by now hangs in the middle, and only the sink would know when that is
    await Promise.race([ended, delay(HANG_MS)])
    return { job, session, unit, rows, recover, controller, ended }
  }

  /** What hung may arrive or not; another attempt at the unit delivers all of it. */
  async function again(sink: S, job: TestJob, rows: readonly TestRow[]): Promise<void> {
    job.leaseEpoch++
    const session = await openSession(job)
    await deliver(session, testUnit(job, 0, { attempt: 2 }), rows)
    await session.close()
    await testing.expectRows(sink, rows, session.commit ? 'once' : 'at least once')
  }

  return [
    [
      'while the destination hangs, no more is read than the window holds; then every row arrives, once',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(400, id => `${id} `.padEnd(16_384, '.'))
        await testing.withSession(job, async session => {
          const recover = await stall(sink)
          const delivery = startDelivery({ job, session, rows })
          await delivery.still()
          const { readRows, writtenRows } = delivery.progress
          await recover()
          assert.ok(readRows > 0, 'nothing was read')
          if (!session.commit) assert.equal(writtenRows, 0, `${writtenRows} rows were acknowledged by nobody`)
          await testing.finish(delivery)
          const { mostOutstandingBytes } = delivery.progress
          const bound = outstandingBound(rows)
          const excess = `${mostOutstandingBytes} bytes were read and not acknowledged, where ${bound} may be`
          assert.ok(mostOutstandingBytes <= bound, excess)
        })
        await testing.expectRows(sink, rows, 'once')
      },
    ],
    [
      'writes that hang end when their signal aborts, and so does the session',
      async sink => {
        const { job, session, unit, rows, recover, controller, ended } = await hanging(sink)
        controller.abort(new Error('the test aborts'))
        try {
          await testing.soon(ended, 'the writes did not settle after their signal was aborted')
          await testing.soon(Promise.resolve(session.abort?.(unit)), 'the unit was not aborted')
          await testing.soon(session.close(), 'the session did not close')
        } finally {
          await recover()
        }
        await again(sink, job, rows)
      },
    ],
    [
      'a session that is closed while writes hang ends them',
      async sink => {
        const { job, session, rows, recover, ended } = await hanging(sink)
        try {
          await testing.soon(session.close(), 'the session did not close')
          await testing.soon(ended, 'the writes did not settle after their session was closed')
        } finally {
          await recover()
        }
        await again(sink, job, rows)
      },
    ],
  ]
}

function interruptCase<S extends Sink>(
  testing: SinkTesting<S>,
  interrupt: Hook<S, 'interrupt'>,
  order: Order,
): SinkCase<S> {
  return [
    `a destination that goes away in the middle and comes back gets every row${testing.inOrder(order)}`,
    async sink => {
      const job = testJob(sink, order)
      const rows = testRows(1_000)
      await testing.withSession(job, async session => {
        const gone = Promise.withResolvers<Recover>()
        let going = false
        const delivery = startDelivery({
          job,
          session,
          rows,
          // what is in flight by then is hit in the middle
          async beforeWrite(begun) {
            if (!going && begun >= rows.length / 2) {
              going = true
              Promise.resolve(interrupt(sink)).then(gone.resolve, gone.reject)
            }
            if (going) await gone.promise
          },
        })
        const recover = await Promise.race([gone.promise, delivery.ended])
        assert.ok(typeof recover === 'function', 'the delivery ended before its middle')
        await delivery.still()
        await recover()
        await testing.finish(delivery)
      })
      await testing.expectRows(sink, rows, 'at least once', order)
    },
  ]
}

function turnAwayCase<S extends Sink>(
  testing: SinkTesting<S>,
  turnAway: Hook<S, 'turnAway'>,
  order: Order,
): SinkCase<S> {
  return [
    `rows that are turned away for now arrive later, and no others twice${testing.inOrder(order)}`,
    async sink => {
      const job = testJob(sink, order)
      const rows = testRows(400, id => (id % 5 === 2 ? `${MARK} ${id}` : `row ${id}`))
      await testing.withSession(job, async session => {
        const recover = await turnAway(sink, MARK)
        const delivery = startDelivery({ job, session, rows })
        await delivery.still()
        await recover?.()
        await testing.finish(delivery)
      })
      await testing.expectRows(sink, rows, 'once', order)
    },
  ]
}

function refuseCase<S extends Sink>(testing: SinkTesting<S>, refuse: Hook<S, 'refuse'>): SinkCase<S> {
  return [
    'rows that are refused for good become dead letters, and the others arrive once',
    async sink => {
      // every tenth has no key
      const rows = testRows(200, id => (id % 10 === 9 ? `${MARK} ${id}` : `row ${id}`))
      await refuse(sink, MARK)
      await expectRefused(testing, sink, rows, ({ id }) => id % 10 === 9)
    },
  ]
}

function oversizeCase<S extends Sink>(testing: SinkTesting<S>, oversize: Hook<S, 'oversize'>): SinkCase<S> {
  return [
    'a row that is too large for the destination becomes a dead letter, and the others arrive once',
    async sink => {
      const length = await oversize(sink)
      const rows = testRows(120, id => (id === 60 ? 'x'.repeat(length) : `row ${id}`))
      await expectRefused(testing, sink, rows, ({ id }) => id === 60)
    },
  ]
}

function forbidCase<S extends Sink>(testing: SinkTesting<S>, forbid: Hook<S, 'forbid'>): SinkCase<S> {
  return [
    'what the user has to mend is told when it is opened, by a probe as well',
    async sink => {
      await forbid(sink)
      for (const probe of [true, false]) {
        const opening = openSession(testJob(sink), probe).then(session => session.close())
        const misconfigured = (error: unknown): boolean =>
          isMillraceError(error) && error.code === 'destination_misconfigured' && !error.retryable
        await testing.soon(assert.rejects(opening, misconfigured), 'it was neither opened nor refused')
      }
    },
  ]
}

const MARK = 'marked'
const HANG_MS = 200

async function expectRefused<S extends Sink>(
  testing: SinkTesting<S>,
  sink: S,
  rows: readonly TestRow[],
  isRefused: (row: TestRow) => boolean,
): Promise<void> {
  const job = testJob(sink)
  const delivery = await testing.withSession(job, async session => {
    const started = startDelivery({ job, session, rows })
    await testing.finish(started)
    return started
  })
  const refused = delivery.deadLetters.map(({ row }) => row).sort((one, other) => one - other)
  assert.deepEqual(
    refused,
    rows.filter(isRefused).map(({ id }) => id),
    'other rows than these were refused for good',
  )
  for (const { row, payload, cause } of delivery.deadLetters) {
    assert.ok(payload === rows[row]!.json, `the dead letter of row ${row} has another payload`)
    assert.ok(cause !== '', `row ${row} was refused without a reason`)
  }
  const taken = rows.filter(row => !isRefused(row))
  await testing.expectRows(sink, taken, 'once')
}

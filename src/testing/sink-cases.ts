/** Tests of what a sink does while its destination is well. */
import type { Proof, Sink } from '../sinks/sink.ts'
import { startDelivery } from './sink-delivery.ts'
import {
  beginWrites,
  checkpoint,
  deliver,
  openSession,
  readBack,
  testJob,
  testRows,
  testUnit,
  writeRows,
} from './sink-driver.ts'
import { assertSameRows } from './sink-rows.ts'
import type { SinkCase, SinkTesting } from './sink-testing.ts'

export function wellCases<S extends Sink>(testing: SinkTesting<S>, manyRows: number): readonly SinkCase<S>[] {
  return [
    [
      'a probe changes nothing',
      async sink => {
        const session = await openSession(testJob(sink), true)
        await session.close()
        await testing.expectRows(sink, [])
      },
    ],

    [
      'every row arrives once, byte for byte',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(1_000)
        await testing.withSession(job, session => deliver(session, testUnit(job, 0), rows))
        await testing.expectRows(sink, rows)
      },
    ],

    [
      'text arrives as it is, whatever its characters and its length',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(TEXTS.length, id => TEXTS[id]!)
        await testing.withSession(job, session => deliver(session, testUnit(job, 0), rows, { batchRows: 3 }))
        await testing.expectRows(sink, rows)
      },
    ],

    [
      'a session that writes nothing leaves nothing',
      async sink => {
        await testing.withSession(testJob(sink), async () => {})
        await testing.expectRows(sink, [])
      },
    ],

    [
      'a unit whose rows were all filtered out leaves nothing',
      async sink => {
        const job = testJob(sink)
        await testing.withSession(job, async session => {
          const unit = testUnit(job, 0)
          await session.begin?.(unit)
          await session.commit?.(unit, [checkpoint(0, 5_000, true)])
        })
        await testing.expectRows(sink, [])
      },
    ],

    [
      'a unit without any rows leaves nothing',
      async sink => {
        const job = testJob(sink)
        await testing.withSession(job, session => testing.finish(startDelivery({ job, session, rows: [] })))
        await testing.expectRows(sink, [])
      },
    ],

    ...testing.orders.map(
      (order): SinkCase<S> => [
        `what the engine reads, encodes and sends arrives once${testing.inOrder(order)}`,
        async sink => {
          const job = testJob(sink, order)
          const rows = testRows(600)
          await testing.withSession(job, session => testing.finish(startDelivery({ job, session, rows })))
          await testing.expectRows(sink, rows, 'once', order)
        },
      ],
    ),

    [
      'units are delivered side by side',
      async sink => {
        const job = testJob(sink)
        const chunks = [0, 1, 2].map(chunk => testRows(500, id => `chunk ${chunk} row ${id}`))
        await testing.withSession(job, session =>
          Promise.all(chunks.map((rows, number) => deliver(session, testUnit(job, number), rows))),
        )
        await testing.expectRows(sink, chunks.flat())
      },
    ],

    [
      'a session ends without disturbing that of another job',
      async sink => {
        const [one, other] = [testJob(sink), testJob(sink)]
        const rows = testRows(400, id => `one ${id}`)
        const otherRows = testRows(100, id => `other ${id}`)
        await testing.withSession(one, async session => {
          const unit = testUnit(one, 0)
          await session.begin?.(unit)
          await writeRows(session, unit, rows.slice(0, 200))
          await testing.withSession(other, session => deliver(session, testUnit(other, 0), otherRows))
          await writeRows(session, unit, rows.slice(200))
          await session.commit?.(unit, [checkpoint(0, rows.length, true)])
        })
        await testing.expectRows(sink, [...rows, ...otherRows])
      },
    ],

    [
      'a unit goes on in another session where it was paused',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(1_000)
        await testing.withSession(job, async session => {
          const unit = testUnit(job, 0)
          await session.begin?.(unit)
          await writeRows(session, unit, rows.slice(0, 300))
          await session.commit?.(unit, [checkpoint(0, 300, false)])
        })
        await testing.withSession(job, session =>
          deliver(session, testUnit(job, 0, { attempt: 2, fromRow: 300 }), rows.slice(300)),
        )
        await testing.expectRows(sink, rows)
      },
    ],

    [
      'with a commit, several commits of one unit add up',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(900)
        await testing.withSession(job, async session => {
          if (!session.commit) return
          const unit = testUnit(job, 0)
          await session.begin?.(unit)
          for (const end of [300, 600, 900]) {
            await writeRows(session, unit, rows.slice(end - 300, end))
            await session.commit(unit, [checkpoint(0, end, end === 900)])
            await testing.expectRows(sink, rows.slice(0, end))
          }
        })
      },
    ],

    [
      'with a commit, an aborted unit leaves only what was committed',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(600)
        await testing.withSession(job, async session => {
          if (!session.commit) return
          const unit = testUnit(job, 0)
          await session.begin?.(unit)
          await writeRows(session, unit, rows.slice(0, 200))
          await session.commit(unit, [checkpoint(0, 200, false)])
          await writeRows(session, unit, rows.slice(200))
          await session.abort?.(unit)
          await testing.expectRows(sink, rows.slice(0, 200))
        })
      },
    ],

    [
      'with a readBack, the rows of a job are read back, and no others as its own',
      async sink => {
        if (!sink.readBack) return
        const [one, other] = [testJob(sink), testJob(sink)]
        const chunks = [0, 1].map(chunk => testRows(3_000, id => `chunk ${chunk} row ${id}`))
        const proof: Proof[number][] = []
        await testing.withSession(one, async session => {
          for (const [number, rows] of chunks.entries()) {
            proof.push(...(await deliver(session, testUnit(one, number), rows)))
            await testing.withSession(other, session => deliver(session, testUnit(other, number), testRows(50)))
          }
        })
        const held = await readBack(one, proof, 6_000)
        const own = held.filter(({ proven }) => proven).map(({ payload }) => Buffer.from(payload).toString())
        assertSameRows(own, chunks.flat(), 'once')
      },
    ],

    [
      'writes that are aborted come to an end, and so does the session',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(2_000)
        const session = await openSession(job)
        const unit = testUnit(job, 0)
        await session.begin?.(unit)
        const controller = new AbortController()
        const writes = writeRows(session, unit, rows, { signal: controller.signal }).catch(() => {})
        controller.abort()
        await testing.soon(writes, 'the writes did not settle after their signal was aborted')
        await session.abort?.(unit)
        await testing.soon(session.close(), 'the session did not close')
        if (session.commit) await testing.expectRows(sink, [])
        else await testing.expectSome(sink, rows, 0)
      },
    ],

    [
      'a session that is closed ends its writes, and what they acknowledged is there',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(2_000)
        const session = await openSession(job)
        const unit = testUnit(job, 0)
        await session.begin?.(unit)
        const { ended } = await beginWrites(session, unit, rows, { batchRows: 50 })
        await testing.soon(session.close(), 'the session did not close')
        const ends = await testing.soon(ended, 'the writes did not settle after their session was closed')
        const taken = ends.reduce((sum, { rows, acknowledged }) => sum + (acknowledged ? rows : 0), 0)
        if (session.commit) await testing.expectRows(sink, [])
        else await testing.expectSome(sink, rows, taken)
      },
    ],

    [
      'after a crash another session delivers the unit again',
      async sink => {
        const job = testJob(sink)
        const rows = testRows(1_000)
        const crashed = await openSession(job)
        const unit = testUnit(job, 0)
        await crashed.begin?.(unit)
        await writeRows(crashed, unit, rows.slice(0, 500))
        job.leaseEpoch++
        const session = await openSession(job)
        await deliver(session, testUnit(job, 0, { attempt: 2 }), rows)
        await session.close()
        await crashed.close()
        await testing.expectRows(sink, rows, session.commit ? 'once' : 'at least once')
      },
    ],

    [
      `${manyRows} rows arrive`,
      async sink => {
        const job = testJob(sink)
        const half = Math.floor(manyRows / 2)
        const chunks = [testRows(half, id => `first ${id}`), testRows(manyRows - half, id => `second ${id}`)]
        await testing.withSession(job, session =>
          Promise.all(
            chunks.map((rows, number) => deliver(session, testUnit(job, number), rows, { batchRows: 10_000 })),
          ),
        )
        await testing.expectRows(sink, chunks.flat())
      },
    ],
  ]
}

const TEXTS = [
  '',
  ' spaces \t tab \n line feed \r\n carriage return ',
  '"quotes" and \\backslashes\\',
  '\u0000\u0001\u001f\u007f',
  'é ß ñ Ω ж 中文 한국어 العربية עברית',
  '👍🏽 👨‍👩‍👧‍👦 𝒳 🇨🇭',
  'e\u0301 is not é',
  '\u2028\u2029\ufeff\ufffd\uffff',
  '</script><!-- & %00 $HOME {{y}}',
  'x'.repeat(100_000),
]

/**
 * The conformance suite of sinks. It knows no test runner:
 *
 *     for (const { name, run } of testSink({ create, read })) test(name, run)
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Proof, Sink, SinkSession } from '../sinks/sink.ts'
import {
  checkpoint,
  deliver,
  openSession,
  readBack,
  type TestRow,
  testJob,
  testRows,
  testUnit,
  writeRows,
} from './sink-driver.ts'

export interface SinkTestOptions<S extends Sink> {
  /** A sink with an empty destination of its own; called once per test. Its rows have the columns `id`, `key` and `text`. */
  readonly create: () => S | Promise<S>
  /**
   * The JSON text of every row at the sink's destination, in any order. `expected`: how many there should be, for a
   * destination that has to be polled. Without it only the calls are tested, not what arrives.
   */
  readonly read?: (sink: S, expected: number) => Promise<readonly string[]>
  /** Called at the end of every test. */
  readonly dispose?: (sink: S) => Promise<void>
  /** Rows of the large test. Default 100,000. */
  readonly manyRows?: number
}

export interface SinkTest {
  readonly name: string
  readonly run: () => Promise<void>
}

/**
 * Tests of everything that `Sink` promises while the destination is well. What applies only to sessions with a `commit`
 * passes for others. No test takes long but the large one.
 */
export function testSink<S extends Sink>(options: SinkTestOptions<S>): readonly SinkTest[] {
  const { create, read, dispose, manyRows = 100_000 } = options

  function test(name: string, body: (sink: S) => Promise<void>): SinkTest {
    return {
      name,
      async run() {
        const sink = await create()
        try {
          await body(sink)
        } finally {
          await dispose?.(sink)
        }
      },
    }
  }

  async function expectRows(sink: S, rows: readonly TestRow[]): Promise<void> {
    if (read) assertSameRows(await read(sink, rows.length), rows, 'once')
  }

  return [
    test('a probe changes nothing', async sink => {
      const session = await openSession(testJob(sink), true)
      await session.close()
      await expectRows(sink, [])
    }),

    test('every row arrives once, byte for byte', async sink => {
      const job = testJob(sink)
      const rows = testRows(1_000)
      await withSession(openSession(job), session => deliver(session, testUnit(job, 0), rows))
      await expectRows(sink, rows)
    }),

    test('text arrives as it is, whatever its characters and its length', async sink => {
      const job = testJob(sink)
      const rows = testRows(TEXTS.length, id => TEXTS[id]!)
      await withSession(openSession(job), session => deliver(session, testUnit(job, 0), rows, { batchRows: 3 }))
      await expectRows(sink, rows)
    }),

    test('a session that writes nothing leaves nothing', async sink => {
      await withSession(openSession(testJob(sink)), async () => {})
      await expectRows(sink, [])
    }),

    test('a unit whose rows were all filtered out leaves nothing', async sink => {
      const job = testJob(sink)
      await withSession(openSession(job), async session => {
        const unit = testUnit(job, 0)
        await session.begin?.(unit)
        await session.commit?.(unit, [checkpoint(0, 5_000, true)])
      })
      await expectRows(sink, [])
    }),

    test('units are delivered side by side', async sink => {
      const job = testJob(sink)
      const chunks = [0, 1, 2].map(chunk => testRows(500, id => `chunk ${chunk} row ${id}`))
      await withSession(openSession(job), session =>
        Promise.all(chunks.map((rows, number) => deliver(session, testUnit(job, number), rows))),
      )
      await expectRows(sink, chunks.flat())
    }),

    test('a session ends without disturbing that of another job', async sink => {
      const [one, other] = [testJob(sink), testJob(sink)]
      const rows = testRows(400, id => `one ${id}`)
      const otherRows = testRows(100, id => `other ${id}`)
      await withSession(openSession(one), async session => {
        const unit = testUnit(one, 0)
        await session.begin?.(unit)
        await writeRows(session, unit, rows.slice(0, 200))
        await withSession(openSession(other), session => deliver(session, testUnit(other, 0), otherRows))
        await writeRows(session, unit, rows.slice(200))
        await session.commit?.(unit, [checkpoint(0, rows.length, true)])
      })
      await expectRows(sink, [...rows, ...otherRows])
    }),

    test('a unit goes on in another session where it was paused', async sink => {
      const job = testJob(sink)
      const rows = testRows(1_000)
      await withSession(openSession(job), async session => {
        const unit = testUnit(job, 0)
        await session.begin?.(unit)
        await writeRows(session, unit, rows.slice(0, 300))
        await session.commit?.(unit, [checkpoint(0, 300, false)])
      })
      await withSession(openSession(job), session =>
        deliver(session, testUnit(job, 0, { attempt: 2, fromRow: 300 }), rows.slice(300)),
      )
      await expectRows(sink, rows)
    }),

    test('with a commit, several commits of one unit add up', async sink => {
      const job = testJob(sink)
      const rows = testRows(900)
      await withSession(openSession(job), async session => {
        if (!session.commit) return
        const unit = testUnit(job, 0)
        await session.begin?.(unit)
        for (const end of [300, 600, 900]) {
          await writeRows(session, unit, rows.slice(end - 300, end))
          await session.commit(unit, [checkpoint(0, end, end === 900)])
          if (read) assertSameRows(await read(sink, end), rows.slice(0, end), 'once')
        }
      })
    }),

    test('with a commit, an aborted unit leaves only what was committed', async sink => {
      const job = testJob(sink)
      const rows = testRows(600)
      await withSession(openSession(job), async session => {
        if (!session.commit) return
        const unit = testUnit(job, 0)
        await session.begin?.(unit)
        await writeRows(session, unit, rows.slice(0, 200))
        await session.commit(unit, [checkpoint(0, 200, false)])
        await writeRows(session, unit, rows.slice(200))
        await session.abort?.(unit)
        await expectRows(sink, rows.slice(0, 200))
      })
    }),

    test('with a readBack, the rows of a job are read back, and no others as its own', async sink => {
      if (!sink.readBack) return
      const [one, other] = [testJob(sink), testJob(sink)]
      const chunks = [0, 1].map(chunk => testRows(3_000, id => `chunk ${chunk} row ${id}`))
      const proof: Proof[number][] = []
      await withSession(openSession(one), async session => {
        for (const [number, rows] of chunks.entries()) {
          proof.push(...(await deliver(session, testUnit(one, number), rows)))
          await withSession(openSession(other), session => deliver(session, testUnit(other, number), testRows(50)))
        }
      })
      const held = await readBack(one, proof, 6_000)
      const own = held.filter(({ proven }) => proven).map(({ payload }) => Buffer.from(payload).toString())
      assertSameRows(own, chunks.flat(), 'once')
    }),

    test('writes that are aborted come to an end, and so does the session', async sink => {
      const job = testJob(sink)
      const rows = testRows(2_000)
      const session = await openSession(job)
      const unit = testUnit(job, 0)
      await session.begin?.(unit)
      const controller = new AbortController()
      const writes = writeRows(session, unit, rows, { signal: controller.signal }).catch(() => {})
      controller.abort()
      await within(30_000, writes, 'the writes did not settle after their signal was aborted')
      await session.abort?.(unit)
      await within(30_000, session.close(), 'the session did not close')
      if (!read) return
      const arrived = await read(sink, 0)
      if (session.commit) assertSameRows(arrived, [], 'once')
      else assert.deepEqual(difference(arrived, rows).unexpected, [], 'rows arrived that were never sent')
    }),

    test('after a crash another session delivers the unit again', async sink => {
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
      if (read) assertSameRows(await read(sink, rows.length), rows, session.commit ? 'once' : 'at least once')
    }),

    test(`${manyRows} rows arrive`, async sink => {
      const job = testJob(sink)
      const half = Math.floor(manyRows / 2)
      const chunks = [testRows(half, id => `first ${id}`), testRows(manyRows - half, id => `second ${id}`)]
      await withSession(openSession(job), session =>
        Promise.all(chunks.map((rows, number) => deliver(session, testUnit(job, number), rows, { batchRows: 10_000 }))),
      )
      await expectRows(sink, chunks.flat())
    }),
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

async function withSession<T>(opening: Promise<SinkSession>, use: (session: SinkSession) => Promise<T>): Promise<T> {
  const session = await opening
  try {
    return await use(session)
  } finally {
    await session.close()
  }
}

async function within(ms: number, promise: Promise<unknown>, message: string): Promise<void> {
  const timer = new AbortController()
  const late = delay(ms, 'late', { signal: timer.signal }).catch(() => {})
  try {
    assert.notEqual(await Promise.race([promise, late]), 'late', message)
  } finally {
    timer.abort()
  }
}

function assertSameRows(actual: readonly string[], rows: readonly TestRow[], how: 'once' | 'at least once'): void {
  const { missing, unexpected } = difference(how === 'once' ? actual : [...new Set(actual)], rows)
  const example = (texts: readonly string[]) => (texts.length > 0 ? `, such as ${texts[0]!.slice(0, 200)}` : '')
  assert.ok(
    missing.length === 0 && unexpected.length === 0,
    `of ${rows.length} rows ${missing.length} did not arrive${example(missing)}; ` +
      `${unexpected.length} arrived that should not have, or twice${example(unexpected)}`,
  )
}

function difference(actual: readonly string[], rows: readonly TestRow[]): { missing: string[]; unexpected: string[] } {
  const left = new Map<string, number>()
  for (const { json } of rows) left.set(json, (left.get(json) ?? 0) + 1)
  const unexpected = actual.filter(text => {
    const count = left.get(text) ?? 0
    left.set(text, count - 1)
    return count <= 0
  })
  return { missing: [...left].filter(([, count]) => count > 0).map(([text]) => text), unexpected }
}

/**
 * The conformance suite of sources. It knows no test runner:
 *
 *     for (const { name, run } of testSource({ create, table })) test(name, run)
 *
 * It reads staged files as the engine does, so that it needs nothing of the warehouse but the source.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { CancelledError, isMillraceError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import type { Source, Staged, StageRequest } from '../sources/source.ts'
import { readStaged, type StageChoice, stageRequest } from './source-driver.ts'

export interface SourceTestOptions<S extends Source> {
  /** A source with the test table; called once per test. */
  readonly create: () => S | Promise<S>
  /**
   * The test table's name in requests. It has the columns `id` (integer, or decimal of scale 0), `at` (timestamp, nullable, the default
   * partition key) and `name` (string, nullable), and holds exactly the rows of {@link sourceTestRows}.
   */
  readonly table: string
  /** The files that it hands out were there before it: discarding removes none. Default false. */
  readonly inPlace?: boolean
  /** Called at the end of every test. */
  readonly dispose?: (source: S) => Promise<void>
}

export interface SourceTest {
  readonly name: string
  readonly run: () => Promise<void>
}

export interface SourceTestRow {
  readonly id: number
  /** ISO 8601 in UTC, to the second. */
  readonly at: string | null
  readonly name: string | null
}

const NAMES = ['plain', "it's", 'say "so"', 'back\\slash', "'); DROP TABLE x; --", 'naïve 😀', '', null] as const

/**
 * 10,000 rows in no order: two a minute from 2026-03-01T00:00:00Z on, with names that are awkward to quote, some NULL; and
 * one row whose time is NULL.
 */
export function sourceTestRows(): SourceTestRow[] {
  const timed = Array.from({ length: 10_000 }, (_, index): SourceTestRow => {
    const id = (index * 7_919) % 10_000
    return { id, at: minute(Math.floor(id / 2)), name: NAMES[id % NAMES.length]! }
  })
  return [...timed, { id: 10_000, at: null, name: 'plain' }]
}

/** Tests of everything that `Source` promises while the warehouse is well. */
export function testSource<S extends Source>(options: SourceTestOptions<S>): readonly SourceTest[] {
  const { create, table, inPlace = false, dispose } = options

  function test(name: string, body: (source: S) => Promise<void>): SourceTest {
    return {
      name,
      async run() {
        const source = await create()
        try {
          await body(source)
        } finally {
          await dispose?.(source)
        }
      },
    }
  }

  async function stage(source: S, choice: StageChoice): Promise<{ request: StageRequest; staged: Staged }> {
    const request = await stageRequest(source, table, choice)
    const staged = await source.stage(request, undefined, async () => {}, never())
    return { request, staged }
  }

  /** Stages, reads and discards. */
  async function rowsOf(source: S, choice: StageChoice): Promise<SourceTestRow[]> {
    const { request, staged } = await stage(source, choice)
    const rows = await readStaged<SourceTestRow>(source, staged)
    await source.discard(request.stagingId, undefined, never())
    return rows
  }

  return [
    test('the catalogue names the table, and the table is described', async source => {
      assert.ok((await source.tables()).includes(table), `tables() does not name ${table}`)
      const schema = await source.describe(table, never())
      assert.equal(schema.table, table)
      assert.equal(schema.partitionKeys[0], 'at')
      assert.deepEqual(
        schema.columns.map(({ name, type }) => [name, type.kind.replace('decimal', 'integer')]),
        [
          ['id', 'integer'],
          ['at', 'timestamp'],
          ['name', 'string'],
        ],
      )
    }),

    test('a table that is not in the catalogue is an error', async source => {
      await assert.rejects(source.describe(`${table}_unknown`, never()), isMillraceError)
    }),

    test('a window holds its start and not its end, and every row once with its values', async source => {
      const rows = await rowsOf(source, { start: minute(100), end: minute(300) })
      const expected = sourceTestRows().filter(({ id }) => id >= 200 && id < 600)
      assertSame(byId(rows), byId(expected))
    }),

    test('a window over all rows leaves out the one without a time', async source => {
      const rows = await rowsOf(source, { start: '0001-01-01T00:00:00Z', end: '9999-01-01T00:00:00Z' })
      assertSame(idsOf(rows), numbers(0, 10_000))
    }),

    test('a window without rows has no files', async source => {
      const { request, staged } = await stage(source, { start: minute(5_000), end: minute(6_000) })
      assert.deepEqual(staged.files, [])
      await source.discard(request.stagingId, undefined, never())
    }),

    test('a filter lets pass what is in its list, whatever the text, and repeats double nothing', async source => {
      const values = NAMES.filter(name => name !== null && name !== 'plain')
      const rows = await rowsOf(source, { filter: { column: 'name', values: [...values, ...values, 'none of them'] } })
      const expected = sourceTestRows().filter(({ id, name }) => id < 10_000 && name !== null && name !== 'plain')
      assertSame(byId(rows), byId(expected))
    }),

    test('a filter may have very many values', async source => {
      const values = Array.from({ length: 30_000 }, (_, index) => String(index * 3))
      const rows = await rowsOf(source, { filter: { column: 'id', values } })
      const expected = numbers(0, 10_000).filter(id => id % 3 === 0)
      assertSame(idsOf(rows), expected)
    }),

    test('a filter that nothing passes has no rows', async source => {
      assertSame(await rowsOf(source, { filter: { column: 'name', values: ['none of them'] } }), [])
    }),

    test('sorted rows are in the order of the window, from file to file', async source => {
      const rows = await rowsOf(source, { sorted: true, fileBytes: 16 << 10 })
      const times = rows.map(({ at }) => at!)
      assertSame(times, times.toSorted())
      assertSame(idsOf(rows), numbers(0, 10_000))
    }),

    test('a sample is a row of the request', async source => {
      const { request, staged } = await stage(source, { start: minute(100), end: minute(300), limit: 1 })
      const rows = await readStaged<SourceTestRow>(source, staged)
      assert.ok(rows.length > 0 && rows.every(({ id }) => id >= 200 && id < 600), `sampled ${rows.length} rows`)
      await source.discard(request.stagingId, undefined, never())
    }),

    test('an estimate counts what would be staged, and names every column', async source => {
      if (!source.estimate) return
      const values = ['plain', "it's"]
      const choice = { start: minute(100), end: minute(300), filter: { column: 'name', values } }
      const estimate = await source.estimate(await stageRequest(source, table, choice), never())
      const rows = await rowsOf(source, choice)
      assert.equal(estimate.rows ?? rows.length, rows.length)
      assert.deepEqual(
        estimate.columns.map(({ name }) => name),
        ['id', 'at', 'name'],
      )
    }),

    test('files are plain data, with names of their own and true sizes', async source => {
      const { request, staged } = await stage(source, { fileBytes: 16 << 10 })
      assert.deepEqual(JSON.parse(JSON.stringify(staged)), staged)
      assert.equal(new Set(staged.files.map(({ name }) => name)).size, staged.files.length)
      for (const file of staged.files) {
        const rows = await readStaged(source, { files: [file] })
        assert.ok(rows.length > 0, `${file.name} has no rows`)
        assert.ok(file.rows === undefined || file.rows === rows.length, `${file.name} has ${rows.length} rows`)
      }
      await source.discard(request.stagingId, undefined, never())
    }),

    test('stagings run side by side', async source => {
      const windows = [0, 1, 2, 3].map(part => ({ start: minute(part * 1_000), end: minute((part + 1) * 1_000) }))
      const staged = await Promise.all(windows.map(window => rowsOf(source, window)))
      staged.forEach((rows, part) => {
        assertSame(idsOf(rows), numbers(part * 2_000, (part + 1) * 2_000))
      })
    }),

    test('discarding removes one staging and no other, as often as it is asked to', async source => {
      const stagingId = randomUUID()
      const gone = await stage(source, { stagingId })
      const kept = await stage(source, { stagingId: `${stagingId}-2` })
      await source.discard(stagingId, undefined, never())
      await source.discard(stagingId, undefined, never())
      if (inPlace) assert.equal((await readStaged(source, gone.staged)).length, 10_000)
      else await assert.rejects(readStaged(source, gone.staged), { code: 'file_missing' })
      assert.equal((await readStaged(source, kept.staged)).length, 10_000)
      await source.discard(kept.request.stagingId, undefined, never())
    }),

    test('discarding what was never staged is a success', async source => {
      await source.discard(randomUUID(), undefined, never())
    }),

    test('staging again after discarding gives the same rows', async source => {
      const window = { start: minute(0), end: minute(50) }
      const first = await rowsOf(source, { ...window, stagingId: 'again' })
      const second = await rowsOf(source, { ...window, stagingId: 'again' })
      assertSame(byId(second), byId(first))
      assert.equal(first.length, 100)
    }),

    test('files may be read as often as one likes, also at the same time', async source => {
      const { request, staged } = await stage(source, { start: minute(0), end: minute(500), fileBytes: 4 << 10 })
      const readings = await Promise.all([1, 2, 3].map(() => readStaged<SourceTestRow>(source, staged)))
      for (const rows of readings) assertSame(idsOf(rows), numbers(0, 1_000))
      await source.discard(request.stagingId, undefined, never())
    }),

    test('what a process saved before it left is plain data, by which another goes on or says that it cannot', async source => {
      const window = { start: minute(0), end: minute(50) }
      const request = await stageRequest(source, table, window)
      const leaving = new AbortController()
      let saved: Json | undefined
      const save = async (state: Json): Promise<void> => {
        saved = JSON.parse(JSON.stringify(state))
        assert.deepEqual(saved, state, 'what is saved does not survive as JSON')
        leaving.abort(new Error('the process leaves'))
      }
      const staging = source.stage(request, undefined, save, leaving.signal)
      await staging.catch(() => {}) // it may have been done by then
      if (saved !== undefined) {
        const staged = await source.stage(request, saved, save, never()).catch((error: unknown) => {
          assert.ok(isMillraceError(error), `a staging that cannot go on fails with ${String(error)}`)
        })
        if (staged) assertSame(idsOf(await readStaged(source, staged)), numbers(0, 100))
      }
      await source.discard(request.stagingId, saved, never())
      assertSame(idsOf(await rowsOf(source, window)), numbers(0, 100))
    }),

    test('staging ends with the reason of its signal', async source => {
      const request = await stageRequest(source, table, {})
      const reason = new CancelledError('the test cancels')
      const controller = new AbortController()
      const staging = source.stage(request, undefined, async () => {}, controller.signal)
      controller.abort(reason)
      await assert.rejects(staging, error => error === reason)
      await source.discard(request.stagingId, undefined, never())
    }),
  ]
}

function never(): AbortSignal {
  return new AbortController().signal
}

function minute(number: number): string {
  return new Date(Date.UTC(2026, 2, 1, 0, number)).toISOString().replace('.000', '')
}

function numbers(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}

function idsOf(rows: readonly SourceTestRow[]): number[] {
  return byId(rows).map(({ id }) => id)
}

/** Says the first difference: the whole one of thousands of rows would take a minute to print, and nobody would read it. */
function assertSame(actual: readonly unknown[], expected: readonly unknown[]): void {
  for (let index = 0; index < Math.max(actual.length, expected.length); index++) {
    const place = `of ${actual.length} rows where there should be ${expected.length}, number ${index} is wrong`
    assert.deepEqual(actual[index], expected[index], place)
  }
}

function byId(rows: readonly SourceTestRow[]): SourceTestRow[] {
  return rows.toSorted((left, right) => left.id - right.id)
}

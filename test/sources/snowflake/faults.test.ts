import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { CancelledError } from '../../../src/core/errors.ts'
import type { Json } from '../../../src/core/json.ts'
import type { Source, Staged } from '../../../src/sources/source.ts'
import { readStaged, stageRequest } from '../../../src/testing/source-driver.ts'
import type { SnowflakeServer } from '../../servers/snowflake/server.ts'
import { never, sourceOn, stagedNames, startAccount, TEST_TABLE } from './account.ts'

let server: SnowflakeServer
beforeAll(async () => {
  server = await startAccount()
})
afterAll(() => server.stop())

const ROWS = 10_000
const UNLOAD = /query-request .*COPY INTO/
/** Many filter values, so that a temporary table is used. */
const LONG = { column: 'id', values: Array.from({ length: 3_000 }, (_, index) => String(index)) }

interface Attempt {
  readonly source: Source
  readonly stagingId: string
  saved: Json | undefined
  staged: Promise<Staged>
}

async function begin(
  stagingId: string,
  choice: Parameters<typeof stageRequest>[2] = {},
  signal = never(),
  saved?: Json,
): Promise<Attempt> {
  const source = sourceOn(server)
  const request = await stageRequest(source, TEST_TABLE, { stagingId, ...choice })
  const attempt: Attempt = { source, stagingId, saved, staged: Promise.resolve({ files: [] }) }
  const save = async (state: Json) => {
    attempt.saved = state
  }
  attempt.staged = source.stage({ ...request, jobId: `job-of-${stagingId}` }, saved, save, signal)
  attempt.staged.catch(() => {})
  return attempt
}

async function rowsOf({ source, staged }: Attempt): Promise<number> {
  const rows = await readStaged<{ id: number }>(source, await staged)
  return new Set(rows.map(({ id }) => id)).size
}

/** Nothing of it is left on the stage, and nothing of it runs. */
async function discardWhole({ source, stagingId, saved }: Attempt): Promise<void> {
  await source.discard(stagingId, saved, never())
  expect((await stagedNames(server)).filter(name => name.includes(`${stagingId}/`))).toEqual([])
  const running = server.queries.all().filter(({ tag, state }) => tag.includes(`:${stagingId}:`) && state === 'RUNNING')
  expect(running).toEqual([])
}

function unloadsOf(stagingId: string): number {
  return server.queries.all().filter(({ sql }) => sql.startsWith('COPY INTO') && sql.includes(`/${stagingId}/`)).length
}

describe('staging gives every row once, with one unload,', () => {
  it.each<[string, () => void]>([
    ['nothing', () => {}],
    ['a token that expires before the unload', () => server.faults.request('token', UNLOAD, 'expired')],
    ['a token that expires while it runs', () => server.faults.request('token', /GET \/monitoring/, 'expired', 2)],
    [
      'a token that expires before its result',
      () => server.faults.request('token', /GET \/queries\/.*result/, 'expired'),
    ],
    ['HTTP 503 in place of the submission', () => server.faults.request('503', UNLOAD, 503)],
    ['HTTP 500 for its status, again and again', () => server.faults.request('500', /GET \/monitoring/, 500, 3)],
    ['HTTP 502 for its result', () => server.faults.request('502', /GET \/queries\/.*result/, 502)],
    ['a connection that breaks before the submission', () => server.faults.request('drop', UNLOAD, 'drop')],
    ['a connection that breaks behind it', () => server.faults.request('drop', UNLOAD, 'drop-after')],
    ['a connection that breaks while it runs', () => server.faults.request('drop', /GET \/monitoring/, 'drop', 2)],
    [
      'a connection that breaks while values are loaded',
      () => server.faults.request('drop', /INSERT INTO/, 'drop-after'),
    ],
  ])('whatever happens: %s', async (name, arm) => {
    const stagingId = `one-${name.replaceAll(/\W/g, '-')}`.slice(0, 60)
    const before = server.faults.happened.length
    const choice = name.includes('values') ? { filter: LONG } : {}
    arm()
    const attempt = await begin(stagingId, choice)
    expect(await rowsOf(attempt)).toBe(name.includes('values') ? 3_000 : ROWS)
    expect(unloadsOf(stagingId)).toBe(1)
    const left = [...server.accounts.sessions.values()].flatMap(({ temporary }) => [...temporary.keys()])
    expect(left).toEqual([])
    if (name !== 'nothing') expect(server.faults.happened.length).toBeGreaterThan(before)
    await discardWhole(attempt)
  })
})

describe('a submission that nobody answered', () => {
  it('is found by its tag, and not made twice', async () => {
    server.faults.request('lost', UNLOAD, 'drop-after')
    server.faults.request('gone', UNLOAD, 'ended')
    const attempt = await begin('unanswered')
    expect(await rowsOf(attempt)).toBe(ROWS)
    expect(unloadsOf('unanswered')).toBe(1)
    await discardWhole(attempt)
  })
})

describe('an unload that fails', () => {
  it('inside Snowflake is run again, elsewhere, and the files of the first are not read', async () => {
    server.faults.unload('incident', 'incident', 2)
    const attempt = await begin('incident')
    const { files } = await attempt.staged
    expect(new Set(files.map(({ name }) => name.split('/')[1]))).toEqual(new Set(['2']))
    expect((await stagedNames(server)).filter(name => name.includes('incident/1/'))).toHaveLength(2)
    expect(await rowsOf(attempt)).toBe(ROWS)
    expect(unloadsOf('incident')).toBe(2)
    await discardWhole(attempt)
  })

  it('again and again is given up, and leaves nothing', async () => {
    for (let time = 0; time < 3; time++) server.faults.unload('incident', 'incident')
    const attempt = await begin('incidents')
    await expect(attempt.staged).rejects.toMatchObject({
      code: 'source_failed',
      message: `cannot stage ${TEST_TABLE}: Snowflake reports 000603 (XX000) (its message is withheld, as it may quote values)`,
    })
    expect(unloadsOf('incidents')).toBe(3)
    await discardWhole(attempt)
  })

  it('because somebody cancelled it is not', async () => {
    server.faults.unload('killed', 'killed')
    const attempt = await begin('killed')
    await expect(attempt.staged).rejects.toThrow(
      '000604 (57014) (its message is withheld, as it may quote values); somebody',
    )
    expect(unloadsOf('killed')).toBe(1)
    await discardWhole(attempt)
  })
})

describe('files of something else', () => {
  it('that lie where the unload writes are not read, and are removed', async () => {
    const stale = server.stages.fileOf(
      server.stages.read('@"BASE"."ASSETS"."EXPORTS"/backfills/stale/1/data_9_9_0.snappy.parquet'),
    )
    await server.stages.makeRoomFor(stale)
    await (await import('node:fs/promises')).writeFile(stale, 'not even Parquet')
    const attempt = await begin('stale')
    expect(await rowsOf(attempt)).toBe(ROWS)
    await discardWhole(attempt)
  })
})

describe('a process that goes while the unload runs', () => {
  it('leaves it running, and the next one takes it up', async () => {
    const held = Promise.withResolvers<void>()
    server.faults.unload('held', held.promise)
    const leaving = new AbortController()
    const first = await begin('taken-up', {}, leaving.signal)
    await expect.poll(() => unloadsOf('taken-up')).toBe(1)
    await expect.poll(() => first.saved).toMatchObject({ attempt: 1, queryId: expect.any(String) })
    leaving.abort(new Error('the engine was closed'))
    await expect(first.staged).rejects.toThrow('the engine was closed')
    server.endSessions()
    const second = await begin('taken-up', {}, never(), first.saved)
    held.resolve()
    expect(await rowsOf(second)).toBe(ROWS)
    expect(unloadsOf('taken-up')).toBe(1)
    await discardWhole(second)
  })

  it('before it knew of the query finds it by its tag', async () => {
    const first = await begin('by-tag')
    await first.staged
    const second = await begin('by-tag', {}, never(), { attempt: 1, jobId: 'job-of-by-tag' })
    expect(await rowsOf(second)).toBe(ROWS)
    expect(unloadsOf('by-tag')).toBe(1)
    await discardWhole(second)
  })

  it('before the query was there runs it anew, elsewhere', async () => {
    const second = await begin('never-sent', {}, never(), { attempt: 1, jobId: 'job-of-never-sent' })
    const { files } = await second.staged
    expect(files[0]!.name).toMatch(/^never-sent\/2\//)
    expect(await rowsOf(second)).toBe(ROWS)
    await discardWhole(second)
  })

  it('is not confused by what was saved by another source', async () => {
    const attempt = await begin('foreign', {}, never(), 'something')
    await expect(attempt.staged).rejects.toThrow('what was saved of the staging is not of this source')
  })
})

describe('cancelling', () => {
  it('stops the unload in Snowflake', async () => {
    const held = Promise.withResolvers<void>()
    onTestFinished(() => held.resolve())
    server.faults.unload('held', held.promise)
    const cancelling = new AbortController()
    const attempt = await begin('cancelled', {}, cancelling.signal)
    await expect.poll(() => attempt.saved).toMatchObject({ queryId: expect.any(String) })
    const reason = new CancelledError('enough')
    cancelling.abort(reason)
    await expect(attempt.staged).rejects.toBe(reason)
    const { queryId } = attempt.saved as { queryId: string }
    expect(server.queries.get(queryId)).toMatchObject({ state: 'FAILED_WITH_ERROR', refusal: { code: '000604' } })
    await discardWhole(attempt)
  })

  it('by a process that did not begin it stops it too, known by its id or by its tag', async () => {
    for (const known of [true, false]) {
      const stagingId = `orphan-${known}`
      const held = Promise.withResolvers<void>()
      onTestFinished(() => held.resolve())
      server.faults.unload('held', held.promise)
      const leaving = new AbortController()
      const first = await begin(stagingId, {}, leaving.signal)
      await expect.poll(() => first.saved).toMatchObject({ queryId: expect.any(String) })
      leaving.abort(new Error('gone'))
      await expect(first.staged).rejects.toThrow('gone')
      const { attempt, jobId, queryId } = first.saved as { attempt: number; jobId: string; queryId: string }
      const saved = known ? { attempt, jobId, queryId } : { attempt, jobId }
      await discardWhole({ ...first, source: sourceOn(server), saved })
      expect(server.queries.get(queryId)!.state).toBe('FAILED_WITH_ERROR')
    }
  })

  it('while the staging waits for its turn to be noticed does not hang', async () => {
    const cancelling = new AbortController()
    const attempt = await begin('at-once', {}, cancelling.signal)
    await pause(0)
    cancelling.abort(new CancelledError('at once'))
    await expect(attempt.staged).rejects.toThrow('at once')
    await discardWhole(attempt)
  })
})

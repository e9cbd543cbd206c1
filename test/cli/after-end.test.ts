/** The commands for what has gone wrong, in processes of their own, over one table of a DuckDB file. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Job } from '../../src/core/job.ts'
import { millrace } from './cli.ts'
import { createEvents } from './events.ts'

const ROWS = 2_000

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-after-end-'))
  await createEvents(cwd, ROWS)
  await writeFile(join(cwd, 'millrace.config.ts'), CONFIG)
})
afterAll(() => rm(cwd, { recursive: true }))
beforeEach(() => rm(join(cwd, 'out'), { recursive: true, force: true }))

/** Rows land in `rows.txt`, save those that `REFUSE` names; `BROKEN` is the destination away for good. */
const CONFIG = `
  import { appendFile } from 'node:fs/promises'
  import { DeliveryError } from '${new URL('../../src/core/errors.ts', import.meta.url)}'
  import { fileSink } from '${new URL('../../src/sinks/file.ts', import.meta.url)}'
  import { duckdbSource } from '${new URL('../../src/sources/duckdb.ts', import.meta.url)}'
  import { defineConfig } from '${new URL('../../src/cli/config.ts', import.meta.url)}'

  const refused = (process.env.REFUSE ?? '').split(',').filter(Boolean).map(Number)
  const list = {
    type: 'list',
    name: 'out',
    open: async ({ probe }) => {
      return {
        encoding: { kind: 'ndjson' },
        async write({ bytes }) {
          if (process.env.BROKEN) throw new DeliveryError('no longer there', { code: 'destination_misconfigured' })
          const ids = Buffer.from(bytes).toString().trimEnd().split('\\n').map(line => JSON.parse(line).id)
          await appendFile('rows.txt', ids.filter(id => !refused.includes(id)).map(id => id + '\\n').join(''))
          const failed = ids.map((id, row) => [row, new Error('not this one')]).filter(([row]) => refused.includes(ids[row]))
          if (failed.length > 0) throw new DeliveryError('some', { failed: new Map(failed), rest: 'delivered' })
        },
        async close() {},
      }
    },
  }
  export default defineConfig({
    source: duckdbSource({ database: 'events.db', tables: { events: { partitionKeys: ['id'] } } }),
    sinks: [{ sink: list, maxDeadLetters: 10 }, fileSink({ name: 'files', dir: 'out' })],
    keepStagedMs: { completed: 600_000 },
  })`

const RUN = ['run', '--table', 'events', '--start', '0', '--end', String(ROWS), '--to', 'list:out', '--json']

async function run(env: Readonly<Record<string, string>>): Promise<Job> {
  await rm(join(cwd, 'rows.txt'), { force: true })
  const { stdout } = await millrace(RUN, { cwd, env })
  return lastJob(stdout)
}

function lastJob(stdout: string): Job {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!)
}

async function written(): Promise<number[]> {
  const text = await readFile(join(cwd, 'rows.txt'), 'utf8').catch(() => '')
  return text.split('\n').filter(Boolean).map(Number)
}

describe('millrace dead-letters', () => {
  it('lists them as lines of JSON, to standard output or a file, and sends them again', async () => {
    const job = await run({ REFUSE: '7,1234' })
    expect(job).toMatchObject({ status: 'completed', destinations: [{ dead_lettered: 2 }] })
    const { job_id } = job
    const list = await millrace(['dead-letters', 'list', job_id], { cwd })
    expect(list).toMatchObject({ code: 0, stderr: '' })
    const letters = list.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    const letter = { destination: { type: 'list', name: 'out' }, chunk: 0, key: null, cause: 'not this one' }
    expect(letters).toEqual([
      { ...letter, row: 7, payload: '{"id":7}', time: expect.any(String) },
      { ...letter, row: 1234, payload: '{"id":1234}', time: expect.any(String) },
    ])
    const file = await millrace(['dead-letters', 'list', job_id, '--to', 'list/out', '--output', 'refused.jsonl'], {
      cwd,
    })
    expect(file).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await readFile(join(cwd, 'refused.jsonl'), 'utf8')).toBe(list.stdout)

    const redrive = ['dead-letters', 'redrive', job_id, '--to', 'list:out']
    expect(await millrace(redrive, { cwd, env: { REFUSE: '7' } })).toEqual({
      code: 6,
      stdout: 'list:out: 1 rows delivered, 1 refused again\n',
      stderr: '',
    })
    expect(await millrace([...redrive, '--json'], { cwd })).toEqual({
      code: 0,
      stdout: '{"redriven":1,"refused":0}\n',
      stderr: '',
    })
    expect((await written()).slice(-2)).toEqual([1234, 7])
    expect(new Set(await written()).size).toBe(ROWS)
    expect(await millrace(['dead-letters', 'list', job_id], { cwd })).toEqual({ code: 0, stdout: '', stderr: '' })
    const { stdout } = await millrace(['show', job_id, '--json'], { cwd })
    expect(JSON.parse(stdout).destinations).toMatchObject([{ delivered: ROWS, dead_lettered: 0 }])
  })

  it('says what is wrong with the arguments, and keeps a file that is there', async () => {
    const { job_id } = await run({})
    await writeFile(join(cwd, 'kept.jsonl'), 'kept')
    const list = ['dead-letters', 'list', job_id, '--output', 'kept.jsonl']
    expect(await millrace([...list, '--to', 'list:other'], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`job ${job_id} does not deliver to list/other, but to list/out`),
    })
    expect(await readFile(join(cwd, 'kept.jsonl'), 'utf8')).toBe('kept')
    expect(await millrace(['dead-letters', 'list', job_id, '--output', 'no/folder'], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--output: cannot be written: ENOENT'),
    })
    expect(await millrace(['dead-letters', 'list', 'nope'], { cwd })).toMatchObject({ code: 3 })
    expect(await millrace(['dead-letters', 'redrive', job_id, '--to', 'list:x'], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--to: must name a sink of the configuration'),
    })
    expect(await millrace(['dead-letters', 'redrive', job_id], { cwd })).toMatchObject({ code: 2 })
  })
})

describe('millrace retry', () => {
  it('goes on with a failed job to its end', async () => {
    const failed = await run({ BROKEN: '1' })
    expect(failed).toMatchObject({ status: 'failed', error_code: 'destination_misconfigured' })
    expect(failed.error_message).toBe('list/out: no longer there')
    const { job_id } = failed
    const again = await millrace(['retry', job_id], { cwd, env: { BROKEN: '1' } })
    expect(again).toMatchObject({ code: 6, stdout: expect.stringContaining('list/out: no longer there') })
    const { code, stdout } = await millrace(['retry', job_id, '--json'], { cwd })
    expect(code).toBe(0)
    expect(lastJob(stdout)).toMatchObject({ job_id, status: 'completed', destinations: [{ delivered: ROWS }] })
    expect(await written()).toHaveLength(ROWS)
    expect(await millrace(['retry', job_id], { cwd })).toMatchObject({
      code: 4,
      stderr: `millrace: job ${job_id} is completed\n`,
    })
  })

  it('without a configuration takes source and destinations from flags, which must be those of the job', async () => {
    await rm(join(cwd, 'taken'), { force: true, recursive: true })
    await writeFile(join(cwd, 'taken'), '')
    const from = ['--from', 'duckdb:events.db']
    const window = ['--table', 'events', '--partition-key', 'id', '--start', '0', '--end', '100']
    const failed = await millrace(['run', ...from, ...window, '--to', 'file:taken', '--json', '--store', 's.sqlite'], {
      cwd,
    })
    expect(failed.code).toBe(6)
    const { job_id } = lastJob(failed.stdout)
    await rm(join(cwd, 'taken'))
    const retry = ['retry', job_id, ...from, '--store', 's.sqlite']
    expect(await millrace(retry, { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--to: is required'),
    })
    expect(await millrace([...retry, '--to', 'file:other'], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no sink file/taken is registered'),
    })
    expect(await millrace([...retry, '--to', 'file:taken'], { cwd })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^completed after .*\n {2}file:taken: 100 rows/),
    })
  })
})

describe('millrace redeliver', () => {
  it('delivers once more, and to a destination that the job did not have', async () => {
    const { job_id } = await run({})
    const again = await millrace(['redeliver', job_id, '--to', 'list:out', '--chunks', '0-1'], { cwd })
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^completed/) })
    expect(await written()).toHaveLength(2 * ROWS)
    expect(await millrace(['redeliver', job_id, '--to', 'file:files'], { cwd })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('  file:files: 2,000 rows'),
    })
    expect((await readdir(join(cwd, 'out'))).every(name => name.startsWith(job_id))).toBe(true)
    for (const chunks of ['1', '0-', 'a-b', '0-9'])
      expect(await millrace(['redeliver', job_id, '--to', 'list:out', '--chunks', chunks], { cwd })).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('chunks: must be '),
      })
  })
})

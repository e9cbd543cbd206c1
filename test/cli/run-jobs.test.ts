import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Job } from '../../src/core/job.ts'
import { millrace, type Running } from './cli.ts'
import { createEvents, WITH_ORIGIN } from './events.ts'

const ROWS = 40_000
const WINDOW = ['--table', 'events', '--partition-key', 'id', '--start', '0', '--end', String(ROWS)]
const FROM = ['--from', 'duckdb:events.db', ...WINDOW]

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-jobs-'))
  await createEvents(cwd, 2 * ROWS, WITH_ORIGIN)
  await writeFile(join(cwd, 'millrace.config.ts'), CONFIG)
})
afterAll(() => rm(cwd, { recursive: true }))
beforeEach(() => rm(join(cwd, 'out'), { recursive: true, force: true }))

/** The file sink, but one that never comes to an end with a write while `HANG` is set. */
const CONFIG = `
  import { fileSink } from '${new URL('../../src/sinks/file.ts', import.meta.url)}'
  import { duckdbSource } from '${new URL('../../src/sources/duckdb.ts', import.meta.url)}'
  import { defineConfig } from '${new URL('../../src/cli/config.ts', import.meta.url)}'

  const hanging = {
    type: 'file',
    name: 'out',
    open: async () => ({
      write: (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      async close() {},
    }),
  }
  export default defineConfig({
    source: duckdbSource({ database: 'events.db', tables: { events: { partitionKeys: ['id'] } } }),
    sinks: [process.env.HANG ? hanging : fileSink({ name: 'out', dir: 'out' })],
    leaseMs: 1_000,
    cancelGraceMs: Number(process.env.GRACE_MS ?? 100),
  })`

describe('millrace run', () => {
  it('delivers a window of a DuckDB table to files and elsewhere, from flags alone', async () => {
    const { code, stdout, stderr } = await millrace(['run', ...FROM, '--to', 'file:out', '--to', 'null:'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^completed after .*\n {2}file:out: 40,000 rows \(.* MB\) delivered\n {2}null:null: 40,000 rows/,
    )
    expect(stderr).toMatch(/^job [0-9a-f-]{36}\nstaging\n(transporting: .*\n)*completed: 80 K rows/)
    const rows = await readRows()
    expect(rows.length).toBe(ROWS)
    expect(new Set(rows.map(row => row.id)).size).toBe(ROWS)
    expect(rows.find(row => row.id === 39_999)).toEqual({ id: 39_999, origin: 'origin 9' })
  })

  it('writes rows to standard output, and all else elsewhere', async () => {
    for (const [flags, outcome] of [
      [[], /\ncompleted after .*\n {2}stdout:stdout: 40,000 rows \(.* MB\) delivered\n$/],
      [['--json'], /\n\{.*"status":"completed".*\}\n$/],
    ] as const) {
      const { code, stdout, stderr } = await millrace(['run', ...FROM, ...flags, '--to', 'stdout:'], { cwd })
      expect([code, stderr]).toEqual([0, expect.stringMatching(outcome)])
      const ids = stdout
        .trimEnd()
        .split('\n')
        .map(line => (JSON.parse(line) as { readonly id: number }).id)
      expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: ROWS }, (_, id) => id))
    }
  })

  it('filters by values from the command line and from a file', async () => {
    await millrace(['run', ...FROM, '--filter', 'origin=origin 1,origin 2', '--to', 'file:out'], { cwd })
    expect((await readRows()).map(row => row.id % 10)).toEqual(expect.arrayContaining([1, 2]))
    expect((await readRows()).length).toBe(ROWS / 5)

    await rm(join(cwd, 'out'), { recursive: true })
    const ids = Array.from({ length: 12_000 }, (_, index) => index * 3)
    await writeFile(join(cwd, 'ids.txt'), ids.join('\n'))
    const { stdout } = await millrace(['run', ...FROM, '--filter-file', 'id=ids.txt', '--to', 'file:out', '--json'], {
      cwd,
    })
    expect(jobsOf(stdout).at(-1)).toMatchObject({
      filter_column: 'id',
      filter_values: null,
      filter_values_ref: expect.stringMatching(/^sha256:/),
    })
    expect((await readRows()).map(row => row.id).sort((a, b) => a - b)).toEqual(ids)
  })

  it('takes a request from a file or standard input, a configuration, and prints lines of JSON', async () => {
    const request = {
      table: 'events',
      backfill_window: { start: 0, end: 500 },
      destinations: [{ type: 'file', name: 'out' }],
    }
    await writeFile(join(cwd, 'request.json'), JSON.stringify(request))
    const { code, stdout } = await millrace(['run', 'request.json', '--job-name', 'first rows', '--json'], { cwd })
    expect(code).toBe(0)
    const jobs = jobsOf(stdout)
    expect(jobs[0]).toMatchObject({ status: 'staging', job_name: 'first rows', backfill_start: 0, backfill_end: 500 })
    expect(jobs.at(-1)).toMatchObject({ status: 'completed', destinations: [{ delivered: 500 }] })

    const more = await millrace(['run', '-', '--end', '700', '--to', 'file:out', '--json'], {
      cwd,
      stdin: JSON.stringify(request),
    })
    expect(jobsOf(more.stdout).at(-1)).toMatchObject({
      partition_key: 'id',
      backfill_end: '700',
      destinations: [{ delivered: 700 }],
    })
  })

  it('names the flags that the engine finds wrong', async () => {
    const window = ['--table', 'events', '--partition-key', 'id', '--start', '9', '--end', '2001-01-01']
    const args = ['--from', 'duckdb:events.db', ...window, '--filter', 'nope=1', '--to', 'null:']
    const { code, stdout, stderr } = await millrace(['run', ...args], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^millrace: cannot do that:\n {2}--end: .*\n {2}--filter: unknown column nope/)
  })

  it('answers with the code of the error that a job failed with', async () => {
    await writeFile(join(cwd, 'taken'), '')
    const { code, stdout } = await millrace(['run', ...FROM, '--to', 'file:taken'], { cwd })
    expect(code).toBe(6)
    expect(stdout).toMatch(/^failed after .*taken is a file\n {2}file:taken: 0 rows/)
  })
})

describe('millrace run, interrupted,', () => {
  it('cancels the job at Ctrl-C', async () => {
    const run = millrace(['run', ...WINDOW, '--to', 'file:out', '--json'], { cwd, env: { HANG: '1' } })
    const job = await transporting(run)
    run.process.kill('SIGINT')
    const { code, stdout, stderr } = await run
    expect(code).toBe(130)
    expect(stderr).toContain('cancelling: waiting for what is in flight; press Ctrl-C again to leave at once\n')
    expect(jobsOf(stdout).at(-1)).toMatchObject({ job_id: job.job_id, status: 'cancelled', cancel_requested: true })
    expect(await readdir(join(cwd, '.millrace/staging'))).toEqual([])
  })

  it('leaves at once at the second Ctrl-C', async () => {
    const run = millrace(['run', ...WINDOW, '--to', 'file:out', '--json'], {
      cwd,
      env: { HANG: '1', GRACE_MS: '600000' },
    })
    const { job_id } = await transporting(run)
    run.process.kill('SIGINT')
    await seen(run, 'stderr', /cancelling/)
    run.process.kill('SIGINT')
    expect(await run).toMatchObject({
      code: 130,
      stderr: expect.stringContaining(`"millrace cancel ${job_id} --wait"`),
    })
    expect(await readdir(join(cwd, '.millrace/staging'))).toHaveLength(1)

    const cancel = await millrace(['cancel', job_id, '--wait'], { cwd })
    expect(cancel).toMatchObject({ code: 0, stderr: `no process runs job ${job_id}: ended it here\n` })
    expect(await readdir(join(cwd, '.millrace/staging'))).toEqual([])
  })

  it('leaves the job at SIGTERM, for --resume to go on with', async () => {
    const left = millrace(['run', ...WINDOW, '--to', 'file:out', '--json'], { cwd, env: { HANG: '1' } })
    const { job_id } = await transporting(left)
    left.process.kill('SIGTERM')
    expect(await left).toMatchObject({ code: 143, stderr: expect.stringContaining(`--resume ${job_id}`) })

    const elsewhere = await millrace(['run', '--resume', job_id, ...FROM, '--to', 'file:elsewhere'], { cwd })
    expect(elsewhere).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`job ${job_id} goes from table events to file:out: resume it with`),
    })

    const resumed = await millrace(['run', '--resume', job_id, '--json'], { cwd })
    expect(resumed.code).toBe(0)
    expect(jobsOf(resumed.stdout).at(-1)).toMatchObject({
      job_id,
      status: 'completed',
      destinations: [{ delivered: ROWS }],
    })
    expect((await readRows()).length).toBe(ROWS)

    const again = await millrace(['run', '--resume', job_id], { cwd })
    expect(again).toMatchObject({ code: 4, stderr: `millrace: job ${job_id} is already completed\n` })
  })
})

function jobsOf(stdout: string): Job[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
}

async function transporting(run: Running): Promise<Job> {
  const line = await seen(run, 'stdout', /^.*"status":"transporting".*$/m)
  return JSON.parse(line)
}

/** What a stream says first that matches. */
function seen({ process }: Running, name: 'stdout' | 'stderr', pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    process[name]?.on('data', chunk => {
      text += chunk
      const [match] = pattern.exec(text) ?? []
      if (match !== undefined) resolve(match)
    })
    process.on('close', () => reject(new Error(`the command ended: ${text}`)))
  })
}

async function readRows(): Promise<{ id: number; origin: string }[]> {
  const names = await readdir(join(cwd, 'out'))
  const texts = await Promise.all(names.map(name => readFile(join(cwd, 'out', name), 'utf8')))
  return texts.flatMap(text =>
    text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line)),
  )
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showText } from '../../src/cli/show.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { millrace } from './cli.ts'
import { sampleDestination, sampleJob } from './job.ts'
import { IDS, storeJobs } from './stored-jobs.ts'

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-show-'))
  const store = sqliteStore({ path: join(cwd, 'jobs.sqlite') })
  await storeJobs(store)
  await store.close()
})
afterAll(() => rm(cwd, { recursive: true }))

describe('showText', () => {
  it('tells of the job and of every destination', () => {
    const job = sampleJob({
      job_name: 'flights of January',
      status: 'failed',
      filter_column: 'origin',
      filter_values: ['SFO', 'OAK'],
      filter_values_count: 2,
      error_code: 'delivery_failed',
      error_message: 'kafka/rows: too large',
      time_completed: '2026-03-01T12:02:00.000Z',
      destinations: [
        sampleDestination({ status: 'completed', chunks_left: 0, filtered: 1_000 }),
        sampleDestination({
          type: 'kafka',
          name: 'rows',
          status: 'failed',
          dead_lettered: 3,
          error_message: 'too large',
        }),
      ],
    })
    expect(showText(job, Date.parse('2026-03-01T12:03:05Z')).split('\n')).toEqual([
      'job      0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90',
      'name     flights of January',
      'status   failed',
      'error    kafka/rows: too large (delivery_failed)',
      'table    flights',
      'window   2001-01-01 <= date < 2001-02-01',
      'filter   origin is one of 2 values',
      'chunks   12 of 40 left',
      'created  2026-03-01T12:00:00.000Z (3 min 5 s ago)',
      'ended    2026-03-01T12:02:00.000Z',
      '',
      'DESTINATION  STATUS          ROWS    BYTES  FILTERED  REFUSED  CHUNKS LEFT',
      'file:out     completed  1,234,567  45.2 MB     1,000        0            0',
      'kafka:rows   failed     1,234,567  45.2 MB         0        3           12  too large',
      '',
    ])
  })

  it('leaves out what is not known yet, and names a value set', () => {
    const text = showText(
      sampleJob({
        status: 'staging',
        num_chunks: null,
        chunks_left: null,
        filter_column: 'origin',
        filter_values_ref: 'sha256:00',
        destinations: [sampleDestination({ status: 'pending', chunks_left: null })],
      }),
      0,
    )
    expect(text).toContain('filter   origin is one of the values sha256:00\n')
    expect(text).not.toMatch(/chunks {3}|ended|error|name/)
  })
})

describe('millrace show', () => {
  it('shows a job of the store', async () => {
    const { code, stdout } = await millrace(['show', IDS.moving, '--store', 'jobs.sqlite'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain('status   transporting\n')
    expect(stdout).toMatch(/^file:out +pending +1,200 +45.2 kB +34 +0 +1$/m)
  })

  it('prints it as JSON, from the store of a configuration', async () => {
    const sqlite = JSON.stringify(new URL('../../src/stores/sqlite.ts', import.meta.url))
    const config = `import { sqliteStore } from ${sqlite}
      export default { source: {}, sinks: [], store: sqliteStore({ path: 'jobs.sqlite' }) }`
    await writeFile(join(cwd, 'millrace.config.ts'), config)
    const { code, stdout } = await millrace(['show', IDS.failed, '--json'], { cwd })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ job_id: IDS.failed, error_message: 'the warehouse is asleep' })
  })

  it('answers 3 for a job that is not there', async () => {
    expect(await millrace(['show', 'nope', '--store', 'jobs.sqlite'], { cwd })).toEqual({
      code: 3,
      stdout: '',
      stderr: 'millrace: there is no job nope in this store\n',
    })
  })
})

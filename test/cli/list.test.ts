import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listText } from '../../src/cli/list.ts'
import { DEFAULT_STORE_PATH, sqliteStore } from '../../src/stores/sqlite.ts'
import { millrace } from './cli.ts'
import { sampleDestination, sampleJob } from './job.ts'
import { IDS, storeJobs } from './stored-jobs.ts'

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-list-'))
  const store = sqliteStore({ path: join(cwd, DEFAULT_STORE_PATH) })
  await storeJobs(store)
  await store.close()
})
afterAll(() => rm(cwd, { recursive: true }))

describe('listText', () => {
  it('has a line per job, with the rows of all its destinations', () => {
    const jobs = [
      sampleJob({ cancel_requested: true, destinations: [sampleDestination(), sampleDestination({ delivered: 1 })] }),
      sampleJob({ status: 'staging', chunks_left: null, destinations: [sampleDestination({ delivered: 0 })] }),
    ]
    const id = '0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90'
    expect(listText(jobs, Date.parse('2026-03-01T12:03:05Z')).split('\n')).toEqual([
      'ID                                    STATUS                    TABLE         ROWS  CHUNKS LEFT  AGE',
      `${id}  transporting, cancelling  flights  1,234,568           12  3 min 5 s`,
      `${id}  staging                   flights          0            -  3 min 5 s`,
      '',
    ])
  })

  it('says so when there are none', () => {
    expect(listText([], 0)).toBe('no jobs\n')
  })
})

describe('millrace list', () => {
  it('lists the jobs of the store here, newest first', async () => {
    const { code, stdout, stderr } = await millrace(['list'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map(line => line.split(/ {2,}/).slice(0, 5))).toEqual([
      ['ID', 'STATUS', 'TABLE', 'ROWS', 'CHUNKS LEFT'],
      [IDS.failed, 'failed', 'flights', '0', '-'],
      [IDS.moving, 'transporting', 'transfers', '1,200', '1'],
      [IDS.waiting, 'staging', 'flights', '0', '-'],
    ])
  })

  it('lists by status, table and number, as JSON in the words of the API', async () => {
    const { stdout } = await millrace(['list', '--json', '--table', 'flights', '--limit', '1'], { cwd })
    expect(JSON.parse(stdout)).toMatchObject([
      {
        job_id: IDS.failed,
        table: 'flights',
        status: 'failed',
        error_code: 'source_failed',
        filter_values: ['SFO', 'OAK'],
      },
    ])
    const staging = await millrace(['list', '--json', '--status', 'staging'], { cwd })
    expect(JSON.parse(staging.stdout)).toMatchObject([{ job_id: IDS.waiting }])
  })

  it('names every wrong flag at once', async () => {
    expect(await millrace(['list', '--status', 'done', '--limit', '0'], { cwd })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'millrace: cannot do that:\n' +
        '  --status: must be one of staging, transporting, completed, failed, cancelled\n' +
        '  --limit: must be a whole number above 0\n',
    })
  })

  it('does not make a store where there is none', async () => {
    const first = await millrace(['list', '--store', 'elsewhere.sqlite'], { cwd })
    expect(first).toEqual({
      code: 3,
      stdout: '',
      stderr: 'millrace: there is no job store elsewhere.sqlite: say where with --store\n',
    })
    expect(await millrace(['list', '--store', 'elsewhere.sqlite'], { cwd })).toEqual(first)
  })
})

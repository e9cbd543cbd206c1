import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { millrace } from './cli.ts'
import { createEvents, WITH_ORIGIN } from './events.ts'

const FLAGS = ['--from', 'duckdb:events.db', '--table', 'events', '--partition-key', 'id', '--to', 'file:out']

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-dry-run-'))
  await createEvents(cwd, 40_000, WITH_ORIGIN)
})
afterAll(() => rm(cwd, { recursive: true }))

describe('millrace run --dry-run', () => {
  it('says what would be staged, how, and what a row would look like, and delivers nothing', async () => {
    const args = ['run', ...FLAGS, '--start', '7', '--end', '8', '--dry-run']
    const { code, stdout, stderr } = await millrace(args, { cwd })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^rows {3}1\nfiles {2}about 1\nbytes {2}about .*B\n\nCOPY \(SELECT .* WHERE t\."id" >= .*\);\n\n/,
    )
    expect(stdout).toContain('\nCOLUMN  TYPE     STAGED AS\nid      BIGINT   id\norigin  VARCHAR  origin\n')
    expect(stdout).toMatch(/\na row for file:out\n {2}payload {2}\{"id":7,"origin":"origin 7"\}\n$/)
    expect(await readdir(cwd)).not.toContain('out')
  })

  it('is JSON with --json', async () => {
    const args = ['run', ...FLAGS, '--start', '0', '--end', '40000', '--dry-run', '--json']
    const { stdout } = await millrace(args, { cwd })
    expect(JSON.parse(stdout)).toMatchObject({
      estimate: { rows: 40_000, columns: [{ name: 'id' }, { name: 'origin' }] },
      samples: [{ type: 'file', name: 'out', key: null, payload: expect.stringMatching(/^\{"id":/) }],
    })
  })

  it('refuses what a run would refuse', async () => {
    const { code, stderr } = await millrace(['run', ...FLAGS, '--start', '8', '--end', '7', '--dry-run'], { cwd })
    expect([code, stderr]).toEqual([2, expect.stringContaining('must be after start')])
    const resumed = await millrace(['run', '--dry-run', '--resume', 'x', ...FLAGS], { cwd })
    expect(resumed.stderr).toContain('--dry-run: cannot be combined with --resume')
  })
})

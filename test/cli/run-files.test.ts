import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { millrace } from './cli.ts'

const flights = fileURLToPath(new URL('../../node_modules/vega-datasets/data', import.meta.url))
const WINDOW = ['--partition-key', 'date', '--start', '2001-01-01', '--end', '2001-01-02']

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-run-files-'))
})
afterAll(() => rm(cwd, { recursive: true }))

test('millrace run goes from files to files without a configuration', async () => {
  const from = ['--from', `files:${flights}/flights-3m.par*`, '--filter', 'origin=SFO,OAK']
  const { code, stdout } = await millrace(['run', ...from, ...WINDOW, '--to', 'file:out', '--json'], { cwd })
  expect(code).toBe(0)
  const job = JSON.parse(stdout.trimEnd().split('\n').at(-1)!)
  expect(job).toMatchObject({ status: 'completed', table: 'files', num_chunks: 1 })
  const [file] = (await readdir(join(cwd, 'out'))).filter(name => name.endsWith('.jsonl'))
  const rows = (await readFile(join(cwd, 'out', file!), 'utf8')).trimEnd().split('\n')
  expect(rows[0]).toBe('{"date":"2001-01-01T00:22:00Z","delay":-13,"distance":1736,"origin":"SFO","destination":"STL"}')
  // counted by DuckDB
  expect(rows).toHaveLength(478)
})

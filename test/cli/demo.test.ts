import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkFiles } from '../../src/cli/demo/check.ts'
import { demoRun } from '../../src/cli/demo/sample.ts'
import { demoWarehouse, TRANSFERS, USDC } from '../../src/cli/demo/warehouse.ts'
import { millrace } from './cli.ts'

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-demo-'))
})

afterEach(() => rm(dir, { recursive: true, force: true }))

test('the demo backfills real flights, and finds in the files what the warehouse has', async () => {
  const { stdout, code } = await millrace(['demo', '--rows', '1000', '--dir', dir], { cwd: dir })
  expect(code).toBe(0)
  expect(stdout).toContain('file:demo: 128,248 rows')
  const [warehouse, files] = [...stdout.matchAll(/(?:warehouse|files): +128,248 rows, checksum (\d+)/g)].map(
    match => match[1],
  )
  expect(warehouse).toMatch(/^\d{10,}$/)
  expect(files).toBe(warehouse)
  const out = await readdir(join(dir, 'out'))
  const first = (await readFile(join(dir, 'out', out[0]!), 'utf8')).split('\n', 1)[0]!
  expect(JSON.parse(first)).toMatchObject({
    date: expect.stringMatching(/^2001-0[1-6]-\d\dT/),
    origin: expect.stringMatching(/^(SFO|OAK|SJC)$/),
  })
})

test('where there are no flights it takes the made-up transfers, the same on every machine', async () => {
  const warehouse = await demoWarehouse(join(dir, 'warehouse.duckdb'), 1_000)
  const { request, sql } = await demoRun({}, { ...warehouse, flights: false }, join(dir, 'out'))
  expect(request).toMatchObject({ table: TRANSFERS, filter: { column: 'token_address', values: [USDC] } })
  expect(sql).toContain('FROM erc20_token_transfers')
})

test('the check tells a row that is missing, doubled or different', async () => {
  const { path } = await demoWarehouse(join(dir, 'warehouse.duckdb'), 1_000)
  const query =
    'SELECT log_index, block_timestamp, usd_amount FROM erc20_token_transfers WHERE block_number = 27000003 ORDER BY log_index'
  const rows = Array.from({ length: 100 }, (_, index) => index + 300)
  const file = join(dir, 'rows.jsonl')
  const amounts = await readAmounts(path, query)
  const lines = rows.map(
    (log_index, index) =>
      `{"log_index":${log_index},"block_timestamp":"2026-03-01T00:00:06Z","usd_amount":${amounts[index]}}\n`,
  )
  const said: string[] = []
  const check = (): Promise<boolean> => checkFiles(path, query, dir, text => said.push(text))

  await writeFile(file, lines.join(''))
  expect(await check()).toBe(true)
  await appendFile(file, lines[0]!)
  expect(await check()).toBe(false)
  await writeFile(file, lines.slice(1).join(''))
  expect(await check()).toBe(false)
  await writeFile(file, lines.join('').replace('"log_index":350', '"log_index":351'))
  expect(await check()).toBe(false)
  expect(said.filter(line => line.endsWith('equal'))).toHaveLength(1)
})

async function readAmounts(path: string, query: string): Promise<unknown[]> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  const rows = (await connection.runAndReadAll(query)).getRowObjectsJS()
  connection.closeSync()
  instance.closeSync()
  return rows.map(row => row['usd_amount'])
}

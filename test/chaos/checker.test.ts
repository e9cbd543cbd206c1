/** The judge of the chaos runs has to notice what it is there for. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { askChecker } from './campaign.ts'
import { expectedPayloads, makeTable } from './table.ts'

const WINDOW = { start: '2026-03-01T01:00:00.000Z', end: '2026-03-01T01:00:10.000Z' }
const FIRST_ID = 3_600

let dir: string
let database: string
let payloads: readonly string[]

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-checker-'))
  database = join(dir, 'warehouse.duckdb')
  await makeTable(database)
  payloads = [...(await expectedPayloads(database, WINDOW)).values()]
})

afterAll(() => rm(dir, { recursive: true, force: true }))

async function judged(text: string) {
  await writeFile(join(dir, 'part.jsonl'), text)
  return (await askChecker({ database, window: WINDOW, destinations: [{ type: 'file', dir }] }))[0]
}

const lines = (rows: readonly string[]): string => rows.map(row => `${row}\n`).join('')
const right = { type: 'file', staged: 10, delivered: 10, lost: 0, wrong: 0, unstaged: 0, duplicated: 0 }

test('rows that all arrived once, in any order, are right', async () => {
  expect(payloads).toHaveLength(10)
  expect(await judged(lines(payloads.toReversed()))).toEqual(right)
})

test('a row that is missing is lost', async () => {
  expect(await judged(lines(payloads.slice(1)))).toEqual({ ...right, delivered: 9, lost: 1 })
})

test('a row that came again is counted, and is not taken for a missing one', async () => {
  const rows = [payloads[1]!, ...payloads.slice(1)]
  expect(await judged(lines(rows))).toEqual({ ...right, delivered: 9, lost: 1, duplicated: 1 })
})

test('a row with another value is wrong, and lost', async () => {
  const changed = payloads[4]!.replace('"amount":', '"amount":1')
  expect(await judged(lines([changed, ...payloads.filter((_, index) => index !== 4)]))).toEqual({
    ...right,
    delivered: 9,
    lost: 1,
    wrong: 1,
  })
})

test('a row from outside of the window, and half a line, were never staged', async () => {
  const outside = payloads[0]!.replace(`"id":${FIRST_ID}`, `"id":${FIRST_ID - 1}`)
  expect(await judged(`${lines(payloads)}${outside}\n{"id":36`)).toEqual({ ...right, unstaged: 2 })
})

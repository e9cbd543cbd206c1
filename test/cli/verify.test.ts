import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { receiptText } from '../../src/cli/receipt.ts'
import { verifyText } from '../../src/cli/verify.ts'
import type { DestinationReceipt } from '../../src/core/receipt.ts'
import type { Verification } from '../../src/core/verify.ts'
import { millrace } from './cli.ts'
import { createEvents } from './events.ts'

const CONFIG = `
import { duckdbSource } from ${JSON.stringify(new URL('../../src/sources/duckdb.ts', import.meta.url))}
import { fileSink } from ${JSON.stringify(new URL('../../src/sinks/file.ts', import.meta.url))}
import { nullSink } from ${JSON.stringify(new URL('../../src/sinks/null.ts', import.meta.url))}
export default {
  source: duckdbSource({ database: 'events.db', tables: { events: { partitionKeys: ['id'] } } }),
  sinks: [fileSink({ name: 'rows', dir: 'out' }), nullSink({ name: 'nowhere' })],
  delivery: { checksums: true },
}`

let cwd: string
let jobId: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-verify-cli-'))
  await createEvents(cwd, 1_000)
  await writeFile(join(cwd, 'millrace.config.ts'), CONFIG)
  const { stdout } = await millrace(
    ['run', '--table', 'events', '--start', '0', '--end', '500', '--to', 'file:rows', '--json'],
    { cwd },
  )
  jobId = JSON.parse(stdout.trim().split('\n').at(-1)!).job_id
})
afterAll(() => rm(cwd, { recursive: true }))

describe('millrace receipt', () => {
  it('shows sums and checksum of a job, and all of it as JSON', async () => {
    const { code, stdout } = await millrace(['receipt', jobId], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^file:rows +completed +500 +500 +0 +0 +4.89 kB +[\da-f]{16}$/m)
    const all = await millrace(['receipt', jobId, '--json'], { cwd })
    const [destination] = JSON.parse(all.stdout).destinations
    expect(destination).toMatchObject({ staged: 500, delivered: 500, differences: [] })
  })

  it('answers 3 for a job that is not there', async () => {
    expect(await millrace(['receipt', 'nope'], { cwd })).toMatchObject({ code: 3, stdout: '' })
  })

  it('says where the rows are, and what does not add up', () => {
    const destination = {
      ...{
        type: 'kafka',
        name: 'rows',
        status: 'failed',
        staged: null,
        delivered: 1_234,
        filtered: 5,
        dead_lettered: 6,
      },
      ...{ bytes: 7_000, checksum: null, differences: [{ chunk: 3, expected: 1_000, settled: 999 }] },
      proof: [
        { partition: 2, first: '0', last: '99' },
        { first: 'a', last: 'b' },
      ],
    } as unknown as DestinationReceipt
    const receipt = { job_id: 'job', status: 'failed', num_chunks: 12, destinations: [destination] }
    expect(receiptText(receipt as unknown as Parameters<typeof receiptText>[0]).split('\n')).toEqual([
      'job     job',
      'status  failed',
      'chunks  12',
      '',
      'DESTINATION  STATUS  STAGED  DELIVERED  FILTERED  REFUSED  BYTES  CHECKSUM',
      'kafka:rows   failed       -      1,234         5        6   7 kB  -',
      '',
      'kafka:rows',
      'chunk 3: 1,000 rows to settle, 999 accounted for',
      'partition 2  offsets 0 to 99',
      'a to b',
      '',
    ])
  })
})

describe('millrace verify', () => {
  it('answers 0 where every row is proven to be there, by the configuration or by a URL', async () => {
    const { code, stdout } = await millrace(['verify', jobId], { cwd })
    expect(stdout).toMatch(/^verdict +proven, by count and sum$/m)
    expect(code).toBe(0)
    expect(await millrace(['verify', jobId, '--to', 'file/rows', '--json'], { cwd })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"verdict": "proven"'),
    })
  })

  it('answers 6 where a row is missing, and says where', async () => {
    const [name] = await readdir(join(cwd, 'out'))
    const lines = (await readFile(join(cwd, 'out', name!), 'utf8')).split('\n')
    await writeFile(join(cwd, 'out', name!), lines.toSpliced(100, 1).join('\n'))
    const { code, stdout } = await millrace(['verify', jobId, '--to', 'file:rows'], { cwd })
    await writeFile(join(cwd, 'out', name!), lines.join('\n'))
    expect(stdout).toContain('wrong: 1 row missing\n  chunk 0: 1 missing\n')
    expect(code).toBe(6)
  })

  it('answers 2 for a destination that the job does not have, or that is not said', async () => {
    const { code, stderr } = await millrace(['verify', jobId, '--to', 'null:nowhere'], { cwd })
    expect(stderr).toContain('--to: must name a destination')
    expect(code).toBe(2)
    const elsewhere = await mkdtemp(join(tmpdir(), 'millrace-verify-cli-'))
    const store = ['--store', join(cwd, '.millrace', 'jobs.sqlite')]
    expect(await millrace(['verify', jobId, ...store], { cwd: elsewhere })).toMatchObject({ code: 2 })
    await rm(elsewhere, { recursive: true })
  })
})

it('a verification is told in words', () => {
  const verification = {
    ...{ type: 'kafka', name: 'rows', verdict: 'wrong', by: 'row ids', checksums: 'not compared' },
    ...{
      delivered: 2_000,
      records: 1_990,
      found: 1_988,
      missing: 12,
      duplicated: 2,
      unexpected: 0,
      ahead: 0,
      others: 0,
    },
    ...{ unreadable: 0, wrong: 1, problems: ['12 rows missing'], not_judged: ['this and that'] },
    places: [
      { first_chunk: 3, last_chunk: 3, missing: 12, missing_rows: [1, 2], unexpected: 0, wrong: false },
      { first_chunk: 4, last_chunk: 5, missing: 0, missing_rows: [], unexpected: 1, wrong: true },
    ],
  } as unknown as Verification
  expect(verifyText(verification).split('\n')).toEqual([
    'destination  kafka:rows',
    'verdict      wrong, by row ids',
    'delivered    2,000',
    'records      1,990',
    'found        1,988',
    'missing      12',
    'duplicated   2',
    'checksums    not compared',
    'wrong: 12 rows missing',
    '  chunk 3: 12 missing (1, 2, ...)',
    '  chunks 4 to 5: 1 unexpected, another sum of checksums',
    'not judged: this and that',
    '',
  ])
})

import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fileSink } from '../../src/sinks/file.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import type { HeldRow, ReadBack, Sink } from '../../src/sinks/sink.ts'
import { finish } from './number-jobs.ts'
import { deliverNumbers, ROWS } from './verify-jobs.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-verify-out-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const GOOD = {
  verdict: 'proven',
  by: 'count and sum',
  problems: [],
  not_judged: [],
  delivered: ROWS,
  records: ROWS,
  found: ROWS,
  missing: 0,
  duplicated: 0,
  unexpected: 0,
  wrong: 0,
  unreadable: 0,
  checksums: 'equal',
  places: [],
}

/** Each line of the second chunk's file, which has 2,000. */
async function editLines(edit: (lines: string[]) => readonly string[]): Promise<void> {
  for (const name of await readdir(dir)) {
    const text = await readFile(join(dir, name), 'utf8')
    const lines = text.split('\n').slice(0, -1)
    if (lines.length >= 2_000)
      await writeFile(
        join(dir, name),
        edit(lines)
          .map(line => `${line}\n`)
          .join(''),
      )
  }
}

describe('files', () => {
  const deliver = () => deliverNumbers({ sink: fileSink({ name: 'out', dir }) })

  test('that are as they were delivered are proof', async () => {
    const { verify, job } = await deliver()
    expect(await verify()).toEqual({
      ...GOOD,
      job_id: job.job_id,
      type: 'file',
      name: 'out',
      delivery: 0,
      ahead: 0,
      others: 0,
    })
  })

  test('a line that is gone is missed, and its chunk named', async () => {
    const { verify } = await deliver()
    await editLines(lines => lines.toSpliced(1_234, 1))
    const result = await verify()
    expect(result).toMatchObject({
      verdict: 'wrong',
      missing: 1,
      found: ROWS - 1,
      records: ROWS - 1,
      unexpected: 0,
      wrong: 0,
    })
    expect(result.problems).toEqual(['1 row missing'])
    expect(result.places).toHaveLength(1)
    expect(result.places[0]).toMatchObject({ missing: 1, wrong: false })
  })

  test('a changed line is found by its checksum', async () => {
    const { verify } = await deliver()
    await editLines(lines => lines.with(1_234, lines[1_234]!.replace('"id":12', '"id":13')))
    expect(await verify()).toMatchObject({
      verdict: 'wrong',
      missing: 0,
      unexpected: 0,
      wrong: 1,
      checksums: 'different',
    })
  })

  test('a line that is there twice is told as that', async () => {
    const { verify } = await deliver()
    await editLines(lines => [...lines, lines[7]!])
    expect(await verify()).toMatchObject({
      verdict: 'proven',
      duplicated: 1,
      records: ROWS + 1,
      found: ROWS,
      checksums: 'equal',
    })
  })

  test('a line of somebody else is unexpected', async () => {
    const { verify } = await deliver()
    await editLines(lines => [...lines, '{"id":1000000,"word":"million"}'])
    expect(await verify()).toMatchObject({ verdict: 'wrong', unexpected: 1, records: ROWS + 1 })
  })

  test('without their last line feed, the last row counts all the same', async () => {
    const { verify } = await deliver()
    for (const name of await readdir(dir)) {
      const text = await readFile(join(dir, name), 'utf8')
      await writeFile(join(dir, name), text.trimEnd())
    }
    expect(await verify()).toMatchObject(GOOD)
  })

  test('that are gone leave their rows missing', async () => {
    const { verify } = await deliver()
    for (const name of await readdir(dir)) await rm(join(dir, name))
    expect(await verify()).toMatchObject({ verdict: 'wrong', missing: ROWS, records: 0, found: 0 })
  })

  test('of other jobs and deliveries, and what is being written, are left alone', async () => {
    const { verify, job } = await deliver()
    const [name] = await readdir(dir)
    const prefix = name!.slice(0, job.job_id.length + 9)
    for (const other of [name!.replace(/^./, 'x'), `${prefix}-d1-000000.jsonl`, `.${name}.1-1.tmp`])
      await appendFile(join(dir, other), '{}\n')
    expect(await verify()).toMatchObject(GOOD)
  })

  test('without checksums their rows are only counted, which is no proof', async () => {
    const { verify } = await deliverNumbers({ sink: fileSink({ name: 'out', dir }), checksums: false })
    expect(await verify()).toMatchObject({ verdict: 'unproven', problems: [], missing: 0, checksums: 'not compared' })
  })

  test('of a redelivery are judged by what that was asked for', async () => {
    const { verify, engine, job } = await deliver()
    await engine.redeliver(job.job_id, { type: 'file', name: 'out', chunks: { from: 1, to: 2 } })
    expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
    expect(await verify()).toMatchObject({ verdict: 'proven', delivery: 1, delivered: 2_000, records: 2_000 })
    for (const name of await readdir(dir)) if (name.includes('-d1-')) await rm(join(dir, name))
    expect(await verify()).toMatchObject({
      verdict: 'wrong',
      missing: 2_000,
      places: [{ first_chunk: 1, last_chunk: 1 }],
    })
  })

  test('a folder that cannot be read is an error, no verdict', async () => {
    const { verify } = await deliver()
    await rm(dir, { recursive: true })
    await expect(verify()).rejects.toMatchObject({ code: 'destination_misconfigured' })
  })
})

test('a sink that does not read back, a destination of no job and an unknown job are errors', async () => {
  const { verify, engine, job } = await deliverNumbers({ sink: memorySink({ name: 'out' }) })
  await expect(verify()).rejects.toMatchObject({ code: 'invalid_request' })
  await expect(engine.verify(job.job_id, { type: 'memory', name: 'other' })).rejects.toMatchObject({
    code: 'invalid_request',
  })
  await expect(engine.verify('nope', { type: 'memory', name: 'out' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(
    engine.verify(job.job_id, { type: 'memory', name: 'out' }, { organization_id: 'x' }),
  ).rejects.toMatchObject({
    code: 'not_found',
  })
})

describe('a destination of which not everything can be read', () => {
  /** Reads back the rows that were delivered, after an edit, and what the test says. */
  async function verdictOn(
    edit: (rows: readonly HeldRow[]) => readonly HeldRow[],
    pieces: readonly ReadBack[],
    checksums = true,
  ) {
    const memory = memorySink({ name: 'out' })
    const sink: Sink = {
      ...memory,
      async *readBack() {
        const rows = memory.rows().map(row => {
          const { id: at } = row as { readonly id: number }
          const [chunk, place] = at < 3 ? [0, at] : at < 2_003 ? [1, at - 3] : [2, at - 2_003]
          const id = checksums ? null : Buffer.from(`${jobId}-${chunk}-${place}`)
          return { payload: Buffer.from(JSON.stringify(row)), key: null, id, proven: true }
        })
        yield { rows: edit(rows) }
        yield* pieces
      },
    }
    const { verify, job } = await deliverNumbers({ sink, checksums, unitsInFlight: 1 })
    const jobId = job.job_id
    return verify()
  }

  const gone = { unreadable: 3, reason: 'compacted' }

  test('may have had the rows that are missing', async () => {
    expect(await verdictOn(rows => rows.slice(3), [gone])).toMatchObject({
      ...{ verdict: 'unproven', problems: [], missing: 0, unreadable: 3, found: ROWS - 3, checksums: 'not compared' },
      not_judged: ['3 rows missing, or only not to be read any more', 'compacted'],
    })
  })

  test('had no more of them than places that cannot be read', async () => {
    expect(await verdictOn(rows => rows.slice(5), [gone])).toMatchObject({
      ...{ verdict: 'wrong', problems: ['2 rows missing'], missing: 2, unreadable: 3, found: ROWS - 5 },
    })
  })

  test('is not called wrong where other rows make up the number', async () => {
    const result = await verdictOn(rows => [...rows.slice(3), ...rows.slice(-3)], [gone])
    expect(result).toMatchObject({ verdict: 'unproven', wrong: 0, missing: 0, checksums: 'not compared' })
    expect(result.not_judged).toEqual(['which rows are there: 3 rows cannot be read any more', 'compacted'])
  })

  test('is judged by every row where ids show that all are there', async () => {
    const result = await verdictOn(rows => rows, [gone], false)
    expect(result).toMatchObject({ by: 'row ids', missing: 0, unreadable: 0, found: ROWS, problems: [] })
    expect(result.not_judged).toEqual([expect.stringContaining('no checksums')])
  })

  test('and what its sink has to say besides is a problem', async () => {
    expect(await verdictOn(rows => rows, [{ unreadable: 0, reason: 'made anew' }])).toMatchObject({
      ...{ verdict: 'wrong', problems: ['made anew'] },
    })
  })
})

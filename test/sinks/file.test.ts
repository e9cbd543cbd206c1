import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileSink } from '../../src/sinks/file.ts'
import { testSink } from '../../src/testing/sink.ts'
import {
  checkpoint,
  deliver,
  openSession,
  type TestRow,
  testJob,
  testRows,
  testUnit,
  writeRows,
} from '../../src/testing/sink-driver.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-file-sink-'))
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

describe('fileSink keeps the contract', () => {
  let count = 0
  const dirs = new Map<unknown, string>()
  const tests = testSink({
    create() {
      const dir = join(root, String(count++))
      const sink = fileSink({ name: 'test', dir })
      dirs.set(sink, dir)
      return sink
    },
    read: async sink => readLines(dirs.get(sink)!),
  })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('fileSink', () => {
  it('names a file by job, destination and unit, and by where it starts behind a pause', async () => {
    const { dir, job } = fixture()
    const session = await openSession(job)
    await deliver(session, testUnit(job, 0), testRows(2))
    await deliver(session, testUnit(job, 12), testRows(2))
    await session.begin?.(testUnit(job, 3))
    for (const [rows, end] of [[testRows(100), 8_192] as const, [testRows(100), 16_384] as const]) {
      await writeRows(session, testUnit(job, 3), rows)
      await session.commit?.(testUnit(job, 3), [checkpoint(3, end, false)])
    }
    await session.close()
    const prefix = `${job.jobId}-3f0c6a52`
    expect((await readdir(dir)).sort()).toEqual([
      `${prefix}-000000.jsonl`,
      `${prefix}-000003.jsonl`,
      `${prefix}-000003_0000008192.jsonl`,
      `${prefix}-000012.jsonl`,
    ])
  })

  it('keeps a redelivery apart', async () => {
    const { dir, job } = fixture()
    const session = await openSession(job)
    const unit = { ...testUnit(job, 0), id: `${job.jobId}/uid/2/0`, delivery: 2 }
    await deliver(session, unit, testRows(2))
    await session.close()
    expect(await readdir(dir)).toEqual([`${job.jobId}-3f0c6a52-d2-000000.jsonl`])
  })

  it('lets nothing of a name out of its directory', async () => {
    const { dir, job } = fixture()
    const evil = { ...job, jobId: '../../evil' }
    const session = await openSession(evil)
    await deliver(session, testUnit(evil, 0), testRows(1))
    await session.close()
    expect(await readdir(dir)).toEqual(['______evil-3f0c6a52-000000.jsonl'])
  })

  it('shows no file before the commit', async () => {
    const { dir, job } = fixture()
    const session = await openSession(job)
    const unit = testUnit(job, 0)
    await session.begin?.(unit)
    await writeRows(session, unit, testRows(10))
    expect(await readdir(dir)).toEqual([expect.stringMatching(/^\..*-000000\.1-1\.tmp$/)])
    await session.commit?.(unit, [checkpoint(0, 10, true)])
    expect(await readdir(dir)).toEqual([`${job.jobId}-3f0c6a52-000000.jsonl`])
    await session.close()
  })

  it('writes a batch again over what a failed write left behind', async () => {
    const { dir, job } = fixture()
    const session = await openSession(job)
    const unit = testUnit(job, 0)
    await session.begin?.(unit)
    await writeRows(session, unit, testRows(10).slice(0, 5))
    const [temporary] = await readdir(dir)
    await writeFile(join(dir, temporary!), 'half a row of a write that failed'.repeat(100), { flag: 'a' })
    await writeRows(session, unit, testRows(10).slice(5))
    await session.commit?.(unit, [checkpoint(0, 10, true)])
    await session.close()
    expect(await readLines(dir)).toEqual(json(testRows(10)))
  })

  it('removes the temporaries of earlier attempts at the unit, and no others', async () => {
    const { dir, job } = fixture()
    await mkdir(dir)
    const base = `.${job.jobId}-3f0c6a52`
    const stale = [`${base}-000001.1-9.tmp`, `${base}-000001.2-1.tmp`, `${base}-000001.2-2.tmp`]
    const others = [`${base}-000001.2-3.tmp`, `${base}-000001.3-1.tmp`, `${base}-000011.1-1.tmp`, 'notes.tmp']
    for (const name of [...stale, ...others]) await writeFile(join(dir, name), 'x')
    job.leaseEpoch = 2
    const session = await openSession(job)
    await deliver(session, testUnit(job, 1, { attempt: 2 }), testRows(1))
    await session.close()
    expect((await readdir(dir)).filter(name => name.endsWith('.tmp')).sort()).toEqual(others.sort())
  })

  it('does not let an owner that was taken for dead overwrite what its successor wrote', async () => {
    const { dir, job } = fixture()
    const late = await openSession(job)
    const lateUnit = testUnit(job, 0)
    await late.begin?.(lateUnit)
    await writeRows(late, lateUnit, testRows(10))
    job.leaseEpoch++
    const session = await openSession(job)
    await deliver(session, testUnit(job, 0, { attempt: 2 }), testRows(1_000))
    await session.close()
    await expect(late.commit?.(lateUnit, [checkpoint(0, 10, false)])).rejects.toMatchObject({
      code: 'destination_unavailable',
    })
    await late.close()
    expect(await readLines(dir)).toEqual(json(testRows(1_000)))
  })

  it('refuses a second commit after one that failed', async () => {
    const { dir, job } = fixture()
    const session = await openSession(job)
    const unit = testUnit(job, 0)
    await session.begin?.(unit)
    await writeRows(session, unit, testRows(10))
    await rm(dir, { recursive: true })
    await expect(session.commit?.(unit, [])).rejects.toThrow(/cannot complete .*000000\.jsonl/)
    await expect(session.commit?.(unit, [])).rejects.toThrow('has not begun, or its commit failed')
    await session.close()
  })

  it('probes a directory that is still to be made without making it', async () => {
    const { dir, job } = fixture('a/b/c')
    const session = await openSession(job, true)
    await session.close()
    expect(existsSync(join(root, 'a'))).toBe(false)
    await (await openSession(job)).close()
    expect(existsSync(dir)).toBe(true)
  })

  it('says in the probe that a file is in the way', async () => {
    await writeFile(join(root, 'taken'), '')
    for (const path of ['taken', 'taken/below'])
      await expect(openSession(fixture(path).job, true)).rejects.toMatchObject({
        code: 'destination_misconfigured',
        retryable: false,
        message: expect.stringContaining(`${join(root, 'taken')} is a file`),
      })
  })

  it.skipIf(process.getuid?.() === 0)(
    'says in the probe that the directory takes no files (root may write anywhere: run as another user)',
    async () => {
      await mkdir(join(root, 'closed'))
      await chmod(join(root, 'closed'), 0o500)
      await expect(openSession(fixture('closed/out').job, true)).rejects.toMatchObject({
        code: 'destination_misconfigured',
        message: expect.stringContaining(join(root, 'closed/out')),
      })
    },
  )

  it.skipIf(!existsSync('/proc/self'))(
    'gives up on a file system that takes no directories (needs /proc)',
    async () => {
      const job = testJob(fileSink({ name: 'test', dir: '/proc/millrace/out' }))
      await expect(openSession(job)).rejects.toMatchObject({ name: 'DeliveryError' })
    },
  )

  it.skipIf(!existsSync('/dev/full'))('calls a full disk retryable (needs /dev/full)', async () => {
    const { dir, job } = fixture()
    const session = await openSession(job)
    const unit = testUnit(job, 0)
    await session.begin?.(unit)
    const [temporary] = await readdir(dir)
    // the next part of the unit is opened through the link
    await writeRows(session, unit, testRows(1))
    await session.commit?.(unit, [checkpoint(0, 1, false)])
    await symlink('/dev/full', join(dir, temporary!))
    await expect(writeRows(session, unit, testRows(1))).rejects.toMatchObject({
      code: 'destination_unavailable',
      retryable: true,
      message: expect.stringContaining('ENOSPC'),
    })
    await session.close()
  })
})

function fixture(path = 'out') {
  const dir = join(root, path)
  return { dir, job: testJob(fileSink({ name: 'test', dir })) }
}

/** In the order of the files' names. */
async function readLines(dir: string): Promise<string[]> {
  if (!existsSync(dir)) return []
  const names = (await readdir(dir)).filter(name => name.endsWith('.jsonl')).sort()
  const texts = await Promise.all(names.map(name => readFile(join(dir, name), 'utf8')))
  for (const text of texts) expect(text.at(-1)).toBe('\n')
  return texts.flatMap(text => text.slice(0, -1).split('\n'))
}

function json(rows: readonly TestRow[]): string[] {
  return rows.map(row => row.json)
}

import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FileSinkOptions, fileSink } from '../../src/sinks/file.ts'
import { testSink } from '../../src/testing/sink.ts'
import {
  beginWrites,
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

describe.each<Omit<FileSinkOptions, 'name' | 'dir'>>([
  {},
  { maxFileBytes: 1 << 20 },
  { compression: 'gzip' },
  { compression: 'zstd', maxFileBytes: 1 << 20 },
])('fileSink keeps the contract, with %o', options => {
  let count = 0
  const dirs = new Map<unknown, string>()
  const tests = testSink({
    create() {
      const dir = join(root, String(count++))
      const sink = fileSink({ name: 'test', dir, ...options })
      dirs.set(sink, dir)
      return sink
    },
    read: async sink => readLines(dirs.get(sink)!),
    ordered: true,
    // a local disk neither hangs nor goes away as a test could order it, and takes every row
    faults: { forbid: sink => writeFile(dirs.get(sink)!, 'no directory') },
  })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('fileSink', () => {
  it('refuses options that are wrong, all at once', () => {
    const wrong = { name: '', dir: '', maxFileBytes: 1_000, compression: 'lz4' } as unknown as FileSinkOptions
    const problems = ['name', 'dir', 'maxFileBytes', 'compression'].map(path => expect.objectContaining({ path }))
    expect(() => fileSink(wrong)).toThrow(expect.objectContaining({ code: 'invalid_config', problems }))
  })

  it.each<Partial<FileSinkOptions>>([{}, { maxFileBytes: 1 << 20 }, { compression: 'gzip' }])(
    'leaves nothing of a write that was under way when the session was closed, with %o',
    async options => {
      const { dir, job } = fixture(options)
      const session = await openSession(job)
      const unit = testUnit(job, 0)
      await session.begin?.(unit)
      // a megabyte and more, so that the next write begins another file where they are cut
      await writeRows(
        session,
        unit,
        testRows(12, () => 'x'.repeat(100_000)),
      )
      const { ended } = await beginWrites(session, unit, testRows(5_000), { batchRows: 5_000 })
      await session.close()
      await ended
      expect(await readdir(dir)).toEqual([])
      expect(await openFilesIn(dir)).toEqual([])
    },
  )

  it('cuts files by size, numbers them, and shows them all at the commit', async () => {
    const { dir, job } = fixture({ maxFileBytes: 1 << 20 })
    const session = await openSession(job)
    const unit = testUnit(job, 0)
    const rows = testRows(3_000, () => 'x'.repeat(1_000))
    await session.begin?.(unit)
    await writeRows(session, unit, rows, { batchRows: 100 })
    expect((await readdir(dir)).filter(name => !name.startsWith('.'))).toEqual([])
    await session.commit?.(unit, [checkpoint(0, 8_192, false)])
    await writeRows(session, unit, rows.slice(0, 10))
    await session.commit?.(unit, [checkpoint(0, 8_202, true)])
    await session.close()
    const base = `${job.jobId}-3f0c6a52-000000`
    const names = (await readdir(dir)).sort()
    expect(names).toEqual([
      `${base}.00000.jsonl`,
      `${base}.00001.jsonl`,
      `${base}.00002.jsonl`,
      `${base}_0000008192.00000.jsonl`,
    ])
    const sizes = await Promise.all(names.map(async name => (await stat(join(dir, name))).size))
    for (const size of sizes.slice(0, 2)) {
      expect(size).toBeGreaterThanOrEqual(1 << 20)
      expect(size).toBeLessThan((1 << 20) + 110_000)
    }
    expect(await readLines(dir)).toEqual(json([...rows, ...rows.slice(0, 10)]))
  })

  it('leaves none of the files of an attempt whose commit was not stored, however they were cut', async () => {
    const { dir, job } = fixture({ maxFileBytes: 1 << 20 })
    const rows = testRows(3_000, () => 'x'.repeat(1_000))
    const first = await openSession(job)
    await deliver(first, testUnit(job, 0), rows, { batchRows: 100 })
    await first.close()
    expect(await readdir(dir)).toHaveLength(3)
    const others = [`${job.jobId}-3f0c6a52-000000_0000008192.00000.jsonl`, `${job.jobId}-3f0c6a52-0000000.jsonl`]
    for (const name of others) await writeFile(join(dir, name), 'of others')
    const sink = fileSink({ name: 'test', dir, maxFileBytes: 2 << 20, compression: 'gzip' })
    const again = { ...job, sink, leaseEpoch: 2 }
    const session = await openSession(again)
    await deliver(session, testUnit(again, 0, { attempt: 2 }), rows, { batchRows: 100 })
    await session.close()
    for (const name of others) await rm(join(dir, name))
    expect(await readdir(dir)).toEqual([`${job.jobId}-3f0c6a52-000000.00000.jsonl.gz`])
    expect(await readLines(dir)).toEqual(json(rows))
  })

  it.each(['gzip', 'zstd'] as const)('writes %s that others read', async compression => {
    const { dir, job } = fixture({ compression })
    const rows = testRows(5_000)
    const session = await openSession(job)
    await deliver(session, testUnit(job, 0), rows, { batchRows: 300 })
    await session.close()
    const [name] = await readdir(dir)
    const instance = await DuckDBInstance.create()
    const connection = await instance.connect()
    const sql = `SELECT count(*)::INTEGER, sum(id)::INTEGER, count(key)::INTEGER FROM read_json('${join(dir, name!)}')`
    const read = await connection.runAndReadAll(sql)
    expect(read.getRows()).toEqual([[5_000, (4_999 * 5_000) / 2, 4_500]])
    connection.closeSync()
    instance.closeSync()
  })

  it.each(['gzip', 'zstd'] as const)(
    'a batch that was not written is there once when it is written again (%s)',
    async compression => {
      const { dir, job } = fixture({ compression })
      const rows = testRows(3_000)
      const session = await openSession(job)
      const unit = testUnit(job, 0)
      await session.begin?.(unit)
      await session.commit?.(unit, [])
      // the next part is opened by its first write
      await rm(dir, { recursive: true })
      const write = () => writeRows(session, unit, rows.slice(0, 1_000), { batchRows: 1_000 })
      await expect(write()).rejects.toMatchObject({ code: 'destination_unavailable', retryable: true })
      await mkdir(dir)
      await write()
      await writeRows(session, unit, rows.slice(1_000))
      await session.commit?.(unit, [checkpoint(0, 3_000, true)])
      await session.close()
      expect(await readLines(dir)).toEqual(json(rows))
    },
  )

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
    const { dir, job } = fixture({ path: 'a/b/c' })
    const session = await openSession(job, true)
    await session.close()
    expect(existsSync(join(root, 'a'))).toBe(false)
    await (await openSession(job)).close()
    expect(existsSync(dir)).toBe(true)
  })

  it('says in the probe that a file is in the way', async () => {
    await writeFile(join(root, 'taken'), '')
    for (const path of ['taken', 'taken/below'])
      await expect(openSession(fixture({ path }).job, true)).rejects.toMatchObject({
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
      await expect(openSession(fixture({ path: 'closed/out' }).job, true)).rejects.toMatchObject({
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

function fixture(options: { readonly path?: string } & Omit<FileSinkOptions, 'name' | 'dir'> = {}) {
  const { path = 'out', ...own } = options
  const dir = join(root, path)
  return { dir, job: testJob(fileSink({ name: 'test', dir, ...own })) }
}

/** In the order of the files' names. */
async function readLines(dir: string): Promise<string[]> {
  if (!existsSync(dir)) return []
  const names = (await readdir(dir)).filter(name => /^[^.].*\.jsonl(\.gz|\.zst)?$/.test(name)).sort()
  const texts = await Promise.all(names.map(name => readText(join(dir, name))))
  for (const text of texts) expect(text.at(-1)).toBe('\n')
  return texts.flatMap(text => text.slice(0, -1).split('\n'))
}

/** Those that this process has open, where the system tells; they may be gone from the directory. */
async function openFilesIn(dir: string): Promise<string[]> {
  const fds = await readdir('/proc/self/fd').catch(() => [])
  const paths = await Promise.all(fds.map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return paths.filter(path => path.startsWith(dir))
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path)
  if (path.endsWith('.gz')) return gunzipSync(bytes).toString()
  return (path.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes).toString()
}

function json(rows: readonly TestRow[]): string[] {
  return rows.map(row => row.json)
}

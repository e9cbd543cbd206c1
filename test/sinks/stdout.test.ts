import { execFile } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stdoutSink } from '../../src/sinks/stdout.ts'
import { testSink } from '../../src/testing/sink.ts'
import { openSession, testJob, testRows, testUnit, writeRows } from '../../src/testing/sink-driver.ts'
import { openPipe } from './stdout/pipe.ts'

const run = promisify(execFile)

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-stdout-'))
})
afterAll(() => rm(dir, { recursive: true }))

let count = 0
function openFile(): { readonly path: string; readonly fd: number } {
  const path = join(dir, String(count++))
  return { path, fd: openSync(path, 'w') }
}

describe('stdoutSink keeps the contract with a file', () => {
  const files = new Map<unknown, ReturnType<typeof openFile>>()
  const tests = testSink({
    create() {
      const file = openFile()
      const sink = stdoutSink({ fd: file.fd })
      files.set(sink, file)
      return sink
    },
    read: async sink => {
      const text = await readFile(files.get(sink)!.path, 'utf8')
      return text === '' ? [] : text.slice(0, -1).split('\n')
    },
    dispose: async sink => closeSync(files.get(sink)!.fd),
    ordered: true,
  })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('stdoutSink keeps the contract with a pipe', () => {
  const tests = testSink({
    async create() {
      const pipe = await openPipe(join(dir, String(count++)))
      return Object.assign(stdoutSink({ fd: pipe.fd }), { pipe })
    },
    read: async ({ pipe }) => pipe.lines(),
    dispose: async ({ pipe }) => pipe.close(),
    ordered: true,
    // a pipe whose reader is gone stays so, and one that reads takes every row
    faults: { stall: ({ pipe }) => pipe.stall() },
  })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('stdoutSink', () => {
  it('refuses options that are wrong', () => {
    const problems = ['name', 'fd'].map(path => expect.objectContaining({ path }))
    expect(() => stdoutSink({ name: '', fd: -1 })).toThrow(
      expect.objectContaining({ code: 'invalid_config', problems }),
    )
  })

  it('is called stdout unless it is told otherwise', () => {
    expect(stdoutSink()).toMatchObject({ type: 'stdout', name: 'stdout' })
    expect(stdoutSink({ name: 'pipe' })).toMatchObject({ type: 'stdout', name: 'pipe' })
  })

  it('does not mix the lines of units and jobs', async () => {
    const { path, fd } = openFile()
    const sink = stdoutSink({ fd })
    const rows = testRows(2_000, id => 'x'.repeat(id % 700))
    const jobs = [testJob(sink), testJob(sink)]
    await Promise.all(
      jobs.flatMap(job =>
        [0, 1].map(async number => {
          const session = await openSession(job)
          await writeRows(session, testUnit(job, number), rows)
        }),
      ),
    )
    closeSync(fd)
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(lines.toSorted()).toEqual([rows, rows, rows, rows].flatMap(all => all.map(({ json }) => json)).toSorted())
  })

  it('fails when the reader of the pipe is gone, and nobody tries again', async () => {
    const script = `
      import { stdoutSink } from ${JSON.stringify(new URL('../../src/sinks/stdout.ts', import.meta.url))}
      import { openSession, testJob, testRows, testUnit, writeRows } from ${JSON.stringify(new URL('../../src/testing/sink-driver.ts', import.meta.url))}
      const job = testJob(stdoutSink())
      const session = await openSession(job)
      try {
        for (;;) await writeRows(session, testUnit(job, 0), testRows(1_000))
      } catch ({ code, retryable, message }) {
        console.error(JSON.stringify({ code, retryable, message, retries: session.retries }))
      }`
    const { stdout, stderr } = await run('sh', [
      '-c',
      '"$0" --input-type=module -e "$1" | head -n 2',
      process.execPath,
      script,
    ])
    expect(stdout).toBe(
      `${testRows(2)
        .map(({ json }) => json)
        .join('\n')}\n`,
    )
    expect(JSON.parse(stderr)).toEqual({
      code: 'delivery_failed',
      retryable: true,
      retries: 'own',
      message: expect.stringMatching(/^standard output takes no more: EPIPE/),
    })
  })

  it('waits for a pipe that is full, whether it blocks or not', async () => {
    const script = `
      import { Socket } from 'node:net'
      import { stdoutSink } from ${JSON.stringify(new URL('../../src/sinks/stdout.ts', import.meta.url))}
      import { openSession, testJob, testRows, testUnit, writeRows } from ${JSON.stringify(new URL('../../src/testing/sink-driver.ts', import.meta.url))}
      // Node makes a pipe that it takes for a socket non-blocking
      const socket = process.env.NON_BLOCKING && new Socket({ fd: 1, readable: false })
      const job = testJob(stdoutSink())
      const session = await openSession(job)
      await writeRows(session, testUnit(job, 0), testRows(50_000))
      process.exit()`
    for (const NON_BLOCKING of ['', '1']) {
      const { stdout } = await run(
        'sh',
        ['-c', '"$0" --input-type=module -e "$1" | dd bs=256 status=none', process.execPath, script],
        {
          env: { ...process.env, NON_BLOCKING },
          maxBuffer: 1 << 28,
        },
      )
      expect(stdout.split('\n').length).toBe(50_001)
    }
  })
})

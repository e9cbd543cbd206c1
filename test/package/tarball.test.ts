/** The package as its users get it: packed, unpacked into a project that has only what the package says it needs, and run by plain Node. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parquetFile } from '../columnar/staged-files.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const ROWS = 100_000

let project: string

beforeAll(async () => {
  const built = ['index.js', 'core/lane-worker.js', 'columnar/kernel.wasm'].every(file =>
    existsSync(join(root, 'dist', file)),
  )
  if (!built) throw new Error('there is no whole dist/ to pack: npm run build')
  project = await mkdtemp(join(tmpdir(), 'millrace-tarball-'))
  // without the package's scripts, which would build again under the feet of other tests
  const packing = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], { cwd: root })
  const [{ filename }] = JSON.parse(packing.stdout)
  const installed = join(project, 'node_modules/millrace')
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', join(project, filename), '--strip-components=1', '-C', installed])
  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    const link = join(project, 'node_modules', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(root, 'node_modules', name), link)
  }
})

afterAll(() => rm(project, { recursive: true, force: true }))

const SCRIPT = `
  import { subscribe } from 'node:diagnostics_channel'
  import { stat } from 'node:fs/promises'
  import { createEngine } from 'millrace'
  import { nullSink } from 'millrace/sinks/null'

  const path = new URL('./rows.parquet', import.meta.url)
  const columns = [{ name: 'id', type: { kind: 'integer', bits: 64, signed: true }, native: 'BIGINT', nullable: false }]
  const source = {
    name: 'one file',
    tables: async () => ['rows'],
    describe: async () => ({ table: 'rows', columns, partitionKeys: ['id'] }),
    stage: async () => {
      const { size } = await stat(path)
      return { files: [1, 2, 3, 4].map(number => ({ name: number + '.parquet', bytes: size, rows: ${ROWS} })) }
    },
    access: async () => ({ path: path.pathname }),
    discard: async () => {},
  }
  const events = []
  subscribe('millrace:lane', event => events.push(event))
  subscribe('millrace:warning', event => events.push(String(event.message)))
  const sink = nullSink({ name: 'nowhere' })
  const engine = createEngine({ source, sinks: [sink], lanes: 2, stagedFileBytes: 1 })
  const { job_id } = await engine.create({
    table: 'rows',
    backfill_window: { start: 0, end: 1 },
    destinations: [{ type: 'null', name: 'nowhere' }],
  })
  for await (const job of engine.watch(job_id)) var { status, error_message } = job
  await engine.close()
  console.log(JSON.stringify({ status, error_message, rows: sink.received().rows, events }))
`

test('backfills a Parquet file with two lanes that use the kernel', async () => {
  const file = await parquetFile(`SELECT i AS id, 'row ' || i AS word FROM range(${ROWS}) r(i)`)
  await writeFile(join(project, 'rows.parquet'), file)
  await writeFile(join(project, 'script.mjs'), SCRIPT)
  const { stdout } = await run(process.execPath, ['script.mjs'], { cwd: project, timeout: 60_000 })
  const { events, ...result } = JSON.parse(stdout)
  expect(result).toEqual({ status: 'completed', error_message: null, rows: 4 * ROWS })
  expect(events.toSorted((a: { lane: number }, b: { lane: number }) => a.lane - b.lane)).toEqual([
    { lane: 0, event: 'started', encoder: 'wasm' },
    { lane: 1, event: 'started', encoder: 'wasm' },
  ])
})

test('has a command line', async () => {
  const main = join(project, 'node_modules/millrace/dist/cli/main.js')
  const { stdout } = await run(process.execPath, [main, '--version'], { cwd: project })
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  expect(stdout.trim()).toBe(version)
})

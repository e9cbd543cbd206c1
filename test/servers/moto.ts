/** Moto, a stand-in for AWS in Python, of which tests use S3, SNS and SQS. */
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts, hasCommand, run, startServer, workDirectory } from './process.ts'
import { CannotStart, type Started, type TestServer } from './server.ts'

/** With what its server needs; its own `server` extra brings three times as much. */
const PACKAGES = ['moto==5.2.5', 'flask==3.1.3', 'flask-cors==6.0.5']
const CACHE = fileURLToPath(new URL('../../.cache/moto-5.2.5/', import.meta.url))
const PROGRAM = fileURLToPath(new URL('moto_server.py', import.meta.url))

export type MotoFacts = {
  /** The URL of every service; any credentials are right. */
  readonly endpoint: string
}

/** With the packages in the directory MOTO_PACKAGES if that is set, else with those of PyPI (about 125 MB, kept in `.cache/`). Needs Python 3. */
export const moto: TestServer<MotoFacts> = {
  async start(): Promise<Started<MotoFacts>> {
    const packages = process.env['MOTO_PACKAGES'] ?? CACHE
    if (!(await isThere(packages))) await install()
    const [port] = (await freePorts(1)) as [number]
    const endpoint = `http://127.0.0.1:${port}`
    const { stop } = await startServer({
      dir: await workDirectory('moto'),
      command: 'python3',
      args: [PROGRAM, packages, '-H', '127.0.0.1', '-p', String(port)],
      ready: () => answers(endpoint),
      timeoutMs: 60_000,
    })
    return { facts: { endpoint }, stop }
  },
}

async function answers(endpoint: string): Promise<void> {
  const response = await fetch(new URL('/moto-api/data.json', endpoint))
  if (!response.ok) throw new Error(`${endpoint} answers ${response.status}`)
  await response.arrayBuffer()
}

/** Into a directory of its own, which becomes the cache when it is whole: two runs at once both succeed, and an interrupted one leaves no half. */
async function install(): Promise<void> {
  const partial = `${CACHE.slice(0, -1)}.${process.pid}.partial`
  await mkdir(partial, { recursive: true })
  try {
    const packages = join(partial, 'packages')
    await run(await findPip(partial), ['-m', 'pip', 'install', '--quiet', '--target', packages, ...PACKAGES])
    await rename(packages, CACHE)
  } catch (cause) {
    if (await isThere(CACHE)) return
    const missing = 'set MOTO_PACKAGES, or install Python 3 with pip or venv, and a way to PyPI'
    throw new CannotStart(`${missing}: ${String((cause as { stderr?: string }).stderr ?? cause).slice(-500)}`)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** A Python that has pip: the machine's own or, where that has none, an environment's. */
async function findPip(dir: string): Promise<string> {
  if (await hasCommand('python3', '-m', 'pip', '--version')) return 'python3'
  await run('python3', ['-m', 'venv', join(dir, 'venv')])
  return join(dir, 'venv/bin/python')
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Where and with what the figures were taken. */
import { readFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { run } from '../test/servers/process.ts'

export interface Machine {
  readonly date: string
  readonly cores: number
  readonly processor: string
  readonly memory_gb: number
  readonly node: string
  /** With `+` where the work tree differs from it; undefined outside of a clone. */
  readonly commit: string | undefined
  readonly packages: Readonly<Record<string, string>>
}

const PACKAGES = ['@duckdb/node-api', '@platformatic/kafka', 'apache-arrow', 'kafkajs', 'parquet-wasm']

export async function describeMachine(): Promise<Machine> {
  const [versions, commit] = await Promise.all([Promise.all(PACKAGES.map(versionOf)), commitOf()])
  return {
    date: new Date().toISOString(),
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    memory_gb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    commit,
    packages: Object.fromEntries(PACKAGES.map((name, index) => [name, versions[index]!])),
  }
}

async function versionOf(name: string): Promise<string> {
  for (const modules of ['node_modules', '../node_modules']) {
    const path = new URL(`${modules}/${name}/package.json`, import.meta.url)
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text !== undefined) return JSON.parse(text).version
  }
  return 'not installed'
}

async function commitOf(): Promise<string | undefined> {
  const cwd = new URL('..', import.meta.url)
  try {
    const { stdout: commit } = await run('git', ['rev-parse', '--short', 'HEAD'], { cwd })
    const { stdout: changes } = await run('git', ['status', '--porcelain', 'src', 'bench'], { cwd })
    return `${commit.trim()}${changes === '' ? '' : '+'}`
  } catch {
    return undefined
  }
}

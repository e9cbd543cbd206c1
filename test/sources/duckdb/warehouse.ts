import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { onTestFinished } from 'vitest'
import { type DuckdbSourceOptions, duckdbSource } from '../../../src/sources/duckdb.ts'
import type { Source, Staged } from '../../../src/sources/source.ts'
import { readStagedLines, type StageChoice, stageRequest } from '../../../src/testing/source-driver.ts'

/** A directory of this test's own, removed behind it. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-duckdb-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Makes `<directory>/base.duckdb` by the statements, and gives its path. */
export async function makeDatabase(directory: string, ...statements: string[]): Promise<string> {
  const path = join(directory, 'base.duckdb')
  const instance = await DuckDBInstance.create(path, { storage_compatibility_version: 'v1.5.0' })
  const connection = await instance.connect()
  for (const statement of statements) await connection.run(statement)
  connection.closeSync()
  instance.closeSync()
  return path
}

export interface Warehouse {
  readonly directory: string
  readonly stagingDir: string
  readonly database: string
  readonly source: Source
}

/** A source over a database with the table `t`, cut by `key` unless the options say otherwise. */
export async function warehouse(
  statements: readonly string[],
  options: Partial<DuckdbSourceOptions> = {},
): Promise<Warehouse> {
  const directory = await scratch()
  const database = await makeDatabase(directory, ...statements)
  const stagingDir = join(directory, 'staging')
  const source = duckdbSource({ database, stagingDir, tables: { t: { partitionKeys: ['key'] } }, ...options })
  return { directory, stagingDir, database, source }
}

export async function stage(source: Source, choice: StageChoice = {}): Promise<Staged> {
  return source.stage(await stageRequest(source, 't', choice), undefined, async () => {}, never())
}

/** The JSON lines of what is staged. */
export async function stageLines(source: Source, choice: StageChoice = {}): Promise<string[]> {
  return readStagedLines(source, await stage(source, choice))
}

export function never(): AbortSignal {
  return new AbortController().signal
}

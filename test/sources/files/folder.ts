/** Files for a source of files, written by DuckDB. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { onTestFinished } from 'vitest'
import { type FilesSourceOptions, type FilesTable, filesSource } from '../../../src/sources/files.ts'
import type { Source, Staged } from '../../../src/sources/source.ts'
import { readStagedLines, type StageChoice, stageRequest } from '../../../src/testing/source-driver.ts'

const database = DuckDBInstance.create(':memory:').then(instance => instance.connect())

/** A folder of this test's own, removed behind it. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-files-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Runs in the database that files are written by. */
export async function runSql(statement: string): Promise<void> {
  await (await database).run(statement)
}

/** The result of a query as a Parquet file. `options`: of DuckDB's COPY. */
export async function writeParquet(path: string, query: string, options = ''): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await (await database).run(`COPY (${query}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet${options})`)
  return path
}

/** A source whose one table `t` is cut by `key` unless the table says otherwise. */
export function sourceOf(
  files: FilesTable['files'],
  { table = {}, ...options }: Partial<FilesSourceOptions> & { readonly table?: Partial<FilesTable> } = {},
): Source {
  return filesSource({ tables: { t: { files, partitionKeys: ['key'], ...table } }, ...options })
}

const ALL = { start: '-9000000000000', end: '9000000000000' }

export async function stage(source: Source, choice: StageChoice = ALL): Promise<Staged> {
  return source.stage(await stageRequest(source, 't', choice), undefined, async () => {}, never())
}

/** The JSON lines of what is staged. */
export async function stageLines(source: Source, choice: StageChoice = ALL): Promise<string[]> {
  return readStagedLines(source, await stage(source, choice))
}

export function never(): AbortSignal {
  return new AbortController().signal
}

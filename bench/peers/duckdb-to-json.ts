/**
 * DuckDB's `to_json` over the same files on one thread: `strings`, each row's JSON a string of JavaScript's, or `inside`, where the
 * strings stay in DuckDB and only their length comes out.
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { quoteLiteral } from '../../src/sources/sql.ts'
import { measured, print, settings } from '../child.ts'

export interface DuckdbSettings {
  readonly paths: readonly string[]
  readonly warmupPaths: readonly string[]
  readonly to: 'strings' | 'inside'
}

const { paths, warmupPaths, to } = settings<DuckdbSettings>()
const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
const connection = await instance.connect()
const convert = to === 'strings' ? toStrings : inside

await convert(warmupPaths)
print(await measured(() => convert(paths)))
connection.closeSync()
instance.closeSync()

async function toStrings(paths: readonly string[]): Promise<number> {
  const result = await connection.stream(`SELECT to_json(t)::VARCHAR FROM ${table(paths)}`)
  let rows = 0
  let characters = 0
  for await (const chunk of result) {
    for (const value of chunk.getColumnValues(0)) characters += (value as string).length
    rows += chunk.rowCount
  }
  if (characters === 0) throw new Error('there was no JSON')
  return rows
}

async function inside(paths: readonly string[]): Promise<number> {
  const result = await connection.runAndReadAll(`SELECT count(*), sum(strlen(to_json(t))) FROM ${table(paths)}`)
  const [rows, bytes] = result.getRows()[0]!
  if (Number(bytes) === 0) throw new Error('there was no JSON')
  return Number(rows)
}

function table(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quoteLiteral).join(', ')}]) AS t`
}

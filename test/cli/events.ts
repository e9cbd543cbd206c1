import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

/** For `columns`: ten different texts. */
export const WITH_ORIGIN = ", 'origin ' || (id % 10) AS origin"

/** Makes `events.db`, a DuckDB file whose one table `events` has ids from 0 on, and beside them what `columns` says. */
export async function createEvents(dir: string, rows: number, columns = ''): Promise<void> {
  const instance = await DuckDBInstance.create(join(dir, 'events.db'))
  const connection = await instance.connect()
  await connection.run(`CREATE TABLE events AS SELECT id${columns} FROM range(${rows}) rows(id)`)
  connection.closeSync()
  instance.closeSync()
}

/** The demo's warehouse: a DuckDB file with one table of real data and one that is made up. */
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadDriver } from '../../core/driver.ts'
import { quoteLiteral } from '../../sources/sql.ts'

export const FLIGHTS = 'flights'
export const TRANSFERS = 'base.assets.erc20_token_transfers'
/** What the transfers are called inside DuckDB, which would read the dots as a path. */
export const TRANSFERS_RELATION = 'erc20_token_transfers'
/** The token of about a third of the transfers. */
export const USDC = '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913'

export interface Warehouse {
  readonly path: string
  /** Whether it has the flights, which come with the development dependency `vega-datasets`. */
  readonly flights: boolean
}

/** Makes the file if it is not there yet; a half-made one never is. `transfers`: rows of the made-up table. */
export async function demoWarehouse(path: string, transfers: number): Promise<Warehouse> {
  const parquet = await flightsFile()
  if (!(await exists(path))) {
    const { DuckDBInstance } = await loadDriver('@duckdb/node-api', () => import('@duckdb/node-api'))
    const partial = `${path}.${process.pid}.partial`
    await mkdir(dirname(path), { recursive: true })
    await rm(partial, { force: true })
    const instance = await DuckDBInstance.create(partial)
    const connection = await instance.connect()
    await connection.run(transfersSql(transfers))
    if (parquet !== undefined)
      await connection.run(`CREATE TABLE flights AS SELECT * FROM read_parquet(${quoteLiteral(parquet)})`)
    connection.closeSync()
    instance.closeSync()
    await rename(partial, path)
  }
  return { path, flights: parquet !== undefined }
}

/** 3,000,000 flights of 2001, in the npm package `vega-datasets`. */
async function flightsFile(): Promise<string | undefined> {
  try {
    const file = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')))
    return (await exists(file)) ? file : undefined
  } catch {
    return undefined
  }
}

/**
 * Token transfers of a chain with a block every two seconds, 100 transfers to a block, from 2026-03-01 on: the same rows every
 * time, since all that looks random is a hash of the row's number.
 */
export function transfersSql(rows: number): string {
  return `
    CREATE TABLE ${TRANSFERS_RELATION} AS
    WITH numbered AS (
      SELECT i, i // 100 AS block, i // 3 AS txn, (i * 7919) % 200 AS token,
        md5_number_lower('a' || i) AS a, md5_number_lower('b' || i) AS b
      FROM range(${rows}) AS numbers(i)
    )
    SELECT
      '0x' || left(md5('from' || a % 200000) || md5('from' || a % 200000 || '.'), 40) AS from_address,
      '0x' || left(md5('to' || b % 200000) || md5('to' || b % 200000 || '.'), 40) AS to_address,
      CASE WHEN i % 10 < 3 THEN '${USDC}' ELSE '0x' || left(md5('token' || token) || md5('token' || token || '.'), 40) END AS token_address,
      'Token ' || token AS token_name,
      'TK' || token AS token_symbol,
      (a % 1000000000000::UBIGINT * 1000003)::VARCHAR AS raw_amount_str,
      (a % 1000000000000::UBIGINT)::DOUBLE * 1000003 AS raw_amount,
      ((b % 1000000000000::UBIGINT)::DOUBLE / 1e6)::DECIMAL(38, 6)::VARCHAR AS amount_str,
      (b % 1000000000000::UBIGINT)::DOUBLE / 1e6 AS amount,
      CASE WHEN i % 7 <> 0 THEN (a % 1000000007)::DOUBLE / 1003 END AS usd_amount,
      (b % 1000003)::DOUBLE / 1000003 AS usd_exchange_rate,
      '0x' || left(md5('txn from' || txn) || md5('txn from' || txn || '.'), 40) AS transaction_from_address,
      '0x' || left(md5('txn to' || i % 1000) || md5('txn to' || i % 1000 || '.'), 40) AS transaction_to_address,
      '0x' || md5('txn' || txn) || md5('txn' || txn || '.') AS transaction_hash,
      i % 180 AS transaction_index,
      i % 600 AS log_index,
      TIMESTAMP '2026-03-01' + to_seconds(block * 2) AS block_timestamp,
      27000000 + block AS block_number,
      '0x' || md5('block' || block) || md5('block' || block || '.') AS block_hash,
      'txn-0x' || md5('txn' || txn) || md5('txn' || txn || '.') || '_log_index-' || i % 600 AS unique_id,
      TIMESTAMP '2026-03-01' + to_seconds(block * 2 + 30) AS _created_at,
      TIMESTAMP '2026-03-01' + to_seconds(block * 2 + 60) AS _updated_at
    FROM numbered ORDER BY i`
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** A client that only sends: bodies of the same rows, ready in memory, through a pool of undici. What the endpoint takes on this machine. */
import { Pool } from 'undici'
import { measured, print, settings } from '../child.ts'
import type { StagedTable } from '../data.ts'
import { encodedRows } from '../encoded-rows.ts'
import type { EndpointUrls } from '../endpoint.ts'
import { WEBHOOK_SETTINGS } from '../settings.ts'

export interface ReadyBodiesSettings extends EndpointUrls {
  readonly table: StagedTable
  readonly rows: number
  readonly warmupRows: number
}

/** Sent again and again: more than are ever in flight, and few enough to stay out of the way. */
const READY_BODIES = 64

const { table, url, warmupUrl, rows, warmupRows } = settings<ReadyBodiesSettings>()
const { batchRows, concurrency } = WEBHOOK_SETTINGS
const { ready, warmupRest, rest } = await bodies()
const pool = new Pool(new URL(url).origin, { connections: concurrency, allowH2: false })

await send(warmupUrl, warmupRows, warmupRest)
print(await measured(() => send(url, rows, rest)))
await pool.close()

/** In a function of its own, so that the single rows are garbage before anything is measured. */
async function bodies() {
  const values = await encodedRows(table, Math.min(READY_BODIES * batchRows, table.rows))
  const bodyOf = (first: number, count: number) => Buffer.from(`[${values.slice(first, first + count).join(',')}]`)
  return {
    ready: Array.from({ length: Math.floor(values.length / batchRows) }, (_, body) =>
      bodyOf(body * batchRows, batchRows),
    ),
    warmupRest: bodyOf(0, warmupRows % batchRows),
    rest: bodyOf(0, rows % batchRows),
  }
}

/** Whole bodies, as many at a time as there are connections, and then the rest. */
async function send(url: string, rows: number, rest: Buffer): Promise<number> {
  const { pathname: path } = new URL(url)
  const headers = { 'content-type': 'application/json' }
  const whole = Math.floor(rows / batchRows)
  const all = rows % batchRows === 0 ? whole : whole + 1
  let next = 0
  const one = async (): Promise<void> => {
    for (let index = next++; index < all; index = next++) {
      const body = index < whole ? ready[index % ready.length]! : rest
      const { statusCode, body: answer } = await pool.request({ path, method: 'POST', headers, body })
      await answer.dump()
      if (statusCode !== 204) throw new Error(`answered ${statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, one))
  return rows
}

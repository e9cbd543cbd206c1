// One backfill of ROWS rows of the 22-column transfer table into the null sink; prints its peak resident memory.
// The table is made by another process, so that what DuckDB needs for that does not count.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transfersSql } from '../src/cli/demo/warehouse.ts'
import { createEngine } from '../src/core/engine.ts'
import { nullSink } from '../src/sinks/null.ts'
import { duckdbSource } from '../src/sources/duckdb.ts'
import { memoryStore } from '../src/stores/memory.ts'

const [rows, dir, role] = [Number(process.argv[2]), process.argv[3]!, process.argv[4]]
const database = join(dir, `${rows}.duckdb`)

if (role === 'prepare') {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(database)
  const connection = await instance.connect()
  await connection.run(transfersSql(rows))
  connection.closeSync()
  instance.closeSync()
} else {
  const self = fileURLToPath(import.meta.url)
  const { status } = spawnSync(process.execPath, [self, String(rows), dir, 'prepare'], { stdio: 'inherit' })
  if (status !== 0) process.exit(1)
  const engine = createEngine({
    source: duckdbSource({
      database,
      stagingDir: join(dir, 'staging'),
      tables: { transfers: { relation: 'erc20_token_transfers', partitionKeys: ['block_timestamp'] } },
    }),
    sinks: [nullSink({ name: 'null' })],
    store: memoryStore(),
  })
  const started = performance.now()
  const { job_id } = await engine.create({
    table: 'transfers',
    backfill_window: { start: '2000-01-01', end: '2100-01-01' },
    destinations: [{ type: 'null', name: 'null' }],
  })
  let delivered = 0
  for await (const job of engine.watch(job_id)) {
    delivered = job.destinations[0]!.delivered
    if (job.error_message !== null) throw new Error(job.error_message)
  }
  const seconds = (performance.now() - started) / 1_000
  await engine.close()
  // the kernel's own high-water mark: kilobytes on Linux, bytes on macOS
  const peakRssMb = Math.round(process.resourceUsage().maxRSS / (process.platform === 'darwin' ? 1_048_576 : 1_024))
  process.stdout.write(JSON.stringify({ rows: delivered, seconds, peakRssMb }))
}

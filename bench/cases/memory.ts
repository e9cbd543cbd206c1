/** A whole backfill, staging included, into the null sink: the peak of the process's memory. No warm-up, which would hide nothing. */
import { rm } from 'node:fs/promises'
import { createEngine } from '../../src/core/engine.ts'
import { nullSink } from '../../src/sinks/null.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { measured, print, settings } from '../child.ts'
import { warehouseSource } from '../data.ts'

export interface MemorySettings {
  /** A DuckDB file; another process made it, so that what that needed does not count. */
  readonly database: string
  readonly table: string
  readonly stagingDir: string
  readonly lanes: number
}

const { database, table, stagingDir, lanes } = settings<MemorySettings>()
const engine = createEngine({
  source: warehouseSource(database, stagingDir),
  sinks: [nullSink({ name: 'null' })],
  store: memoryStore(),
  lanes,
  stagedFileBytes: 32 << 20,
})

print(
  await measured(async () => {
    const { job_id } = await engine.create({
      table,
      backfill_window: { start: '2000-01-01', end: '2100-01-01' },
      destinations: [{ type: 'null', name: 'null' }],
    })
    let delivered = 0
    for await (const job of engine.watch(job_id)) {
      if (job.error_message !== null) throw new Error(job.error_message)
      delivered = job.destinations[0]!.delivered
    }
    return delivered
  }),
)
await engine.close()
await rm(stagingDir, { recursive: true, force: true })

/** Jobs to verify: numbers that are delivered to one destination, three files of them, 2,004 rows. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import type { SinkRegistration } from '../../src/core/options.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { type ArrowSourceOptions, arrowSource } from './arrow-source.ts'
import { allNumbers, finish } from './number-jobs.ts'

export const ROWS = 2_004

export interface DeliveredNumbers {
  readonly engine: Engine
  readonly store: Store
  readonly job: Job
  verify(): ReturnType<Engine['verify']>
}

/** Delivers them, with checksums unless the registration says otherwise. */
export async function deliverNumbers(
  registration: SinkRegistration,
  source: Partial<ArrowSourceOptions> = {},
): Promise<DeliveredNumbers> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-verify-'))
  const store = memoryStore()
  const engine = createEngine({
    source: arrowSource({ dir, files: [3, 2_000, 1], ...source }),
    store,
    lanes: 1,
    keepStagedMs: { completed: 3_600_000 },
    sinks: [{ checksums: true, ...registration }],
  })
  onTestFinished(async () => {
    await engine.close()
    await rm(dir, { recursive: true, force: true })
  })
  const { type, name } = registration.sink
  const job = await finish(engine, await engine.create(allNumbers(registration.sink)))
  return { engine, store, job, verify: () => engine.verify(job.job_id, { type, name }) }
}

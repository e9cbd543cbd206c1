import type { Source } from '../sources/source.ts'
import type { JobRecord, Lease, Store } from '../stores/store.ts'
import type { MemoryBudget } from './budget.ts'
import type { Lanes } from './lanes.ts'
import type { Settings } from './options.ts'
import type { Runner } from './runner.ts'

/** What an engine works with. */
export interface Surroundings {
  readonly source: Source
  readonly store: Store
  readonly lanes: Lanes
  readonly memory: MemoryBudget
  readonly runner: Runner
  readonly settings: Settings
  /** Called after every stored change of the job. */
  onChanged(jobId: string): void
}

/** A job that this process owns, with all that working on it needs. */
export interface OwnedJob {
  readonly record: JobRecord
  readonly lease: Lease
  readonly surroundings: Surroundings
}

/** For commands that work on a job of the store with an engine: source and destinations as `millrace run` takes them. */
import { Option } from 'commander'
import type { DestinationName } from '../core/destination-name.ts'
import type { Engine, Scope } from '../core/engine.ts'
import { type Problem, RequestError } from '../core/errors.ts'
import type { JobRecord } from '../stores/store.ts'
import { readSetup } from './setup.ts'
import { requireJob, type StoreFlags, withStore } from './store-access.ts'

export interface EngineFlags extends StoreFlags {
  readonly from?: string
  readonly to?: string | readonly string[]
  readonly json?: boolean
}

export const fromOption = () => new Option('--from <source>', 'instead of a configuration; see "millrace run --help"')
export const jsonOption = () => new Option('--json', 'print the outcome as lines of JSON')

export interface JobEngine {
  readonly engine: Engine
  readonly job: JobRecord
  /** The job's organization: on the command line there are no others. */
  readonly scope: Scope
  /** What `--to` says. */
  readonly destinations: readonly DestinationName[]
}

/** The engine takes up nothing by itself; `use` has to close it. */
export async function withJobEngine(
  flags: EngineFlags,
  jobId: string,
  use: (open: JobEngine) => Promise<number>,
): Promise<number> {
  return withStore(flags, async store => {
    const job = await requireJob(store, jobId)
    const problems: Problem[] = []
    const { to: target, from, config } = flags
    const to = target === undefined ? [] : [target].flat()
    const given = { to, ...(from === undefined ? {} : { from }), ...(config === undefined ? {} : { config }) }
    const setup = await readSetup(given, { table: job.request.table, partitionKey: job.partitionKey }, problems)
    if (from !== undefined && to.length === 0)
      problems.push({ path: '--to', message: 'is required with --from: the destinations of the job' })
    if (problems.length > 0) throw new RequestError(problems)
    const options = await setup.options()
    // only now: help and mistakes are answered without waiting for all of it to load
    const { createEngine } = await import('../core/engine.ts')
    const engine = createEngine({ ...options, store, takeOver: false })
    const scope = { organization_id: job.organizationId }
    return use({ engine, job, scope, destinations: setup.destinations })
  })
}

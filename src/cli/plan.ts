import { type DestinationName, findNamed } from '../core/destination-name.ts'
import type { Sample } from '../core/dry-run.ts'
import type { Engine } from '../core/engine.ts'
import { ConfigError, isMillraceError, MillraceError, type Problem, RequestError } from '../core/errors.ts'
import { isFinal, type Job } from '../core/job.ts'
import type { EngineOptions } from '../core/options.ts'
import type { BackfillRequest } from '../core/request.ts'
import type { Estimate } from '../sources/source.ts'
import { FILES_TABLE, parseSource } from './endpoint.ts'
import { asObject, draftRequest, type RequestDraft, type RequestFlags, toFlags } from './request-flags.ts'
import { readSetup, type SetupFlags, sinksOf } from './setup.ts'
import { filterFromFile } from './values-file.ts'

export interface RunFlags extends RequestFlags, SetupFlags {
  readonly store?: string
  readonly resume?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

export interface RunPlan {
  readonly options: EngineOptions
  start(engine: Engine): Promise<Job>
  /** What `start` would do. */
  preview(engine: Engine): Promise<Preview>
}

/** As `--json` prints it. */
export interface Preview {
  readonly estimate: Estimate
  readonly samples: readonly Sample[]
}

/** Makes of the arguments of `millrace run` what an engine needs. Rejects with a `RequestError` of all that is wrong with them. */
export async function planRun(file: string | undefined, given: RunFlags): Promise<RunPlan> {
  const flags = file === undefined ? withTable(given) : given
  const problems: Problem[] = []
  const draft = await draftRequest(file, flags, flags.resume !== undefined, problems)
  const { partition_key } = asObject(draft.request['backfill_window'])
  const setup = await readSetup(
    flags,
    { table: asText(draft.request['table']), partitionKey: asText(partition_key) },
    problems,
  )
  const needsTo = flags.from !== undefined || (file === undefined && flags.resume === undefined)
  if (needsTo && flags.to === undefined) problems.push({ path: '--to', message: 'is required: say where the rows go' })
  if (flags.dryRun && flags.resume !== undefined)
    problems.push({ path: '--dry-run', message: 'cannot be combined with --resume' })
  if (problems.length > 0) throw new RequestError(problems)

  const { resume } = flags
  const options = await setup.options()
  const submit: Submit = (engine, use) => submitDraft(engine, draft, setup.destinations, flags, use)
  return {
    options,
    start: engine =>
      resume === undefined ? submit(engine, request => engine.create(request)) : resumeJob(engine, resume, options),
    preview: engine =>
      submit(engine, async request => ({
        estimate: await engine.estimate(request),
        samples: await engine.sample(request),
      })),
  }
}

/** Files have no name of their own that a table could go by. */
function withTable(flags: RunFlags): RunFlags {
  const source = parseSource(flags.from ?? '')
  const isFiles = 'type' in source && source.type === 'files'
  return isFiles && flags.table === undefined ? { ...flags, table: FILES_TABLE } : flags
}

type Submit = <T>(engine: Engine, use: (request: BackfillRequest) => Promise<T>) => Promise<T>

async function submitDraft<T>(
  engine: Engine,
  { request, values }: RequestDraft,
  destinations: readonly DestinationName[],
  flags: RunFlags,
  use: (request: BackfillRequest) => Promise<T>,
): Promise<T> {
  const whole = {
    ...request,
    ...(destinations.length > 0 ? { destinations } : {}),
    ...(values ? { filter: await filterFromFile(values.column, values.path, engine) } : {}),
  }
  try {
    // the engine checks all of it
    return await use(whole as unknown as BackfillRequest)
  } catch (error) {
    throw isMillraceError(error) && error.problems.length > 0 ? new RequestError(toFlags(error.problems, flags)) : error
  }
}

async function resumeJob(engine: Engine, jobId: string, { source, sinks }: EngineOptions): Promise<Job> {
  const job = await engine.get(jobId)
  if (isFinal(job.status)) throw new MillraceError('conflict', `job ${jobId} is already ${job.status}`)
  const known = sinksOf(sinks)
  const fits = job.destinations.every(destination => findNamed(known, destination))
  if (fits && (await source.tables()).includes(job.table)) return job
  // an engine leaves a job alone that it cannot finish, so that waiting for it would be for ever
  const names = job.destinations.map(({ type, name }) => `${type}:${name}`).join(', ')
  throw new ConfigError(
    `job ${jobId} goes from table ${job.table} to ${names}: resume it with the configuration, or the --from, --table and --to, that it was started with`,
  )
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

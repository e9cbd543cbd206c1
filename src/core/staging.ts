/** The first half of a job: its window becomes files. And their end: they are removed. */
import type { Source, StageRequest, TableSchema } from '../sources/source.ts'
import type { JobRecord, Manifest, StagingState, Store } from '../stores/store.ts'
import { nameOf } from './destination-name.ts'
import { closeWithin, openSession } from './destination-run.ts'
import { publish } from './diagnostics.ts'
import { failureOf } from './opening.ts'
import type { OwnedJob } from './owned-job.ts'
import { planSpanRows, planUnits } from './plan.ts'
import { registeredSinks, resolveRequest } from './resolve.ts'

/** Rejects with `signal.reason` when that aborts. */
export async function stageJob(job: OwnedJob, signal: AbortSignal): Promise<Manifest> {
  const { record, lease, surroundings } = job
  const { source, store, settings } = surroundings
  const { destinations } = settings
  const sinks = registeredSinks(settings)
  const resolved = await resolveRequest(record.request, { source, store, sinks }, signal)
  await probeDestinations(job, resolved.schema, signal)
  const { stagingId, saved } = await beginStaging(job, signal)
  const request: StageRequest = {
    jobId: record.jobId,
    stagingId,
    schema: resolved.schema,
    window: resolved.window,
    ...(resolved.filter ? { filter: resolved.filter } : {}),
    sorted: record.destinations.some(destination => destinations.get(nameOf(destination))!.delivery.order === 'total'),
    fileBytes: settings.stagedFileBytes,
  }
  const { files, residual, tableColumns } = await source.stage(
    request,
    saved ?? undefined,
    state => store.saveStaging(lease, { stagingId, saved: state }),
    signal,
  )
  signal.throwIfAborted()
  return {
    schema: resolved.schema,
    files,
    ...(residual ? { residual } : {}),
    ...(tableColumns ? { tableColumns } : {}),
    spanRows: planSpanRows(files),
    units: planUnits(files, settings.stagedFileBytes),
  }
}

/**
 * Before anything is staged: are the destinations there, and do they take what will be sent? Asked once: who starts a job is to hear
 * at once what is wrong with it.
 */
async function probeDestinations(job: OwnedJob, schema: TableSchema, signal: AbortSignal): Promise<void> {
  for (const destination of job.record.destinationRecords) {
    const session = await openSession(job, destination, { schema, probe: true, signal }).catch(error => {
      throw signal.aborted ? error : failureOf(destination, error)
    })
    await closeWithin(session)
  }
}

/** Goes on with a staging that saved how to be found again; anything else left by an earlier owner is removed. */
async function beginStaging({ record, lease, surroundings }: OwnedJob, signal: AbortSignal): Promise<StagingState> {
  const { source, store } = surroundings
  if (record.staging && record.staging.saved !== null) return record.staging
  if (record.staging) await source.discard(record.staging.stagingId, undefined, signal)
  const staging = { stagingId: `${record.jobId}-${lease.epoch}`, saved: null }
  await store.saveStaging(lease, staging)
  return staging
}

/** Removes the staged files of a job that has ended. Answers whether they are gone: they may be another source's, or not to be removed now. */
export async function discardEnded({ jobId, request }: JobRecord, store: Store, source: Source): Promise<boolean> {
  if (!(await source.tables()).includes(request.table)) return false
  const staging = await store.beginDiscard(jobId)
  if (!staging) return true
  if (!(await discardStaged(source, staging))) return false
  await store.discarded(jobId)
  return true
}

const DISCARD_MS = 30_000

/**
 * Whether they are gone. Files that are left behind do no harm to the rows, so they fail no job. Only where a stored state, or the
 * caller's lease, forbids others to read them.
 */
export async function discardStaged(source: Source, { stagingId, saved }: StagingState): Promise<boolean> {
  try {
    await source.discard(stagingId, saved ?? undefined, AbortSignal.timeout(DISCARD_MS))
    return true
  } catch (error) {
    publish('warning', { message: `the staged files of ${stagingId} were not removed`, error })
    return false
  }
}

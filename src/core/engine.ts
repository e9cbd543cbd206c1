import { randomUUID } from 'node:crypto'
import type { Estimate } from '../sources/source.ts'
import { sqliteStore } from '../stores/sqlite.ts'
import type { Claimable, JobRecord, Pace, ValueSet, Wishes } from '../stores/store.ts'
import { MemoryBudget } from './budget.ts'
import { Changes } from './changes.ts'
import { type StoredDeadLetter, storedDeadLetters } from './dead-letters.ts'
import { type DestinationName, findNamed, nameOf } from './destination-name.ts'
import { publish } from './diagnostics.ts'
import { estimateRequest, type Sample, sampleRequest } from './dry-run.ts'
import { isMillraceError, MillraceError, type Problem, RequestError } from './errors.ts'
import { repeatableId, requireSameRequest } from './idempotency.ts'
import { isFinal, type Job, type JobStatus } from './job.ts'
import { toJob as viewOf } from './job-view.ts'
import { createLanes } from './lanes.ts'
import { type EngineOptions, resolveOptions } from './options.ts'
import { Owner } from './owner.ts'
import { readPace } from './pace.ts'
import { makeReceipt, type Receipt } from './receipt.ts'
import { planRedelivery, requireSinks } from './redelivery.ts'
import type { RedriveResult } from './redrive.ts'
import { Redrives } from './redrives.ts'
import type { BackfillRequest } from './request.ts'
import { registeredSinks, resolveRequest } from './resolve.ts'
import { inProcessRunner } from './runner.ts'
import { type Verification, verifyDelivery } from './verify.ts'
import { wishOf } from './wishes.ts'

export interface Engine {
  /**
   * Checks the request against its schema, the catalogue and the destinations, stores the job and starts it.
   * Rejects with a `RequestError` that lists every problem. With an `idempotency_key` that the organization has used before, answers the
   * job of then, for good; rejects with code `conflict` if that was of another request.
   */
  create(request: BackfillRequest, options?: Scope & { readonly idempotency_key?: string }): Promise<Job>
  /**
   * What the request would come to, without making a job of it or staging anything: how much, by which SQL, and what becomes of each
   * column. Rejects as `create` does, and with code `conflict` where the source cannot tell.
   */
  estimate(request: BackfillRequest, options?: { readonly signal?: AbortSignal }): Promise<Estimate>
  /**
   * One row of the request, whichever, as each of its destinations would get it; none where no row matches. The row is staged for that,
   * and what was staged removed; destinations are asked whether they would take it, and sent nothing. Rejects as `create` does.
   */
  sample(request: BackfillRequest, options?: { readonly signal?: AbortSignal }): Promise<readonly Sample[]>
  /** Rejects with code `not_found`. */
  get(jobId: string, scope?: Scope): Promise<Job>
  /** Newest first. */
  list(query?: JobQuery): Promise<readonly Job[]>
  /**
   * Asks for the job to stop, and answers it as it is now; it ends `cancelled` once what is in flight has settled.
   * Asking twice is asking once. Rejects with code `conflict` if the job is already final.
   */
  cancel(jobId: string, scope?: Scope): Promise<Job>
  /**
   * A failed job goes on from its checkpoints, with only what is left of the destinations that are not through; where staging failed,
   * it is staged afresh. Rejects with code `conflict` if the job is not failed, or its staged files were removed (`keepStagedMs`),
   * `invalid_request` if a destination that is left is not registered.
   */
  retry(jobId: string, scope?: Scope): Promise<Job>
  /**
   * Delivers the staged files of a job that has ended to one destination: once more, all chunks or some, or for the first time to one
   * that the job did not have. Rejects with code `conflict` if the job has not ended, or failed before it was staged, or its
   * staged files were removed (`keepStagedMs`), `invalid_request` for a destination or chunks that there are not.
   */
  redeliver(jobId: string, redelivery: Redelivery, scope?: Scope): Promise<Job>
  /**
   * What is in flight settles, and nothing more is sent until `resume`, not even by another process after a restart; a window that is
   * being staged is staged to its end. Rejects with code `conflict` if the job is final. Pausing twice is pausing once.
   */
  pause(jobId: string, scope?: Scope): Promise<Job>
  resume(jobId: string, scope?: Scope): Promise<Job>
  /**
   * Limits how fast the job is delivered to one of its destinations, from now on and after restarts; `null`: as the destination is
   * registered, `{}`: not at all. Holds at once for what waits. Rejects with code `invalid_request` for a destination that the job does
   * not have or a limit that is no whole number above 0, `conflict` if the job is final.
   */
  setPace(jobId: string, destination: DestinationName, pace: Pace | null, scope?: Scope): Promise<Job>
  /**
   * The rows that destinations of the job refused for good, by destination, chunk and row, those of one destination or of all. Read from
   * the store as they are asked for, never all in memory. Throws `invalid_request` for a destination that the job does not have.
   */
  deadLetters(jobId: string, destination?: DestinationName, scope?: Scope): AsyncIterable<StoredDeadLetter>
  /**
   * Sends the dead letters of one destination of a job that has ended once more, with the destination's retries. What it takes is
   * removed and counts as delivered; what it refuses again stays, with the new cause and time. At least once: a crash, or another process
   * that does the same at the same time, may send rows twice, in batches of the same names. Rejects with code `conflict` if the job has not ended, or this
   * is under way; `invalid_request` for a destination that the job does not have or nobody registered.
   */
  redrive(
    jobId: string,
    destination: DestinationName,
    options?: Scope & { readonly signal?: AbortSignal },
  ): Promise<RedriveResult>
  /**
   * The job as it is now, then again whenever it has changed, ending after its final state. A slow consumer misses
   * states in between, never the last.
   */
  watch(jobId: string, options?: Scope & { readonly signal?: AbortSignal }): AsyncIterable<Job>
  /** What became of every chunk, and what the destinations can show for it; also of a job under way. */
  receipt(jobId: string, scope?: Scope): Promise<Receipt>
  /**
   * Reads back what a destination of the job holds, and judges it by the receipt. Rejects with code `invalid_request` if the job does not
   * have the destination, no such sink is registered, or it does not read back, and with a `DeliveryError` if it cannot be read.
   */
  verify(
    jobId: string,
    destination: DestinationName,
    options?: Scope & { readonly signal?: AbortSignal },
  ): Promise<Verification>
  /** Stores a value set for `filter.values_ref`. */
  putValues(values: AsyncIterable<readonly string[]>): Promise<ValueSet>
  /**
   * Stops working: what is in flight settles, checkpoints are stored, leases given up. Unfinished jobs go on when an
   * engine starts on the same store. Idempotent.
   */
  close(): Promise<void>
}

/** Whose jobs. Default: `default`; in `get`, `cancel` and `watch` another organization's job is `not_found`. */
export interface Scope {
  readonly organization_id?: string
}

export interface JobQuery extends Scope {
  readonly status?: JobStatus
  readonly table?: string
  readonly limit?: number
  readonly before?: { readonly time_created: string; readonly job_id: string }
}

export interface Redelivery extends DestinationName {
  /** Chunk numbers from `from` on, up to but not including `to`. Default: all. */
  readonly chunks?: { readonly from: number; readonly to: number }
}

/** Validates the options (throws a `ConfigError`), and begins to take over jobs whose owner is gone. */
export function createEngine(options: EngineOptions): Engine {
  const settings = resolveOptions(options)
  const store = options.store ?? sqliteStore()
  const { source } = options
  const changes = new Changes()
  const lanes = createLanes(settings.lanes)
  const memory = new MemoryBudget(settings.memoryBudgetBytes)
  const runner = inProcessRunner()
  const onChanged = (jobId: string): void => changes.announce(jobId)
  const surroundings = { source, store, lanes, memory, runner, settings, onChanged }
  const owner = new Owner(surroundings, options.takeOver ?? true)
  const redrives = new Redrives(surroundings)
  const sinks = registeredSinks(settings)
  let closed: Promise<void> | undefined
  const toJob = (found: JobRecord): Job => viewOf(found, settings.destinations)

  async function record(jobId: string, scope: Scope = {}): Promise<JobRecord> {
    const found = await store.get(jobId)
    if (found && found.organizationId === organizationOf(scope)) return found
    throw new MillraceError('not_found', `there is no job ${jobId}`)
  }

  /** Of a job that is not final; its owner, here or elsewhere, hears of it. */
  async function wish(jobId: string, wishes: Wishes, scope?: Scope): Promise<Job> {
    await record(jobId, scope)
    const after = await wishOf(store, jobId, wishes)
    owner.hurry(jobId)
    // a queued one would be in the line until its turn, only to end
    if (after.wishes.cancel && after.beat === 0) await claimLater(after)
    changes.announce(jobId)
    return toJob(after)
  }

  /** Takes a job up that was final. */
  async function goOn({ jobId, epoch, beat }: JobRecord): Promise<Job> {
    await claimLater({ jobId, epoch, beat })
    changes.announce(jobId)
    return toJob(await store.get(jobId).then(found => found!))
  }

  /** Stored, it will be done: a claim that fails now is made good by the next scan. */
  async function claimLater({
    jobId,
    epoch,
    beat,
    wishes,
  }: Claimable & Pick<Partial<JobRecord>, 'wishes'>): Promise<void> {
    const seen = { jobId, epoch, beat }
    await owner
      .claim(seen, wishes?.cancel ?? false)
      .catch(error => publish('warning', { message: `job ${seen.jobId} could not be claimed yet`, error }))
  }

  async function close(): Promise<void> {
    await Promise.all([owner.close(), redrives.close()])
    await lanes.close()
    changes.end()
    if (options.store === undefined) await store.close()
    await source.close?.()
  }

  return {
    async create(input, { idempotency_key: key, ...scope } = {}) {
      if (closed) throw new MillraceError('cancelled', 'the engine is closed')
      const organizationId = organizationOf(scope)
      const jobId = key === undefined ? randomUUID() : repeatableId(organizationId, key)
      // before the rest is checked, which may have changed since
      const before = key === undefined ? undefined : await store.get(jobId)
      if (before) return toJob(requireSameRequest(before, input))
      const resolved = await resolveRequest(input, { source, store, sinks }, AbortSignal.timeout(DESCRIBE_MS))
      const { request, destinations } = resolved
      const timeCreated = new Date().toISOString()
      try {
        const partitionKey = resolved.window.column
        await store.create({ jobId, organizationId, request, partitionKey, destinations, timeCreated })
      } catch (error) {
        if (key === undefined || !isMillraceError(error) || error.code !== 'conflict') throw error
        return toJob(requireSameRequest(await record(jobId, scope), input))
      }
      await claimLater({ jobId, epoch: 0, beat: 0 })
      return toJob(await record(jobId, scope))
    },
    estimate: (request, { signal = new AbortController().signal } = {}) =>
      estimateRequest(request, surroundings, signal),
    sample: (request, { signal = new AbortController().signal } = {}) => sampleRequest(request, surroundings, signal),
    async get(jobId, scope) {
      return toJob(await record(jobId, scope))
    },
    async list({ organization_id, before, ...query } = {}) {
      const page = before ? { before: { timeCreated: before.time_created, jobId: before.job_id } } : {}
      const records = await store.list({ ...query, ...page, organizationId: organizationOf({ organization_id }) })
      return records.map(toJob)
    },
    cancel: (jobId, scope) => wish(jobId, { cancel: true }, scope),
    async retry(jobId, scope) {
      const before = await record(jobId, scope)
      redrives.requireNone(jobId)
      const left = before.destinationRecords.filter(({ state }) => state !== 'completed')
      requireSinks(left, settings)
      const after = await store.reopen(jobId, ['failed'], { goOn: left.map(({ uid }) => uid) })
      return goOn(after)
    },
    async redeliver(jobId, redelivery, scope) {
      const before = await record(jobId, scope)
      redrives.requireNone(jobId)
      return goOn(await store.reopen(jobId, ['completed', 'failed'], planRedelivery(before, redelivery, settings)))
    },
    async receipt(jobId, scope) {
      return makeReceipt(store, await record(jobId, scope))
    },
    async verify(jobId, destination, { signal = new AbortController().signal, ...scope } = {}) {
      const found = await record(jobId, scope)
      requireSinks([destination], settings)
      return verifyDelivery(store, found, settings.destinations.get(nameOf(destination))!, signal)
    },
    pause: (jobId, scope) => wish(jobId, { pause: true }, scope),
    resume: (jobId, scope) => wish(jobId, { pause: false }, scope),
    async setPace(jobId, destination, pace, scope) {
      const { destinations } = await record(jobId, scope)
      const problems: Problem[] = []
      const known = findNamed(destinations, destination)
      if (!known) problems.push({ path: 'destination', message: `job ${jobId} has no ${nameOf(destination)}` })
      const wished = pace && readPace(pace, 'pace', problems)
      if (!known || problems.length > 0) throw new RequestError(problems)
      return wish(jobId, { pace: { [known.uid]: wished } }, scope)
    },
    async *deadLetters(jobId, destination, scope) {
      yield* storedDeadLetters(store, await record(jobId, scope), destination)
    },
    async redrive(jobId, destination, { signal, ...scope } = {}) {
      return redrives.run(await record(jobId, scope), destination, signal)
    },
    async *watch(jobId, { signal, ...scope } = {}) {
      const over = new AbortController()
      const waiting = signal ? AbortSignal.any([signal, over.signal]) : over.signal
      try {
        for (let last: string | undefined; ; ) {
          signal?.throwIfAborted()
          const changed = changes.next(jobId, WATCH_POLL_MS, waiting)
          const job = toJob(await record(jobId, scope))
          const state = JSON.stringify(job)
          if (state !== last) yield job
          if (isFinal(job.status)) return
          last = state
          await changed
          if (changes.ended) return
        }
      } finally {
        over.abort()
      }
    },
    putValues: values => store.putValueSet(values),
    close: () => (closed ??= close()),
  }
}

/** How long the source may take to describe a table. */
const DESCRIBE_MS = 60_000
/** Changes made by other processes are seen this often. */
const WATCH_POLL_MS = 500

function organizationOf(scope: { readonly organization_id?: string | undefined }): string {
  return scope.organization_id ?? 'default'
}

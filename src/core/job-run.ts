/** One job in the hands of its owner: staging, delivery to every destination, and the end. */
import type { SinkSession } from '../sinks/sink.ts'
import type { Source, StageRequest } from '../sources/source.ts'
import type { JobRecord, Lease, Manifest, Store, Wishes } from '../stores/store.ts'
import { publish } from './diagnostics.ts'
import { asMillraceError, CancelledError, isMillraceError, MillraceError } from './errors.ts'
import { isFinal } from './job.ts'
import type { Lanes } from './lanes.ts'
import type { Destination, Settings } from './options.ts'
import { planSpanRows, planUnits } from './plan.ts'
import { type Resolved, resolveRequest } from './resolve.ts'
import type { Delivery, Runner } from './runner.ts'
import { jobTransitions, type Transitions } from './transitions.ts'
import type { Checkpoint, DestinationRef, ReportAnswer, Unit, UnitReport } from './unit.ts'

export interface Surroundings {
  readonly source: Source
  readonly store: Store
  readonly lanes: Lanes
  readonly runner: Runner
  readonly settings: Settings
  /** Called after every stored change of the job. */
  onChanged(jobId: string): void
}

/** Why work is given up without the job having ended: the process leaves, or has lost the job. */
class Left extends MillraceError {
  constructor(message: string, cause?: unknown) {
    super('cancelled', message, { cause })
  }
}

const BEAT_MS = 500
/** How long a sink may take to close. */
const CLOSE_MS = 10_000

export interface JobRun {
  /** Resolves when the job is final, or given up after `leave` or a lost lease. Never rejects. */
  readonly ended: Promise<void>
  /** Looks for wishes now, not at the next beat. */
  hurry(): void
  /** Settles and checkpoints what is in flight and gives the job up, to go on later. */
  leave(): void
}

export function runJob(lease: Lease, surroundings: Surroundings): JobRun {
  const run = new Run(lease, surroundings)
  return { ended: run.run(), hurry: () => void run.beat(), leave: () => run.stop('drain') }
}

class Run {
  readonly #lease: Lease
  readonly #with: Surroundings
  /** Ends staging at once, and the delivery after its grace. */
  readonly #staging = new AbortController()
  readonly #delivery = new AbortController()
  #stop: ReportAnswer['stop']
  #grace: NodeJS.Timeout | undefined

  constructor(lease: Lease, surroundings: Surroundings) {
    this.#lease = lease
    this.#with = surroundings
  }

  async run(): Promise<void> {
    const { store, settings } = this.#with
    const beats = setInterval(() => void this.beat(), Math.min(BEAT_MS, settings.leaseMs / 3))
    try {
      const record = await store.get(this.#lease.jobId)
      if (record && !isFinal(record.status)) await this.#live(record)
    } catch (error) {
      if (!(error instanceof Left))
        publish('warning', { message: `job ${this.#lease.jobId} was given up by this process`, error })
    } finally {
      clearInterval(beats)
      clearTimeout(this.#grace)
      await store.release(this.#lease).catch(() => {})
      this.#changed()
    }
  }

  async beat(): Promise<void> {
    try {
      this.#heed(await this.#with.store.beat(this.#lease))
    } catch (error) {
      if (isMillraceError(error) && error.code === 'lease_lost')
        this.#leaveAtOnce(new Left('another process took the job over', error))
      else publish('warning', { message: `the heartbeat of job ${this.#lease.jobId} failed`, error })
    }
  }

  /** `cancel` is stronger than `drain`. */
  stop(stop: 'drain' | 'cancel'): void {
    if (this.#stop === 'cancel' || this.#stop === stop) return
    this.#stop = stop
    const reason = stop === 'cancel' ? new CancelledError('the job was cancelled') : new Left('the engine was closed')
    this.#staging.abort(reason)
    this.#grace ??= setTimeout(() => this.#delivery.abort(reason), this.#with.settings.cancelGraceMs)
  }

  #heed(wishes: Wishes): void {
    if (wishes.cancel) this.stop('cancel')
  }

  #leaveAtOnce(reason: Left): void {
    this.#stop ??= 'drain'
    this.#staging.abort(reason)
    this.#delivery.abort(reason)
  }

  #changed = (): void => this.#with.onChanged(this.#lease.jobId)

  /** From where the job stands to its end. Rejects where the job did not end: the process leaves, the lease or the store is lost. */
  async #live(record: JobRecord): Promise<void> {
    const { store } = this.#with
    const transitions = jobTransitions(store, this.#lease, record.status, this.#changed)
    this.#heed(record.wishes)
    try {
      const resolved = await resolveRequest(
        record.request,
        { ...this.#with, sinks: this.#sinks() },
        this.#staging.signal,
      )
      if (record.status === 'staging') await this.#stage(record, resolved, transitions)
      this.#staging.signal.throwIfAborted()
      const failed = await this.#transport(record, resolved)
      if (this.#stop === 'cancel') throw new CancelledError('the job was cancelled')
      if (this.#stop === 'drain') throw new Left('the engine was closed')
      await this.#discard()
      if (failed) await transitions.fail(failed)
      else await transitions.complete()
    } catch (error) {
      await this.#endOtherwise(error, transitions)
    }
  }

  async #endOtherwise(error: unknown, transitions: Transitions): Promise<void> {
    const storeLost = isMillraceError(error) && (error.code === 'store_failed' || error.code === 'lease_lost')
    if (this.#stop === 'cancel' && !storeLost) {
      await this.#discard()
      return transitions.cancel()
    }
    if (storeLost || this.#stop === 'drain' || error instanceof Left) throw error
    await this.#discard()
    await transitions.fail(asMillraceError(error, 'the job failed'))
  }

  #sinks(): Destination['sink'][] {
    return [...this.#with.settings.destinations.values()].map(({ sink }) => sink)
  }

  async #stage(record: JobRecord, resolved: Resolved, transitions: Transitions): Promise<void> {
    const { source, store, settings } = this.#with
    const { signal } = this.#staging
    await this.#probe(record, resolved)
    const staging = await this.#beginStaging(record)
    const sorted = record.destinations.some(destination => this.#destination(destination).delivery.order === 'total')
    const request: StageRequest = {
      jobId: record.jobId,
      stagingId: staging.stagingId,
      schema: resolved.schema,
      window: resolved.window,
      ...(resolved.filter ? { filter: resolved.filter } : {}),
      sorted,
      fileBytes: settings.stagedFileBytes,
    }
    const save = (saved: typeof staging.saved): Promise<void> =>
      store.saveStaging(this.#lease, { stagingId: staging.stagingId, saved })
    const { files, residual } = await source.stage(request, staging.saved ?? undefined, save, signal)
    signal.throwIfAborted()
    await transitions.beginTransport({
      files,
      ...(residual ? { residual } : {}),
      spanRows: planSpanRows(files),
      units: planUnits(files, settings.stagedFileBytes),
    })
  }

  /** Before anything is staged: are the destinations there, and do they take what will be sent? */
  async #probe(record: JobRecord, resolved: Resolved): Promise<void> {
    for (const ref of record.destinations) {
      const session = await this.#open(record, ref, resolved, true, this.#staging.signal)
      await session.close()
    }
  }

  /** Goes on with a staging that saved how to be found again; anything else left by an earlier owner is removed. */
  async #beginStaging(record: JobRecord): Promise<NonNullable<JobRecord['staging']>> {
    const { source, store } = this.#with
    if (record.staging && record.staging.saved !== null) return record.staging
    if (record.staging) await source.discard(record.staging.stagingId, undefined, this.#staging.signal)
    const staging = { stagingId: `${record.jobId}-${this.#lease.epoch}`, saved: null }
    await store.saveStaging(this.#lease, staging)
    return staging
  }

  /** Delivers to every destination at the same time; one that fails leaves the others alone. Answers what the job fails with. */
  async #transport(record: JobRecord, resolved: Resolved): Promise<MillraceError | undefined> {
    const manifest = await this.#with.store.manifest(record.jobId)
    if (!manifest) throw new MillraceError('internal', 'the manifest of the staged files is missing in the store')
    const failures = await Promise.all(
      record.destinationRecords.map(async destination => {
        if (destination.state === 'completed') return undefined
        const name = `${destination.type}/${destination.name}`
        if (destination.state === 'failed')
          return new MillraceError('delivery_failed', `${name}: ${destination.error?.message}`)
        return this.#deliver(record, destination, resolved, manifest, name)
      }),
    )
    const failed = failures.filter(failure => failure !== undefined)
    if (failed.length <= 1) return failed[0]
    return new MillraceError(failed[0]!.code, failed.map(failure => failure.message).join('; '), { cause: failed[0] })
  }

  async #deliver(
    record: JobRecord,
    destination: JobRecord['destinationRecords'][number],
    resolved: Resolved,
    manifest: Manifest,
    name: string,
  ): Promise<MillraceError | undefined> {
    const { store, runner } = this.#with
    try {
      await store.setDestination(this.#lease, destination.uid, { state: 'delivering' })
      const session =
        manifest.files.length > 0
          ? await this.#open(record, destination, resolved, false, this.#delivery.signal)
          : undefined
      try {
        const result = session
          ? await runner.run(this.#units(record, destination, resolved, manifest, session), this.#delivery.signal)
          : 'done'
        if (result === 'stopped') return undefined
      } finally {
        await settleWithin(CLOSE_MS, session?.close())
      }
      await store.setDestination(this.#lease, destination.uid, { state: 'completed' })
      return undefined
    } catch (error) {
      if (this.#stop !== undefined) return undefined
      const failure = asMillraceError(error, 'delivery')
      if (failure.code === 'store_failed' || failure.code === 'lease_lost') throw failure
      await store.setDestination(this.#lease, destination.uid, {
        state: 'failed',
        error: { code: failure.code, message: failure.message },
      })
      return new MillraceError(failure.code, `${name}: ${failure.message}`, { cause: failure })
    } finally {
      this.#changed()
    }
  }

  #open(
    record: JobRecord,
    ref: DestinationRef,
    resolved: Resolved,
    probe: boolean,
    signal: AbortSignal,
  ): Promise<SinkSession> {
    const { sink, delivery } = this.#destination(ref)
    const { type, name, uid } = ref
    const saved = record.destinationRecords.find(each => each.uid === uid)?.saved
    return sink.open({
      jobId: record.jobId,
      organizationId: record.organizationId,
      destination: { type, name, uid },
      schema: resolved.schema,
      order: delivery.order,
      probe,
      leaseEpoch: probe ? 0 : this.#lease.epoch,
      saved,
      save: state => this.#with.store.setDestination(this.#lease, uid, { saved: state }),
      signal,
    })
  }

  #destination({ type, name }: DestinationRef): Destination {
    return this.#with.settings.destinations.get(`${type}/${name}`)!
  }

  #units(
    record: JobRecord,
    ref: DestinationRef,
    resolved: Resolved,
    manifest: Manifest,
    session: SinkSession,
  ): Delivery {
    const { source, store, lanes, settings } = this.#with
    const { delivery } = this.#destination(ref)
    const { type, name, uid } = ref
    return {
      units: manifest.units.length,
      unitsInFlight: delivery.unitsInFlight,
      start: async index => {
        const id = `${record.jobId}/${uid}/0/${index}`
        const attempt = await store.startUnit(this.#lease, id)
        const { [uid]: stored = [] } = await store.checkpoints(record.jobId)
        return {
          id,
          attempt,
          jobId: record.jobId,
          organizationId: record.organizationId,
          leaseEpoch: this.#lease.epoch,
          destination: { type, name, uid },
          delivery: 0,
          chunks: manifest.units[index]!.map(chunk => ({ chunk, file: manifest.files[chunk]! })),
          from: stored.filter((checkpoint: Checkpoint) => manifest.units[index]!.includes(checkpoint.chunk)),
          ...(manifest.residual ? { predicate: manifest.residual } : {}),
          spanRows: manifest.spanRows,
          order: delivery.order,
          limits: { ...delivery, rowGroupBudgetBytes: settings.rowGroupBudgetBytes },
        } satisfies Unit
      },
      tools: {
        session,
        read: plan =>
          lanes.read(
            plan,
            chunk => source.access(manifest.files[chunk]!, this.#delivery.signal),
            () => resolved.filter!.values(),
          ),
        report: report => this.#report(report, delivery.maxDeadLetters),
      },
    }
  }

  async #report(report: UnitReport, maxDeadLetters: number): Promise<ReportAnswer> {
    const empty = report.checkpoints.length === 0 && report.deadLetters.length === 0 && report.proof.length === 0
    let deadLettersRefused = 0
    if (!empty) {
      const answer = await this.#with.store.report(this.#lease, report, maxDeadLetters)
      deadLettersRefused = answer.deadLettersRefused
      this.#heed(answer.wishes)
      this.#changed()
    }
    return { deadLettersRefused, ...(this.#stop === undefined ? {} : { stop: this.#stop }) }
  }

  /** What is left behind does no harm, so it fails no job. */
  async #discard(): Promise<void> {
    const { source, store } = this.#with
    const record = await store.get(this.#lease.jobId)
    if (!record?.staging) return
    const { stagingId, saved } = record.staging
    try {
      await source.discard(stagingId, saved ?? undefined, AbortSignal.timeout(CLOSE_MS))
    } catch (error) {
      publish('warning', { message: `the staged files of ${stagingId} were not removed`, error })
    }
  }
}

async function settleWithin(timeoutMs: number, promise: Promise<void> | undefined): Promise<void> {
  if (promise === undefined) return
  const timeout = new Promise<void>(resolve => setTimeout(resolve, timeoutMs).unref())
  await Promise.race([promise.catch(error => publish('warning', { message: 'a sink did not close', error })), timeout])
}

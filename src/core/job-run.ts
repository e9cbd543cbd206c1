import type { JobRecord, Lease, Pace, StagedState, Wishes } from '../stores/store.ts'
import { deliverTo } from './destination-run.ts'
import { publish } from './diagnostics.ts'
import { asMillraceError, CancelledError, isMillraceError, MillraceError } from './errors.ts'
import { isFinal } from './job.ts'
import type { OwnedJob, Surroundings } from './owned-job.ts'
import { Paces } from './pace.ts'
import { discardStaged, stageJob } from './staging.ts'
import { jobTransitions, type Transitions } from './transitions.ts'
import type { ReportAnswer } from './unit.ts'

/** Why work is given up without the job having ended: the process leaves, or has lost the job. */
class Left extends MillraceError {
  constructor(message: string, cause?: unknown) {
    super('cancelled', message, { cause })
  }
}

const BEAT_MS = 500

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
  #paused = false
  /** Called when the job is to go on, or to end. */
  #resume: () => void = () => {}
  #grace: NodeJS.Timeout | undefined
  readonly #paces = new Paces()

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
    this.#resume()
    const reason = stop === 'cancel' ? new CancelledError('the job was cancelled') : new Left('the engine was closed')
    this.#staging.abort(reason)
    this.#grace ??= setTimeout(() => this.#delivery.abort(reason), this.#with.settings.cancelGraceMs)
  }

  #heed(wishes: Wishes): void {
    this.#paused = wishes.pause ?? false
    if (!this.#paused) this.#resume()
    this.#paces.heed(wishes.pace)
    if (wishes.cancel) this.stop('cancel')
  }

  #leaveAtOnce(reason: Left): void {
    this.#stop ??= 'drain'
    this.#resume()
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
      const failed = await this.#work(record, transitions)
      if (this.#stop === 'cancel') throw new CancelledError('the job was cancelled')
      if (this.#stop === 'drain') throw new Left('the engine was closed')
      const { failed: keepFailedMs, completed: keepCompletedMs } = this.#with.settings.keepStagedMs
      if (failed) await transitions.fail(failed, keptFor(keepFailedMs))
      else await transitions.complete(keepCompletedMs > 0 ? keptFor(keepCompletedMs) : await this.#discard())
    } catch (error) {
      await this.#endOtherwise(error, transitions)
    }
  }

  /** Stages and delivers what is left of that; answers what the job fails with. */
  async #work(record: JobRecord, transitions: Transitions): Promise<MillraceError | undefined> {
    const job = { record, lease: this.#lease, surroundings: this.#with }
    if (record.status === 'staging') await transitions.beginTransport(await stageJob(job, this.#staging.signal))
    for (;;) {
      await this.#unpaused()
      this.#staging.signal.throwIfAborted()
      const { stopped, failed } = await this.#transport()
      // not by whether it is to pause now: it may have been resumed before all had stopped
      if (!stopped) return failed
    }
  }

  /** Waits while the job is to pause; its leases and heartbeats go on. */
  async #unpaused(): Promise<void> {
    while (this.#paused && this.#stop === undefined) {
      await new Promise<void>(resolve => {
        this.#resume = resolve
      })
    }
  }

  /** Delivers to every destination at the same time; one that fails leaves the others alone. */
  async #transport(): Promise<{ readonly stopped: boolean; readonly failed?: MillraceError | undefined }> {
    const { jobId } = this.#lease
    const [record, manifest] = await Promise.all([this.#with.store.get(jobId), this.#with.store.manifest(jobId)])
    if (!record || !manifest)
      throw new MillraceError('internal', 'the manifest of the staged files is missing in the store')
    const job: OwnedJob = { record, lease: this.#lease, surroundings: this.#with }
    const control = {
      signal: this.#delivery.signal,
      ending: this.#staging.signal,
      stop: () => this.#stop ?? (this.#paused ? 'drain' : undefined),
      heed: (wishes: Wishes) => this.#heed(wishes),
      pacer: (uid: string, registered: Pace) => this.#paces.of(uid, registered),
    }
    const deliveries = job.record.destinationRecords.map(async destination => {
      try {
        return await deliverTo(destination, manifest, job, control)
      } catch (error) {
        // without the store none can go on
        this.#delivery.abort(error)
        throw error
      }
    })
    await Promise.allSettled(deliveries)
    const results = await Promise.all(deliveries)
    const stopped = results.includes('stopped')
    const failed = results.filter(result => typeof result === 'object')
    if (failed.length <= 1) return { stopped, failed: failed[0] }
    const message = failed.map(failure => failure.message).join('; ')
    return { stopped, failed: new MillraceError(failed[0]!.code, message, { cause: failed[0] }) }
  }

  async #endOtherwise(error: unknown, transitions: Transitions): Promise<void> {
    const storeLost = isMillraceError(error) && (error.code === 'store_failed' || error.code === 'lease_lost')
    if (this.#stop === 'cancel' && !storeLost) {
      return transitions.cancel(await this.#discard())
    }
    if (storeLost || this.#stop === 'drain' || error instanceof Left) throw error
    // what was staged by half is of no use to a retry
    const staged =
      transitions.status === 'staging' ? await this.#discard() : keptFor(this.#with.settings.keepStagedMs.failed)
    await transitions.fail(asMillraceError(error, 'the job failed'), staged)
  }

  /** Only the owner may: a beat tells whether that is still this process, and keeps others away meanwhile. */
  async #discard(): Promise<StagedState> {
    const { store, source } = this.#with
    await store.beat(this.#lease)
    const staging = (await store.get(this.#lease.jobId))?.staging
    const gone = staging === undefined || (await discardStaged(source, staging))
    return gone ? { state: 'gone' } : { state: 'discarding' }
  }
}

/** Removed by whoever looks for expired files first. */
function keptFor(ms: number): StagedState {
  return { state: 'kept', until: new Date(Date.now() + ms).toISOString() }
}

/**
 * The jobs that this process owns, and those it may come to own: a job whose owner has been silent for `leaseMs` is taken over.
 */
import type { Claimable } from '../stores/store.ts'
import { nameOf } from './destination-name.ts'
import { publish } from './diagnostics.ts'
import { Heartbeats } from './heartbeats.ts'
import { type JobRun, runJob } from './job-run.ts'
import type { Surroundings } from './owned-job.ts'
import { discardEnded } from './staging.ts'

export class Owner {
  readonly #surroundings: Surroundings
  readonly #runs = new Map<string, JobRun>()
  readonly #heartbeats: Heartbeats
  readonly #scans: NodeJS.Timeout
  readonly #takeOver: boolean | readonly string[]
  /** What this process has begun, and goes on with if the store was away for a while. */
  readonly #begun = new Set<string>()
  #scanning: Promise<void> = Promise.resolve()
  #closed = false

  constructor(surroundings: Surroundings, takeOver: boolean | readonly string[]) {
    this.#surroundings = surroundings
    this.#takeOver = takeOver
    this.#heartbeats = new Heartbeats(surroundings.settings.leaseMs)
    const scan = (): void => {
      this.#scanning = this.#scanning.then(() => this.#scan())
    }
    this.#scans = setInterval(scan, surroundings.settings.leaseMs / 3).unref()
    scan()
  }

  /** Takes the job and starts it, unless somebody else was faster. */
  async claim(seen: Claimable): Promise<void> {
    this.#begun.add(seen.jobId)
    const lease = await this.#surroundings.store.claim(seen)
    if (lease === undefined) return
    if (this.#closed) return this.#surroundings.store.release(lease)
    const run = runJob(lease, this.#surroundings)
    this.#runs.set(seen.jobId, run)
    void run.ended.then(() => this.#runs.delete(seen.jobId))
  }

  hurry(jobId: string): void {
    this.#runs.get(jobId)?.hurry()
  }

  /** Resolves when every job of this process has settled what was in flight and is given up. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#scans)
    await this.#scanning
    for (const run of this.#runs.values()) run.leave()
    await Promise.all([...this.#runs.values()].map(run => run.ended))
  }

  async #scan(): Promise<void> {
    try {
      const unfinished = await this.#surroundings.store.unfinished()
      const ours = unfinished.filter(job => !this.#runs.has(job.jobId) && this.#mayHave(job.jobId))
      this.#heartbeats.keep(ours)
      for (const job of ours)
        if (!this.#closed && this.#heartbeats.isAbandoned(job) && (await this.#isFit(job))) await this.claim(job)
      await this.#discardExpired()
    } catch (error) {
      publish('warning', { message: 'looking for jobs to take over failed', error })
    }
  }

  /** Staged files whose time is over, and those whose removal was begun by somebody who did not end it. */
  async #discardExpired(): Promise<void> {
    const { store, source } = this.#surroundings
    for (const jobId of await store.expired(new Date().toISOString())) {
      const record = this.#closed ? undefined : await store.get(jobId)
      if (record) await discardEnded(record, store, source)
    }
  }

  #mayHave(jobId: string): boolean {
    if (this.#begun.has(jobId)) return true
    return typeof this.#takeOver === 'boolean' ? this.#takeOver : this.#takeOver.includes(jobId)
  }

  /** Another process may serve other tables or destinations from the same store. To end a cancelled job takes neither. */
  async #isFit({ jobId }: Claimable): Promise<boolean> {
    const { store, source, settings } = this.#surroundings
    const record = await store.get(jobId)
    if (record?.wishes.cancel) return true
    if (!record?.destinations.every(destination => settings.destinations.has(nameOf(destination)))) return false
    return (await source.tables()).includes(record.request.table)
  }
}

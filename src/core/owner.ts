/**
 * The jobs that this process owns, and those it may come to own: a job whose owner has been silent for `leaseMs` is taken over.
 */
import type { Claimable, JobRecord } from '../stores/store.ts'
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
    this.#scans = setInterval(() => this.#scanSoon(), surroundings.settings.leaseMs / 3).unref()
    this.#scanSoon()
  }

  /**
   * Takes the job and starts it, unless somebody else was faster or its organization has enough jobs under way; one that is only to be
   * ended need not wait for that. Answers whether it was taken.
   */
  async claim(seen: Claimable, toEnd: boolean): Promise<boolean> {
    const { store, settings } = this.#surroundings
    this.#begun.add(seen.jobId)
    const lease = await store.claim(seen, toEnd ? undefined : settings.maxRunningJobs)
    if (lease === undefined) return false
    if (this.#closed) {
      await store.release(lease)
      return false
    }
    const run = runJob(lease, this.#surroundings)
    this.#runs.set(seen.jobId, run)
    void run.ended.then(() => {
      this.#runs.delete(seen.jobId)
      // its place is free
      if (settings.maxRunningJobs !== undefined && !this.#closed) this.#scanSoon()
    })
    return true
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

  #scanSoon(): void {
    this.#scanning = this.#scanning.then(() => this.#scan())
  }

  async #scan(): Promise<void> {
    try {
      const unfinished = await this.#surroundings.store.unfinished()
      const ours = unfinished.filter(job => !this.#runs.has(job.jobId) && this.#mayHave(job.jobId))
      this.#heartbeats.keep(ours)
      const full = new Set<string>()
      for (const job of ours) {
        if (this.#closed || !this.#heartbeats.isAbandoned(job)) continue
        const fit = await this.#fit(job)
        if (!fit) continue
        const { organizationId, wishes } = fit
        const toEnd = wishes.cancel ?? false
        if (!toEnd && full.has(organizationId)) continue
        // those after it are younger
        if (!(await this.claim(job, toEnd))) full.add(organizationId)
      }
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
  async #fit({ jobId }: Claimable): Promise<JobRecord | undefined> {
    const { store, source, settings } = this.#surroundings
    const record = await store.get(jobId)
    if (record?.wishes.cancel) return record
    if (!record?.destinations.every(destination => settings.destinations.has(nameOf(destination)))) return undefined
    return (await source.tables()).includes(record.request.table) ? record : undefined
  }
}

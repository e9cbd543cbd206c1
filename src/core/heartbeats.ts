import type { Claimable } from '../stores/store.ts'

export const DEFAULT_LEASE_MS = 30_000

/**
 * Tells which jobs nobody owns any more: those whose heartbeat has not moved for a lease, by this process's monotonic clock. Wall
 * clocks of different machines are never compared.
 */
export class Heartbeats {
  readonly #leaseMs: number
  readonly #seen = new Map<string, { readonly mark: string; readonly since: number }>()

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  /** To be asked again and again. */
  isAbandoned({ jobId, epoch, beat }: Claimable): boolean {
    if (beat === 0) return true // never claimed, or given up
    const mark = `${epoch}/${beat}`
    const seen = this.#seen.get(jobId)
    if (seen?.mark === mark) return performance.now() - seen.since >= this.#leaseMs
    this.#seen.set(jobId, { mark, since: performance.now() })
    return false
  }

  /** Forgets all jobs but these. */
  keep(jobs: readonly Pick<Claimable, 'jobId'>[]): void {
    for (const known of this.#seen.keys()) if (!jobs.some(job => job.jobId === known)) this.#seen.delete(known)
  }
}

import type { JobRecord } from '../stores/store.ts'
import { requireDestination } from './dead-letters.ts'
import { type DestinationName, nameOf } from './destination-name.ts'
import { CancelledError, MillraceError } from './errors.ts'
import { isFinal } from './job.ts'
import type { Surroundings } from './owned-job.ts'
import { requireSinks } from './redelivery.ts'
import { type RedriveResult, redriveLetters } from './redrive.ts'

/** Those of this process that are under way: one at a time for a destination of a job. */
export class Redrives {
  readonly #surroundings: Surroundings
  readonly #closing = new AbortController()
  /** By destination uid, for each job. */
  readonly #running = new Map<string, Map<string, Promise<unknown>>>()

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  /** Rejects, with nothing changed, with `conflict` if the job is not final or its destination busy, and `invalid_request` if there is no such one. */
  async run(record: JobRecord, to: DestinationName, signal: AbortSignal | undefined): Promise<RedriveResult> {
    const destination = requireDestination(record, to)
    const { jobId, status } = record
    requireSinks([to], this.#surroundings.settings)
    if (!isFinal(status))
      throw new MillraceError(
        'conflict',
        `job ${jobId} is ${status}: its dead letters can be sent again once it has ended`,
      )
    if (this.#running.get(jobId)?.has(destination.uid))
      throw new MillraceError(
        'conflict',
        `the dead letters of job ${jobId} for ${nameOf(to)} are being sent again already`,
      )
    const ended = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    ended.throwIfAborted()
    const job = { record, lease: { jobId, epoch: record.epoch }, surroundings: this.#surroundings }
    const running = redriveLetters(job, destination, ended)
    const ofJob = this.#running.get(jobId) ?? new Map<string, Promise<unknown>>()
    this.#running.set(jobId, ofJob.set(destination.uid, running))
    try {
      return await running
    } finally {
      ofJob.delete(destination.uid)
      if (ofJob.size === 0) this.#running.delete(jobId)
    }
  }

  /** A job that goes on must not settle rows that are on their way. */
  requireNone(jobId: string): void {
    if (this.#running.has(jobId))
      throw new MillraceError('conflict', `dead letters of job ${jobId} are being sent again: wait for their end`)
  }

  /** Ends them; what the destinations took by then is stored. */
  async close(): Promise<void> {
    this.#closing.abort(new CancelledError('the engine was closed'))
    await Promise.allSettled([...this.#running.values()].flatMap(ofJob => [...ofJob.values()]))
  }
}

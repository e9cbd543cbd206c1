import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import type { Store, ValueSet } from '../stores/store.ts'
import type { Job, JobStatus } from './job.ts'
import type { BackfillRequest } from './request.ts'
import type { Order } from './unit.ts'

export interface EngineOptions {
  readonly source: Source
  /** Where rows may be sent. A registration gives one destination its own delivery options. */
  readonly sinks: readonly (Sink | SinkRegistration)[]
  /** Default: `sqliteStore()`, a file in `.millrace/`. */
  readonly store?: Store
  /** Worker threads that read and encode. Default: one less than there are processors, at least 1. 0: in the host's own thread, for debugging. */
  readonly lanes?: number
  /** For every destination that does not say otherwise. */
  readonly delivery?: DeliveryOptions
  /** About how large staged files are to be. Default 32 MiB. */
  readonly stagedFileBytes?: number
  /** Most bytes that decoding one row group of a staged file may take; more fails the job. Default 256 MiB. */
  readonly rowGroupBudgetBytes?: number
  /** A job whose owner has not been heard of for this long may be taken over. Default 30 s. */
  readonly leaseMs?: number
  /** How long a cancelled job waits for what is in flight before it gives that up. Default 10 s. */
  readonly cancelGraceMs?: number
}

export interface SinkRegistration extends DeliveryOptions {
  readonly sink: Sink
}

export interface DeliveryOptions {
  /** Default `none`. */
  readonly order?: Order
  /** Rows sent but not yet covered by a stored checkpoint: the bound on memory, and on what a crash sends twice. Default 200,000. */
  readonly maxUnsettledRows?: number
  /** The same in payload bytes. Default 64 MiB. A span more is possible, since its size is not known before it is read. */
  readonly maxUnsettledBytes?: number
  /** How many rows may be refused for good before the destination fails. Default 0. */
  readonly maxDeadLetters?: number
  /** Units delivered at the same time. Default 2; 1 where `order` is `total`. */
  readonly unitsInFlight?: number
  /** Longest time between two checkpoints. Default 1 s. */
  readonly checkpointMs?: number
  /** How long one batch may be tried, over all attempts. Default 5 minutes. */
  readonly deliveryDeadlineMs?: number
}

export interface Engine {
  /**
   * Checks the request against its schema, the catalogue and the destinations, stores the job and starts it.
   * Rejects with a `RequestError` that lists every problem.
   */
  create(request: BackfillRequest, scope?: Scope): Promise<Job>
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
   * The job as it is now, then again whenever it has changed, ending after its final state. A slow consumer misses
   * states in between, never the last.
   */
  watch(jobId: string, options?: Scope & { readonly signal?: AbortSignal }): AsyncIterable<Job>
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

export declare function createEngine(options: EngineOptions): Engine

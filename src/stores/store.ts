/**
 * The contract of the job store: the durable memory of an engine, and the only thing that several processes share.
 *
 * Every method resolves when its effect is durable, and rejects with a `StoreError` and no effect otherwise. Calls may
 * overlap. Methods that take a {@link Lease} are the owner's: they do nothing and reject with code `lease_lost`
 * unless the lease's epoch is the job's current one. All others may be called by anybody.
 *
 * A final job keeps its last epoch, so that a `beat` or `release` under way does not fail, but nobody can claim it, and
 * `saveStaging`, `startUnit`, `setDestination` and `report` reject with code `conflict`. A destination that the job does not
 * have is `not_found`.
 *
 * Prove an implementation with `testStore` from `millrace/testing`.
 */
import type { Column, TableSchema } from '../columnar/column-type.ts'
import type { Predicate } from '../columnar/predicate.ts'
import type { DestinationState, JobStatus } from '../core/job.ts'
import type { Json } from '../core/json.ts'
import type { BackfillRequest } from '../core/request.ts'
import type { Checkpoint, DeadLetter, DestinationRef, Proof, UnitReport } from '../core/unit.ts'
import type { StagedFile } from '../sources/source.ts'

export interface Store {
  /** Adds a job in status `staging`, owned by nobody, epoch 0. Rejects with code `conflict` if the id is taken. */
  create(job: NewJob): Promise<void>

  get(jobId: string): Promise<JobRecord | undefined>

  /** Newest first by `time_created`, then by id descending. */
  list(query: ListQuery): Promise<readonly JobRecord[]>

  /**
   * Adds to what is wished of a job if its status is one of `when` at that instant; otherwise nothing changes. Answers the
   * job as it then is, or undefined if there is none. The owner learns of it from `beat` and `report`.
   */
  wish(jobId: string, wishes: Wishes, when: readonly JobStatus[]): Promise<JobRecord | undefined>

  /** Jobs that are not final, oldest first by `timeCreated`, then by id, with what is needed to claim them. */
  unfinished(): Promise<readonly Claimable[]>

  /**
   * Makes the caller the owner if epoch and beat are still what the caller saw; the lease has the next epoch. Undefined if
   * they are not. Whether a beat has stood still for long enough is the caller's judgement, on its own monotonic clock.
   *
   * With `mostRunning`, a job that nobody owns is left alone as well if so many unfinished jobs of its organization are owned by
   * somebody, or by nobody although they are older: those come first.
   */
  claim(seen: Claimable, mostRunning?: number): Promise<Lease | undefined>

  /** Says that the owner lives, and brings it the wishes. */
  beat(lease: Lease): Promise<Wishes>

  /** Gives the job up: anybody may claim it at once. The lease is lost from then on, since the epoch is raised and the beat set to 0. */
  release(lease: Lease): Promise<void>

  /** Stores what is to survive of the staging before files exist. A new `stagingId` drops what was saved for the old one. */
  saveStaging(lease: Lease, staging: StagingState): Promise<void>

  /**
   * Compare-and-set on the status: rejects with code `conflict`, and changes nothing, if it is not `from`, or if `change` has a
   * manifest and the job already has one. On the way to `failed` or `cancelled`, destinations that are still pending or
   * delivering become `cancelled`.
   */
  transition(lease: Lease, from: JobStatus, to: JobStatus, change: JobChange): Promise<void>

  /** Changes one destination of a job that is not final; the first `failed` stays, with its error. */
  setDestination(lease: Lease, uid: string, change: DestinationChange): Promise<void>

  /**
   * Makes a final job unfinished again, owned by nobody, under a new epoch: `transporting` where it has a manifest, else `staging`.
   * Its error, its time of completion and its wish to be cancelled are dropped, and without a manifest also what its source saved. Rejects with code `conflict`, and changes nothing, if
   * its status is not one of `from`, or if it has a manifest whose files are `gone` or on their way there; `not_found` if there is no such job, or a
   * delivery is to be repeated to a destination that it does not have.
   */
  reopen(jobId: string, from: readonly JobStatus[], reopening: Reopening): Promise<JobRecord>

  /**
   * Final jobs whose staged files are still there although nobody is to read them any more: their time was over at `now`, or their
   * removal was begun and not ended.
   */
  expired(now: string): Promise<readonly string[]>

  /**
   * Forbids the staged files of a final job to be read, for good, and answers what to discard; undefined where that is nothing: the
   * job is not final, or its files are gone.
   */
  beginDiscard(jobId: string): Promise<StagingState | undefined>

  /** The staged files of a job that `beginDiscard` answered for are gone. */
  discarded(jobId: string): Promise<void>

  manifest(jobId: string): Promise<Manifest | undefined>

  /** All of a job's, by destination uid, of the latest delivery of each. Ordered by chunk. */
  checkpoints(jobId: string): Promise<Readonly<Record<string, readonly Checkpoint[]>>>

  /** Numbers the attempts of a unit from 1; reports of earlier ones are refused with `lease_lost` from then on. */
  startUnit(lease: Lease, unit: string): Promise<number>

  /**
   * Stores checkpoints, dead letters and proof in one write. A checkpoint whose watermark is not above the stored one
   * changes nothing, except that one at the same row may newly say that the chunk is done. Dead letters are keyed by
   * destination, delivery, chunk and row, so that a repeat counts once; those that would exceed `maxDeadLetters` of the
   * destination are refused from the first such on, and no checkpoint of the same report that covers a refused row is
   * stored. Proof that is already there is not added again. Reports of another delivery than the destination's present one are refused
   * with `lease_lost`.
   */
  report(
    lease: Lease,
    report: UnitReport,
    maxDeadLetters: number,
  ): Promise<{ readonly deadLettersRefused: number; readonly wishes: Wishes }>

  /** Of the latest delivery, ordered by chunk and row. */
  deadLetters(jobId: string, destination: string): AsyncIterable<DeadLetter>

  /**
   * Stores in one write what became of dead letters of a final job that were sent again. What the destination took is removed, and its
   * chunks' tallies count it as delivered instead; what was refused once more stays, with the new cause and time; proof is added as by
   * `report`. Letters that are no longer there change nothing. Answers how many were removed. Rejects with code `conflict` if the job is not final.
   */
  redriven(jobId: string, destination: string, outcome: Redriven): Promise<number>

  /** What the destination proved so far of its latest delivery, in the order of the reports. */
  proof(jobId: string, destination: string): Promise<Proof>

  /**
   * Stores a set of filter values under the SHA-256 of its sorted distinct members (`value-set.ts` has the exact bytes);
   * storing it again is free. If `values` throws, so does this, and nothing is stored.
   */
  putValueSet(values: AsyncIterable<readonly string[]>): Promise<ValueSet>

  /** In pieces, sorted, or undefined if there is no such set. `values()` may be called more than once. */
  valueSet(ref: string): Promise<(ValueSet & { values(): AsyncIterable<readonly string[]> }) | undefined>

  /** Ends what was called before, then frees everything. Idempotent. */
  close(): Promise<void>
}

export interface ValueSet {
  /** `sha256:<64 hex digits>` */
  readonly ref: string
  /** Distinct members. */
  readonly count: number
}

export interface NewJob {
  readonly jobId: string
  readonly organizationId: string
  readonly request: BackfillRequest
  /** The catalogue's partition key if the request named none. */
  readonly partitionKey: string
  readonly destinations: readonly DestinationRef[]
  /** As `Date.toISOString` writes it, so that the order of the texts is the order of the times. */
  readonly timeCreated: string
}

export interface JobRecord extends NewJob {
  readonly status: JobStatus
  readonly epoch: number
  readonly beat: number
  readonly wishes: Wishes
  readonly staging: StagingState | undefined
  /** Of a final job with staged files. */
  readonly staged: StagedState | undefined
  readonly numChunks: number | undefined
  /** Chunks that some destination that has not failed has yet to settle; undefined while staging. Kept by `report` and `setDestination`. */
  readonly chunksLeft: number | undefined
  readonly error: StoredError | undefined
  readonly timeCompleted: string | undefined
  readonly destinationRecords: readonly DestinationRecord[]
}

export interface DestinationRecord extends DestinationRef {
  readonly state: DestinationState
  readonly error: StoredError | undefined
  /** What the sink saved for this job. */
  readonly saved: Json | undefined
  /** 0, raised by every redelivery. */
  readonly delivery: number
  /** Sums over the checkpoints of the latest delivery. */
  readonly delivered: number
  readonly filtered: number
  readonly deadLettered: number
  readonly bytes: number
  readonly chunksDone: number
}

export interface StoredError {
  readonly code: string
  readonly message: string
}

export interface StagingState {
  readonly stagingId: string
  /** What the source saved; null before it did. */
  readonly saved: Json
}

/** What a job's delivery is fixed by. Stored once, when staging has ended, so that an upgrade of millrace cannot move a span. */
export interface Manifest {
  /** As the source described the table when it was staged: delivery asks the source for nothing but the files. */
  readonly schema: TableSchema
  readonly files: readonly StagedFile[]
  readonly residual?: Predicate
  /** As the source staged them. */
  readonly tableColumns?: readonly Column[]
  readonly spanRows: number
  /** Runs of chunk numbers, in order. */
  readonly units: readonly (readonly number[])[]
}

/** A wish once made is kept until another takes its place; that to be cancelled until the job is reopened. */
export interface Wishes {
  readonly cancel?: boolean
  readonly pause?: boolean
  /** By destination uid; null: as the destination is registered. */
  readonly pace?: Readonly<Record<string, Pace | null>>
}

/** Most that a destination is to be sent in a second, over all its units. A limit that is missing is none. */
export interface Pace {
  readonly rowsPerSecond?: number
  readonly bytesPerSecond?: number
}

/** `kept`: may be read until the time, if any; `discarding`: may not be read any more; `gone`: were removed. */
export type StagedState =
  | { readonly state: 'kept'; readonly until?: string }
  | { readonly state: 'discarding' }
  | { readonly state: 'gone' }

export interface JobChange {
  readonly manifest?: Manifest
  readonly error?: StoredError
  readonly timeCompleted?: string
  /** Given with a final status. */
  readonly staged?: StagedState
}

export interface Reopening {
  /** To be delivered to again, from their checkpoints: they become `pending`, and their error is dropped. */
  readonly goOn?: readonly string[]
  /** Not of the job yet. */
  readonly added?: readonly DestinationRef[]
  /** A new delivery to a destination of the job. Chunks that are not in [from, to) count as settled in it, with no row delivered. */
  readonly again?: readonly { readonly uid: string; readonly from: number; readonly to: number }[]
}

export interface Redriven {
  readonly delivered: readonly RedrivenRow[]
  readonly refused: readonly Pick<DeadLetter, 'chunk' | 'row' | 'cause' | 'time'>[]
  readonly proof: Proof
}

export interface RedrivenRow {
  readonly chunk: number
  readonly row: number
  /** Of the payload. */
  readonly bytes: number
  /** Of the row, 16 hex digits. */
  readonly checksum: string
}

export interface DestinationChange {
  readonly state?: DestinationState
  readonly error?: StoredError
  readonly saved?: Json
}

export interface Claimable {
  readonly jobId: string
  readonly epoch: number
  /** Raised by `beat`; 0 where nobody owns the job, which may then be claimed at once. */
  readonly beat: number
}

export interface Lease {
  readonly jobId: string
  readonly epoch: number
}

export interface ListQuery {
  readonly organizationId?: string
  readonly status?: JobStatus
  readonly table?: string
  /** Default 1,000. */
  readonly limit?: number
  /** Only jobs older than this one, which is how pages follow each other. */
  readonly before?: { readonly timeCreated: string; readonly jobId: string }
}

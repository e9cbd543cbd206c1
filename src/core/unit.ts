/** The unit of work: what a runner moves about. Everything here is plain data, so that it can cross to another machine. */
import type { Column } from '../columnar/column-type.ts'
import type { Predicate } from '../columnar/predicate.ts'
import type { RowShape } from '../columnar/row-shape.ts'
import type { StagedFile } from '../sources/source.ts'

export interface DestinationRef {
  readonly type: string
  readonly name: string
  /** Derived from type and name: the same in every job. */
  readonly uid: string
}

/**
 * `none`: rows may arrive in any order. `key`: rows of one key arrive in staged order within a chunk, retries included.
 * `total`: staging sorts by the partition key and one unit runs at a time.
 */
export type Order = 'none' | 'key' | 'total'

/** Where a destination stands in one chunk: everything below `row` is settled, and the tallies are of exactly those rows. */
export interface Checkpoint {
  readonly chunk: number
  /** The watermark: a row number of the chunk, always the end of a span. */
  readonly row: number
  /** The whole chunk is settled. */
  readonly done: boolean
  readonly delivered: number
  readonly filtered: number
  readonly deadLettered: number
  /** Payload bytes of the delivered rows. */
  readonly bytes: number
  /** Sum modulo 2^64 of the delivered rows' checksums, 16 hex digits. */
  readonly checksum: string
}

/** A row that its destination refused for good. */
export interface DeadLetter {
  readonly chunk: number
  readonly row: number
  /** The row's JSON in the table's own form. */
  readonly payload: string
  readonly key: string | null
  readonly cause: string
  /** When it was refused, ISO 8601. */
  readonly time: string
}

/** What a destination can prove of what it took, for example offset ranges. */
export type Proof = readonly { readonly partition?: number; readonly first: string; readonly last: string }[]

/** An ordered run of chunks for one destination. */
export interface Unit {
  /** `<jobId>/<destination uid>/<delivery>/<number>` */
  readonly id: string
  /** Raised whenever the unit is started again; the store takes reports of the latest attempt only. */
  readonly attempt: number
  readonly jobId: string
  readonly organizationId: string
  readonly leaseEpoch: number
  readonly destination: DestinationRef
  /** 0, raised by every redelivery. */
  readonly delivery: number
  readonly chunks: readonly { readonly chunk: number; readonly file: StagedFile }[]
  /** Chunks not named start at row 0. */
  readonly from: readonly Checkpoint[]
  readonly predicate?: Predicate
  /** What every row is to have, where the files differ. */
  readonly tableColumns?: readonly Column[]
  readonly spanRows: number
  /** What names rows in place of where they lie in the job, if the destination is registered so. */
  readonly uniqueKey?: { readonly table: string; readonly columns: readonly string[] }
  /** What the rows look like, where that is not the table's own form. */
  readonly shape?: RowShape
  readonly order: Order
  readonly limits: UnitLimits
}

export interface UnitLimits {
  /** Rows in batches, filling or in flight or acknowledged, that no stored checkpoint covers yet. At least `spanRows`. */
  readonly maxUnsettledRows: number
  readonly maxUnsettledBytes: number
  readonly maxDeadLetters: number
  /** Longest time between two reports, and so between two checkpoints of an active unit. */
  readonly checkpointMs: number
  /** How long one batch may be tried, over all attempts. */
  readonly deliveryDeadlineMs: number
  /** How often one batch may be tried. */
  readonly maxAttempts: number
  readonly rowGroupBudgetBytes: number
  /** Whether to sum checksums of the rows. */
  readonly checksums: boolean
}

/** Progress since the last report. Sent one at a time; resolves when it is durable. */
export interface UnitReport {
  readonly unit: string
  readonly attempt: number
  readonly jobId: string
  readonly destination: string
  readonly delivery: number
  /** Those that changed. */
  readonly checkpoints: readonly Checkpoint[]
  readonly deadLetters: readonly DeadLetter[]
  readonly proof: Proof
}

/** What the owner of the job wants of the unit now. */
export interface ReportAnswer {
  /**
   * `drain`: write nothing new, settle what is in flight and commit it; the unit goes on later. `cancel`: settle what is in
   * flight, commit nothing more. To give up what is in flight as well, abort the unit's signal.
   */
  readonly stop?: 'drain' | 'cancel'
  /** The last dead letters of the report, this many, were over the limit and are not stored; nor is a checkpoint behind the first of them. */
  readonly deadLettersRefused: number
}

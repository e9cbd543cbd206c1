/**
 * The contract of a sink: a place that rows are delivered to. To write one, implement `Sink.open` and, of the session
 * that it returns, `write` and `close`; the rest is optional. Prove it with `testSink` from `millrace/testing`.
 *
 *     export function httpSink({ name, url }: { name: string; url: string }): Sink {
 *       return {
 *         type: 'http',
 *         name,
 *         async open() {
 *           const closed = new AbortController()
 *           return {
 *             encoding: { kind: 'ndjson' },
 *             limits: { inFlight: 8, batchRows: 500 },
 *             async write(batch, signal) {
 *               const either = AbortSignal.any([signal, closed.signal])
 *               const response = await fetch(url, { method: 'POST', body: batch.bytes, signal: either })
 *               if (!response.ok) throw new DeliveryError(`HTTP ${response.status}`, { retryable: response.status >= 500 })
 *             },
 *             close: async () => closed.abort(),
 *           }
 *         },
 *       }
 *     }
 *
 * The one promise a sink makes: when `write` resolves, the rows are durable at the destination (with `commit`: when that
 * resolves). Everything the engine says about a job, its checkpoints above all, rests on it. Never resolve early.
 */

import type { TableSchema } from '../columnar/column-type.ts'
import type { Encoding, TextColumn } from '../columnar/read-plan.ts'
import type { Json, SaveState } from '../core/json.ts'
import type { BackfillRequest } from '../core/request.ts'
import type { Checkpoint, DestinationRef, Order, Proof, Unit } from '../core/unit.ts'

export interface Sink {
  /** With `name` it is what a request's `destinations` say: `kafka`. */
  readonly type: string
  readonly name: string
  /** Whether its sessions have `mark`. Default false. */
  readonly takesMarkers?: boolean
  /** Whether it has an address of its own to send from, for jobs that ask for `static_egress_ip`; others are refused at creation. Default false. */
  readonly staticEgress?: boolean
  /** Whether it can carry the attributes of CloudEvents beside the payload (`SinkContext.cloudEvents`, mode `binary`). Default false. */
  readonly binaryCloudEvents?: boolean

  /**
   * Called with `probe: true` before a job is staged: check that the destination is there and takes what will be sent,
   * change nothing; the session is closed at once. What it says of `encoding` and
   * `asks` tells a dry run what a message would be. Then once per job, destination and process, before the first row, and again
   * after each pause. Sessions of different jobs are open in parallel, so what one opens must not disturb another.
   *
   * Throw a `DeliveryError` with `code: 'destination_misconfigured'` for what the user has to mend (a missing topic, no
   * permission), `destination_unavailable` for what may pass. Give up by a deadline of your own: the engine sets none here. It tries
   * again for as long as a batch may be tried, except in a probe, whose failure is told at once.
   */
  open(context: SinkContext): Promise<SinkSession>

  /**
   * What the destination holds of a job, for `engine.verify`: every row that was delivered, once for each time that it is there, in any
   * order, and what cannot be read any more. It holds no more in memory than a piece, and ends soon when `signal` aborts. Leave it out
   * where there is no reading back. Throw a `DeliveryError` where the destination cannot be read at all.
   */
  readBack?(job: DeliveredJob, signal: AbortSignal): AsyncIterable<ReadBack>
}

export interface DeliveredJob {
  readonly jobId: string
  readonly destination: DestinationRef
  /** The latest: 0, raised by every redelivery. */
  readonly delivery: number
  /** Rows that checkpoints count as delivered. */
  readonly delivered: number
  /** What the session's writes and commits answered; number ranges of one partition are in order and do not adjoin. */
  readonly proof: Proof
}

/**
 * `unit`: of which unit of work all the rows are, where the destination keeps these apart; the rows of one come together.
 * `unreadable`: in how many places there was a row, and nothing can be read any more; 0 where the reason says something else of note.
 */
export type ReadBack =
  | { readonly rows: readonly HeldRow[]; readonly unit?: number }
  | { readonly unreadable: number; readonly reason: string }

export interface HeldRow {
  /** Without framing, as delivered. Valid until the next piece is asked for. */
  readonly payload: Uint8Array
  readonly key: Uint8Array | null
  /** The stable name, if the destination was given one. */
  readonly id: Uint8Array | null
  /** Lies where the proof says that the job's rows are, and not merely in between, where it may be another's. */
  readonly proven: boolean
}

export interface SinkContext {
  readonly jobId: string
  readonly organizationId: string
  readonly destination: DestinationRef
  readonly schema: TableSchema
  readonly order: Order
  readonly probe: boolean
  /** The job asks for `static_egress_ip`: connect from the configured address and no other. Only true where the sink has `staticEgress`. */
  readonly staticEgressIp: boolean
  /**
   * Rows are CloudEvents. `structured`: the payload is an event already, and a media type that goes with it is
   * `application/cloudevents+json`. `binary`: send the attributes beside it, with the row's name (`asks.ids`) as `id`.
   */
  readonly cloudEvents?: CloudEvents
  /** Rises whenever another process takes the job over; for fencing at the destination. 0 in a probe. */
  readonly leaseEpoch: number
  /** What `save` stored last for this job and destination, in this process or an earlier one. */
  readonly saved: Json | undefined
  /** Durable before it resolves; for what must not change while the job lives, such as a partition count. Not in a probe, nor where dead letters
   * are sent again after the end of the job: what is saved is there by then. */
  readonly save: SaveState
  /**
   * Cuts a batch that was refused into batches of its own, one for each group of row positions (ascending), framed alike: for sinks
   * that retry by themselves with an encoding that hides its rows. Runs in a lane. The batch and what comes of it are the caller's.
   */
  readonly reframe: (batch: MessageBatch, groups: readonly (readonly number[])[]) => Promise<readonly MessageBatch[]>
  /** Aborted when the session has to end in a hurry. */
  readonly signal: AbortSignal
}

export interface CloudEvents {
  readonly mode: 'structured' | 'binary'
  /** The event's `type`: `com.example.transfer`. */
  readonly type: string
  /** The event's `source`, a URI reference: `/warehouse/transfers`. */
  readonly source: string
}

export interface SinkSession {
  /** Default: `{ kind: 'rows' }`. */
  readonly encoding?: Encoding
  readonly asks?: SinkAsks
  readonly limits?: SinkLimits
  /**
   * Who tries again. `engine` (default): `write` makes one attempt and throws; the engine backs off with jitter and calls
   * again with the rows that are left. `own`: the client has its own way of retrying (Kafka, in sequence order); the
   * engine never sends a batch twice, and an error is final for the rows it names.
   */
  readonly retries?: 'engine' | 'own'
  /**
   * Ask for batches that are cut at the same places on every reading, after a crash as well, so that `batch.name` can
   * serve as an idempotency key. Such batches are never cut by time, so they may wait for rows. Not for an encoding with
   * partitions, nor together with `commitRows` or `commitMs`: these cut where a crash does not.
   */
  readonly stableBatches?: boolean

  /**
   * Once per unit and attempt, before its first `write`. A sink that keeps the checkpoints itself (in its own transaction)
   * returns them, and reading starts there, at row 0 for chunks that it does not name; `undefined` leaves it to the engine's.
   * Several units of a destination are under way in one session; a unit's id and chunks are the same after a takeover.
   * An error here or of `commit` fails the destination, with its checkpoint intact: retry inside what may pass.
   */
  begin?(unit: Unit): Promise<readonly Checkpoint[] | undefined>

  /**
   * Delivers one batch; resolves when its rows are durable. Called in parallel, up to `limits.inFlight`; batches of one
   * partition are called in staged order. `batch.bytes` and all else in the batch are read-only, and yours until the
   * promise settles. `signal` aborts at the deadline of the delivery or when the job is cancelled: then reject soon.
   *
   * Under an `order`, deliver nothing behind a row of its key that is to be tried again: it is to be tried again as well.
   *
   * Throw a `DeliveryError`:
   * - `{ retryable: true }`, with `retryAfterMs` if the other side asked for it: the whole batch is tried again.
   * - `{ retryable: false }`: every row of it is refused for good, and becomes a dead letter where those are allowed.
   * - `{ failed, rest: 'delivered' }`: only the rows in `failed`; each one's cause says whether it is retryable.
   * - `{ failed, rest: 'not delivered' }`: the rows in `failed` as before, the others are tried again.
   * Any other error is retried until the deadline, or until the attempts are used up (`engine`), and then fails the destination, with
   * its checkpoint intact. After several errors in a row that got nothing through, over all writes in flight, the engine takes the
   * destination to be down, and makes one attempt now and then until one succeeds.
   */
  write(batch: MessageBatch, signal: AbortSignal): Promise<Proof | void>

  /**
   * If present, rows are settled only here: a file is renamed, a transaction committed. It is a barrier: all writes of the
   * unit have resolved, none starts until it has, and `upTo` is exactly what was written, for the chunks that moved since the
   * last commit. Called at the unit's end, every `commitRows` or `commitMs`, and before a pause.
   */
  commit?(unit: Unit, upTo: readonly Checkpoint[]): Promise<Proof | void>

  /**
   * Sends a marker into the stream of rows, to every partition. Only called where the registration says `markers`: before the first
   * and behind the last `begin`, `write` and `commit` of a delivery; again after a crash. What it rejects with fails the destination.
   */
  mark?(marker: Marker, signal: AbortSignal): Promise<void>

  /** Instead of the last `commit`, when the unit failed or was cancelled: leave nothing behind of what was not committed. */
  abort?(unit: Unit): Promise<void>

  /**
   * Once; also after errors. A write is only in flight any more if it did not heed its signal: it ends now. Frees what `open` made,
   * never a client that the host handed in.
   */
  close(): Promise<void>
}

/** A control message about a delivery, as it is sent: JSON. */
export interface Marker {
  readonly event: 'start' | 'end'
  readonly job_id: string
  readonly table: string
  readonly window: BackfillRequest['backfill_window']
  /** 0, raised by every redelivery. */
  readonly delivery: number
  /** At the end: rows, and payload bytes of those that were delivered. */
  readonly delivered?: number
  readonly filtered?: number
  readonly dead_lettered?: number
  readonly bytes?: number
}

export interface SinkLimits {
  /** Writes at the same time, per unit. Default 4. */
  readonly inFlight?: number
  /** Of those, per partition. Default: `inFlight`. Always 1 where there is an `order` and the engine retries. */
  readonly inFlightPerPartition?: number
  /** Most rows of a batch. Default 10,000. */
  readonly batchRows?: number
  /** Most bytes of a batch; a single larger row comes alone. Default 1 MiB. */
  readonly batchBytes?: number
  /** A batch that is not full is sent after this long. Default 100 ms. */
  readonly lingerMs?: number
  /** With `commit`: how often. Default: only at the end of a unit. */
  readonly commitRows?: number
  readonly commitMs?: number
}

export interface SinkAsks {
  /** The stable name of each row beside the payload; costs time, so not by default. */
  readonly ids?: boolean
  /** Columns as text beside the payload; each costs time, so none by default. */
  readonly columns?: readonly string[]
  /**
   * Let `batch.bytes` lie in a SharedArrayBuffer (default false). What crosses threads in an ordinary buffer is new to the garbage
   * collector on both sides each time, which is a third of all work at hundreds of megabytes a second. Sockets, files and hashes
   * of Node take shared bytes as they take others; `fetch`, `Blob` and WebCrypto refuse them.
   */
  readonly sharedMemory?: boolean
}

export interface MessageBatch {
  /** `Unit.id` */
  readonly unit: string
  /**
   * Names exactly these rows of this job and delivery; a retry of the same rows has the same name, a retry of fewer
   * another. With `stableBatches` the same after a crash.
   */
  readonly name: string
  /** At least 1. */
  readonly rows: number
  /** Yours until `write` settles, then used again for other rows: copy what is to be kept. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Row i is `bytes[ends[i-1] ?? 0, ends[i])`; empty where the framing hides single rows. */
  readonly ends: Uint32Array<ArrayBuffer>
  /** Where the rows come from: spans of chunks. `first`: position of the first of `rows` among the span's rows for this partition. */
  readonly spans: readonly {
    readonly chunk: number
    readonly row: number
    readonly first: number
    readonly rows: number
  }[]
  readonly partition?: number
  /** If asked for: the stable name of each row. */
  readonly ids?: TextColumn
  /** If asked for: values as text. */
  readonly columns?: Readonly<Record<string, TextColumn>>
}

/** Row `index` of a batch whose framing shows its rows; a view, not a copy. */
export function rowBytes(batch: Pick<MessageBatch, 'bytes' | 'ends'>, index: number): Uint8Array<ArrayBuffer> {
  return batch.bytes.subarray(index === 0 ? 0 : batch.ends[index - 1]!, batch.ends[index]!)
}

/** Value `index` of a text column, or null; a view, not a copy. */
export function textBytes(column: TextColumn, index: number): Uint8Array<ArrayBuffer> | null {
  if (column.nulls[index] === 1) return null
  return column.bytes.subarray(index === 0 ? 0 : column.ends[index - 1]!, column.ends[index]!)
}

export type { Encoding, TextColumn } from '../columnar/read-plan.ts'
export { DeliveryError } from '../core/errors.ts'
export type { Checkpoint, DestinationRef, Order, Proof, Unit } from '../core/unit.ts'

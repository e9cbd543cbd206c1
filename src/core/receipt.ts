/** What a job did, chunk by chunk, and what its destinations can show for it. */
import { addChecksums, ZERO_CHECKSUM } from '../columnar/checksum.ts'
import type { DestinationRecord, JobRecord, Manifest, Store } from '../stores/store.ts'
import type { DestinationState, JobStatus } from './job.ts'
import { mergeProof } from './proof.ts'
import type { Checkpoint, Proof } from './unit.ts'

/** Plain JSON. Of a job that has not ended it says what is stored so far. */
export interface Receipt {
  readonly job_id: string
  readonly organization_id: string
  readonly table: string
  readonly status: JobStatus
  readonly time_created: string
  readonly time_completed: string | null
  /** Null while staging. */
  readonly num_chunks: number | null
  readonly destinations: readonly DestinationReceipt[]
}

export interface DestinationReceipt {
  readonly type: string
  readonly name: string
  readonly uid: string
  readonly status: DestinationState
  /** 0, raised by every redelivery; all else is of the latest. */
  readonly delivery: number
  readonly error_message: string | null
  /** Rows of its chunks' files; null as long as that is not known of all. */
  readonly staged: number | null
  readonly delivered: number
  readonly filtered: number
  readonly dead_lettered: number
  /** Payload bytes of the delivered rows. */
  readonly bytes: number
  readonly chunks_left: number | null
  /** Null where the rows were not summed up (`DeliveryOptions.checksums`). */
  readonly checksum: { readonly sum: string; readonly hash: string; readonly of: string } | null
  /** Chunks of which delivered, filtered and dead-lettered rows do not come to the rows staged, or settled so far. Empty: the sums add up. */
  readonly differences: readonly { readonly chunk: number; readonly expected: number; readonly settled: number }[]
  readonly chunks: readonly ChunkReceipt[]
  /** Where the destination has the rows, as far as it says so: for Kafka offsets, first and last, by partition. */
  readonly proof: Proof
}

export interface ChunkReceipt {
  readonly chunk: number
  /** Rows of its file, as the source counted them, or else as they were read to the end; null where neither is known. */
  readonly staged: number | null
  /** The chunk's rows below this one are settled. */
  readonly row: number
  readonly done: boolean
  /** A redelivery that was asked for other chunks: nothing of this one was sent. */
  readonly left_out: boolean
  readonly delivered: number
  readonly filtered: number
  readonly dead_lettered: number
  readonly bytes: number
  /** Sum modulo 2^64 of the delivered rows' checksums, each counted once, 16 hex digits; null where they were not summed up. */
  readonly checksum: string | null
}

const CHECKSUM = {
  hash: 'XXH64',
  of:
    "each delivered row's payload; the seed is 0 or, of a row delivered with an id, the XXH64 of the id (seed 0), " +
    'and with a key, the XXH64 of the key under the seed so far; added up modulo 2^64',
}

export async function makeReceipt(store: Store, record: JobRecord): Promise<Receipt> {
  const manifest = await store.manifest(record.jobId)
  // before the proof, which then covers them even while the job goes on
  const checkpoints = await store.checkpoints(record.jobId)
  const destinations = record.destinationRecords.map(async destination =>
    destinationReceipt(
      destination,
      manifest,
      checkpoints[destination.uid] ?? [],
      await store.proof(record.jobId, destination.uid),
    ),
  )
  return {
    job_id: record.jobId,
    organization_id: record.organizationId,
    table: record.request.table,
    status: record.status,
    time_created: record.timeCreated,
    time_completed: record.timeCompleted ?? null,
    num_chunks: manifest?.files.length ?? null,
    destinations: await Promise.all(destinations),
  }
}

function destinationReceipt(
  { type, name, uid, state, delivery, error }: DestinationRecord,
  manifest: Manifest | undefined,
  checkpoints: readonly Checkpoint[],
  proof: Proof,
): DestinationReceipt {
  const stored = new Map(checkpoints.map(checkpoint => [checkpoint.chunk, checkpoint]))
  const files = manifest?.files ?? []
  const chunks = files.map(({ rows }, chunk) => chunkReceipt(chunk, rows, delivery, stored.get(chunk)))
  const sum = (count: (chunk: ChunkReceipt) => number) => chunks.reduce((total, chunk) => total + count(chunk), 0)
  const sent = chunks.filter(chunk => !chunk.left_out)
  return {
    type,
    name,
    uid,
    status: state,
    delivery,
    error_message: error?.message ?? null,
    staged:
      manifest && sent.every(({ staged }) => staged !== null) ? sent.reduce((sum, one) => sum + one.staged!, 0) : null,
    delivered: sum(chunk => chunk.delivered),
    filtered: sum(chunk => chunk.filtered),
    dead_lettered: sum(chunk => chunk.dead_lettered),
    bytes: sum(chunk => chunk.bytes),
    chunks_left: manifest ? chunks.filter(({ done }) => !done).length : null,
    checksum: chunks.every(({ checksum }) => checksum !== null)
      ? { sum: chunks.reduce((total, { checksum }) => addChecksums(total, checksum!), ZERO_CHECKSUM), ...CHECKSUM }
      : null,
    differences: sent.flatMap(differenceOf),
    chunks,
    proof: mergeProof(proof),
  }
}

function chunkReceipt(
  chunk: number,
  rows: number | undefined,
  delivery: number,
  stored: Checkpoint | undefined,
): ChunkReceipt {
  const { row = 0, done = false, delivered = 0, filtered = 0, deadLettered = 0, bytes = 0 } = stored ?? {}
  const checksum = stored?.checksum ?? ZERO_CHECKSUM
  const staged = rows ?? (done ? row : null)
  return {
    chunk,
    staged,
    row,
    done,
    left_out: delivery > 0 && done && row === 0 && rows !== 0,
    delivered,
    filtered,
    dead_lettered: deadLettered,
    bytes,
    // a sum that happens to be 0 is one in 2^64
    checksum: delivered > 0 && checksum === ZERO_CHECKSUM ? null : checksum,
  }
}

/** Of a chunk that is not through, everything below its watermark has to be accounted for. */
function differenceOf(chunk: ChunkReceipt): DestinationReceipt['differences'] {
  const expected = chunk.done ? chunk.staged! : chunk.row
  const settled = chunk.delivered + chunk.filtered + chunk.dead_lettered
  return settled === expected ? [] : [{ chunk: chunk.chunk, expected, settled }]
}

/** Reads a delivery back and judges it by the receipt. */
import { addChecksums, hashRow, ZERO_CHECKSUM } from '../columnar/checksum.ts'
import type { HeldRow, Sink } from '../sinks/sink.ts'
import type { JobRecord, Manifest, Store } from '../stores/store.ts'
import { findNamed, nameOf } from './destination-name.ts'
import { RequestError } from './errors.ts'
import type { Destination } from './options.ts'
import { proofRows } from './proof.ts'
import { type ChunkReceipt, type DestinationReceipt, makeReceipt } from './receipt.ts'
import { CountJudge, type Expected } from './verify-counts.ts'
import type { Findings, Place } from './verify-findings.ts'
import { RowJudge } from './verify-rows.ts'
import { type ReadSoFar, verdictOf } from './verify-verdict.ts'

/** Plain JSON. */
export interface Verification {
  readonly job_id: string
  readonly type: string
  readonly name: string
  readonly delivery: number
  /**
   * `proven`: every row that counts as delivered is there as it was delivered. `wrong`: something is not as it should be (`problems`).
   * `unproven`: nothing was found to be wrong, and not everything could be judged (`not_judged`).
   */
  readonly verdict: 'proven' | 'unproven' | 'wrong'
  /** What told rows apart: the id of each, that of a unique key, or nothing but their number and the sum of their checksums. */
  readonly by: 'row ids' | 'unique key' | 'count and sum'
  readonly problems: readonly string[]
  readonly not_judged: readonly string[]
  /** Rows that count as delivered. */
  readonly delivered: number
  /** Records that were read. */
  readonly records: number
  /** Rows that are there, each counted once. */
  readonly found: number
  readonly missing: number
  /** Records beyond the first of their row. Sent twice after a crash they are no fault. */
  readonly duplicated: number
  /** Records where only the job's rows should be that are none that were delivered. */
  readonly unexpected: number
  /** Chunks, or units of work, with as many rows as were delivered and another sum of checksums. */
  readonly wrong: number
  /** Records of the job that no checkpoint covers yet. */
  readonly ahead: number
  /** Records between the job's that are not its own. */
  readonly others: number
  /** Rows that may be missing, or only cannot be read any more. */
  readonly unreadable: number
  readonly checksums: 'equal' | 'different' | 'not compared'
  /** Where something is missing, unexpected or wrong; the first 1,000. */
  readonly places: readonly Place[]
}

/**
 * Rejects with a `RequestError` if the job does not have the destination, or its sink does not read back, and as the sink does if it
 * cannot. Memory: a bit for each row that has an id of its own, 16 bytes for each row of a unique key and for each row of a unit of work,
 * or of a topic in which rows came twice, that has none.
 */
export async function verifyDelivery(
  store: Store,
  record: JobRecord,
  { sink, delivery: options }: Destination,
  signal: AbortSignal,
): Promise<Verification> {
  const receipt = await receiptOf(store, record, sink)
  const { type, name, uid, delivery, delivered, proof } = receipt
  if (!sink.readBack) throw refusal(`what ${nameOf(sink)} holds cannot be read back`)
  const known = {
    receipt,
    jobId: record.jobId,
    uniqueKey: options.uniqueKey.length > 0,
    refused: await refusedRows(store, record.jobId, uid),
    manifest: await store.manifest(record.jobId),
  }
  const read: ReadSoFar = { records: 0, strangers: 0, unreadable: 0, reasons: [], problems: [] }
  let judge: Judge | undefined
  const job = { jobId: record.jobId, destination: { type, name, uid }, delivery, delivered, proof }
  for await (const piece of sink.readBack(job, signal)) {
    signal.throwIfAborted()
    if (!('rows' in piece)) {
      read.unreadable += piece.unreadable
      ;(piece.unreadable > 0 ? read.reasons : read.problems).push(piece.reason)
      continue
    }
    read.records += piece.rows.length
    for (const row of piece.rows) {
      if (row.proven) judge ??= judgeFor(row, piece.unit, known)
      if (judge) judge.take(piece.unit, row)
      else read.strangers++
    }
  }
  // nothing is there, so that every row can be named that should be
  judge ??= { ...byRow(known), by: 'count and sum' }
  return verdictOf(record.jobId, receipt, { by: judge.by, findings: judge.findings(), ...read })
}

interface Judge {
  readonly by: Verification['by']
  take(unit: number | undefined, row: HeldRow): void
  findings(): Findings
}

interface Known {
  readonly jobId: string
  readonly receipt: DestinationReceipt
  /** Ids are those of a unique key, not of where rows lie in the job. */
  readonly uniqueKey: boolean
  /** Rows that are dead letters, by chunk. */
  readonly refused: ReadonlyMap<number, ReadonlySet<number>>
  readonly manifest: Manifest | undefined
}

/** As the first row that is the job's shows: whether there are ids is the sink's doing, and may have changed since. */
function judgeFor({ id }: HeldRow, unit: number | undefined, known: Known): Judge {
  const { receipt, uniqueKey, manifest } = known
  if (unit !== undefined) return byCount(receipt, unitsOf(receipt.chunks, manifest))
  if (id === null) return byCount(receipt, wholeOf(receipt))
  if (uniqueKey) return byKey(wholeOf(receipt))
  return byRow(known)
}

function byRow({ jobId, receipt, refused }: Known): Judge {
  const rows = new RowJudge(jobId, receipt.chunks, refused)
  return { by: 'row ids', take: (_, row) => rows.take(row, checksumOf(row)), findings: () => rows.findings() }
}

function byKey(expected: readonly Expected[]): Judge {
  const counts = new CountJudge(expected, 'by key')
  return {
    by: 'unique key',
    take: (unit, row) => counts.take(unit, row.proven, checksumOf(row), hashRow(row.id ?? NO_ID)),
    findings: () => counts.findings(),
  }
}

const NO_ID = new Uint8Array(0)

/** By content rows are told apart only where that may help: in files, and where the proof names more places than there are rows. */
function byCount({ proof, delivered, checksum }: DestinationReceipt, expected: readonly Expected[]): Judge {
  const helps = checksum !== null && (expected[0]?.unit !== undefined || proofRows(proof) > delivered)
  const counts = new CountJudge(expected, helps ? 'by content' : undefined)
  return {
    by: 'count and sum',
    take(unit, row) {
      const checksum = checksumOf(row)
      counts.take(unit, row.proven, checksum, checksum)
    },
    findings: () => counts.findings(),
  }
}

function checksumOf({ payload, key, id }: HeldRow): bigint {
  return hashRow(payload, { key, id })
}

/** All of a destination that does not keep units apart. */
function wholeOf({ chunks, delivered, checksum, chunks_left }: DestinationReceipt): readonly Expected[] {
  const chunksOf = { first_chunk: 0, last_chunk: Math.max(0, chunks.length - 1) }
  return [{ unit: undefined, ...chunksOf, delivered, checksum: checksum?.sum ?? null, done: chunks_left === 0 }]
}

function unitsOf(chunks: readonly ChunkReceipt[], manifest: Manifest | undefined): readonly Expected[] {
  return (manifest?.units ?? []).map((numbers, unit) => {
    const own = numbers.map(number => chunks[number]!)
    const sums = own.map(({ checksum }) => checksum)
    return {
      unit,
      first_chunk: own[0]!.chunk,
      last_chunk: own.at(-1)!.chunk,
      delivered: own.reduce((sum, { delivered }) => sum + delivered, 0),
      checksum: sums.includes(null) ? null : sums.reduce<string>((sum, one) => addChecksums(sum, one!), ZERO_CHECKSUM),
      done: own.every(({ done }) => done),
    }
  })
}

async function receiptOf(store: Store, record: JobRecord, sink: Sink): Promise<DestinationReceipt> {
  const { destinations } = await makeReceipt(store, record)
  const receipt = findNamed(destinations, sink)
  if (receipt) return receipt
  throw refusal(`job ${record.jobId} does not have the destination ${nameOf(sink)}`)
}

async function refusedRows(
  store: Store,
  jobId: string,
  uid: string,
): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
  const rows = new Map<number, Set<number>>()
  for await (const { chunk, row } of store.deadLetters(jobId, uid)) {
    const known = rows.get(chunk)
    if (known) known.add(row)
    else rows.set(chunk, new Set([row]))
  }
  return rows
}

function refusal(message: string): RequestError {
  return new RequestError([{ path: 'destination', message }])
}

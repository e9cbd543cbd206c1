/** Drives the session of a sink as the engine does, with rows made up here and without retries. */
import { randomUUID } from 'node:crypto'
import type { TableSchema } from '../columnar/column-type.ts'
import { loadCompression } from '../columnar/compress.ts'
import type { Allocate } from '../columnar/encoder.ts'
import { framePayloads } from '../columnar/framing.ts'
import { newBuffer, newSharedBuffer } from '../columnar/memory.ts'
import { PartitionBatcher } from '../columnar/partition-batcher.ts'
import type { FilledBatch, KafkaEncoding, PlainEncoding } from '../columnar/read-plan.ts'
import { reframe } from '../columnar/reframe.ts'
import type { Json } from '../core/json.ts'
import { narrowAll } from '../core/narrowing.ts'
import { toMessage } from '../core/outgoing.ts'
import { encodingOf } from '../core/plan.ts'
import { mergeProof } from '../core/proof.ts'
import type {
  Checkpoint,
  HeldRow,
  MessageBatch,
  Order,
  Proof,
  Sink,
  SinkSession,
  TextColumn,
  Unit,
} from '../sinks/sink.ts'
import { arrowBatches } from './arrow-batches.ts'

const SPAN_ROWS = 8_192

const TEST_SCHEMA: TableSchema = {
  table: 'millrace.test_rows',
  columns: [
    { name: 'id', type: { kind: 'integer', bits: 64, signed: true }, native: 'BIGINT', nullable: false },
    { name: 'key', type: { kind: 'string' }, native: 'VARCHAR', nullable: true },
    { name: 'text', type: { kind: 'string' }, native: 'VARCHAR', nullable: false },
  ],
  partitionKeys: ['id'],
}

export interface TestRow {
  /** Position in its chunk. */
  readonly id: number
  readonly columns: Readonly<Record<string, string | null>>
  /** The payload. */
  readonly json: string
}

/** The first rows of a chunk; every tenth has no key. */
export function testRows(count: number, text: (id: number) => string = id => `row ${id}`): TestRow[] {
  return Array.from({ length: count }, (_, id) => {
    const columns = { id: String(id), key: id % 10 === 9 ? null : `key-${id % 7}`, text: text(id) }
    return { id, columns, json: JSON.stringify({ ...columns, id }) }
  })
}

/** One job with one destination, over all the processes that work on it. */
export interface TestJob {
  readonly sink: Sink
  readonly jobId: string
  leaseEpoch: number
  saved: Json | undefined
  readonly order: Order
  /** Default false. */
  staticEgressIp?: boolean
}

export function testJob(sink: Sink, order: Order = 'none'): TestJob {
  return { sink, jobId: randomUUID(), leaseEpoch: 1, saved: undefined, order }
}

export async function openSession(job: TestJob, probe = false): Promise<SinkSession> {
  const session: SinkSession = await job.sink.open({
    jobId: job.jobId,
    organizationId: 'default',
    destination: destination(job.sink),
    schema: TEST_SCHEMA,
    order: job.order,
    probe,
    staticEgressIp: job.staticEgressIp ?? false,
    leaseEpoch: probe ? 0 : job.leaseEpoch,
    saved: job.saved,
    save: async state => {
      if (probe) throw new Error('a probe must not save')
      job.saved = JSON.parse(JSON.stringify(state))
    },
    reframe: (batch, groups) => narrowAll(batch, encodingOf(session), groups, reframe),
    signal: new AbortController().signal,
  })
  return session
}

function destination(sink: Sink) {
  return { type: sink.type, name: sink.name, uid: '3f0c6a52-7d1e-5b7a-9c43-0e8f6d2b1a90' }
}

/** A unit of one chunk that has the unit's number. */
export function testUnit(job: TestJob, number: number, options: { attempt?: number; fromRow?: number } = {}): Unit {
  const { attempt = 1, fromRow = 0 } = options
  const to = destination(job.sink)
  return {
    id: `${job.jobId}/${to.uid}/0/${number}`,
    attempt,
    jobId: job.jobId,
    organizationId: 'default',
    leaseEpoch: job.leaseEpoch,
    destination: to,
    delivery: 0,
    chunks: [{ chunk: number, file: { name: `${number}.parquet`, bytes: 1 } }],
    from: fromRow === 0 ? [] : [checkpoint(number, fromRow, false)],
    spanRows: SPAN_ROWS,
    order: job.order,
    limits: {
      maxUnsettledRows: 200_000,
      maxUnsettledBytes: 64 * 1024 * 1024,
      maxDeadLetters: 0,
      checkpointMs: 1_000,
      deliveryDeadlineMs: 60_000,
      maxAttempts: 20,
      rowGroupBudgetBytes: 256 * 1024 * 1024,
      checksums: true,
    },
  }
}

export function checkpoint(chunk: number, row: number, done: boolean): Checkpoint {
  return { chunk, row, done, delivered: row, filtered: 0, deadLettered: 0, bytes: 0, checksum: '0'.repeat(16) }
}

export interface WriteOptions {
  /** Rows of a batch, where the session's own limit is not lower. Default 100. */
  readonly batchRows?: number
  readonly signal?: AbortSignal
}

/** `begin`, all the rows, `commit`. */
export async function deliver(
  session: SinkSession,
  unit: Unit,
  rows: readonly TestRow[],
  options?: WriteOptions,
): Promise<Proof> {
  await session.begin?.(unit)
  const proof = await writeRows(session, unit, rows, options)
  const chunk = unit.chunks[0]!.chunk
  const committed = await session.commit?.(unit, [checkpoint(chunk, (rows.at(-1)?.id ?? -1) + 1, true)])
  return [...proof, ...(committed ?? [])]
}

/** Writes the rows in batches, as many at a time as the session allows. */
export async function writeRows(
  session: SinkSession,
  unit: Unit,
  rows: readonly TestRow[],
  options: WriteOptions = {},
): Promise<Proof> {
  const { signal = new AbortController().signal } = options
  const batches = await batchesOf(session, unit, rows, options)
  const proof: Proof[number][] = []
  const writers = Array.from({ length: inFlightOf(session) }, async () => {
    for (const batch of batches) {
      proof.push(...((await session.write(batch, signal)) ?? []))
      batch.bytes.fill(0) // as a pooled buffer is written over: what was not delivered by now is lost
    }
  })
  await Promise.all(writers)
  return proof
}

/** Begins as many writes as the session allows at a time, and answers how each ends. */
export async function beginWrites(
  session: SinkSession,
  unit: Unit,
  rows: readonly TestRow[],
  options: WriteOptions = {},
): Promise<{ readonly ended: Promise<readonly WriteEnd[]> }> {
  const { signal = new AbortController().signal } = options
  const writes: Promise<WriteEnd>[] = []
  for (const batch of await batchesOf(session, unit, rows, options)) {
    const { rows } = batch
    writes.push(
      session.write(batch, signal).then(
        () => ({ rows, acknowledged: true }),
        () => ({ rows, acknowledged: false }),
      ),
    )
    if (writes.length === inFlightOf(session)) break
  }
  return { ended: Promise.all(writes) }
}

export interface WriteEnd {
  readonly rows: number
  readonly acknowledged: boolean
}

/** The rows as the session asks for them, made as they are taken. */
async function batchesOf(
  session: SinkSession,
  unit: Unit,
  rows: readonly TestRow[],
  { batchRows = 100 }: WriteOptions = {},
): Promise<Generator<MessageBatch>> {
  const encoding = encodingOf(session)
  const limits = {
    batchRows: Math.min(batchRows, session.limits?.batchRows ?? 10_000),
    batchBytes: session.limits?.batchBytes ?? 1024 * 1024,
  }
  if (encoding.kind === 'arrow-stream') return streams(session, limits, unit, rows)
  if (encoding.kind !== 'kafka-batch') return plainBatches(session, encoding, limits, unit, rows)
  await loadCompression(encoding.compression)
  return recordBatches(session, encoding, limits, unit, rows)
}

function inFlightOf({ limits }: SinkSession): number {
  return limits?.inFlight ?? 4
}

/** What the sink reads back of a job that was delivered with this proof. */
export async function readBack(job: TestJob, proof: Proof, rows: number): Promise<HeldRow[]> {
  const { jobId, sink } = job
  const delivered = { jobId, destination: destination(sink), delivery: 0, delivered: rows, proof: mergeProof(proof) }
  const held: HeldRow[] = []
  for await (const piece of sink.readBack!(delivered, new AbortController().signal)) {
    if (!('rows' in piece)) throw new Error(`${piece.unreadable} rows cannot be read back: ${piece.reason}`)
    // the payload is only lent
    held.push(...piece.rows.map(row => ({ ...row, payload: Uint8Array.from(row.payload) })))
  }
  return held
}

interface Limits {
  readonly batchRows: number
  readonly batchBytes: number
}

function* streams(session: SinkSession, limits: Limits, unit: Unit, rows: readonly TestRow[]): Generator<MessageBatch> {
  const asks = session.asks?.columns ? { columns: session.asks.columns } : {}
  const { chunk } = unit.chunks[0]!
  const filled = arrowBatches({ ...limits, ...asks }, allocateFor(session), chunk, spansOf(rows))
  for (const batch of filled) yield toMessage(unit, batch)
}

function spansOf(rows: readonly TestRow[]): ReadonlyMap<number, TestRow[]> {
  return Map.groupBy(rows, ({ id }) => id - (id % SPAN_ROWS))
}

function* plainBatches(
  session: SinkSession,
  encoding: PlainEncoding,
  { batchRows, batchBytes }: Limits,
  unit: Unit,
  rows: readonly TestRow[],
): Generator<MessageBatch> {
  let batch: TestRow[] = []
  let bytes = 0
  for (const row of rows) {
    const rowBytes = Buffer.byteLength(row.json) + 1
    const full = batch.length === batchRows || bytes + rowBytes > batchBytes
    const spanBegins = row.id % SPAN_ROWS === 0
    if (batch.length > 0 && (full || spanBegins)) {
      yield plainBatch(session, encoding, unit, batch)
      batch = []
      bytes = 0
    }
    batch.push(row)
    bytes += rowBytes
  }
  if (batch.length > 0) yield plainBatch(session, encoding, unit, batch)
}

function plainBatch(session: SinkSession, encoding: PlainEncoding, unit: Unit, rows: readonly TestRow[]): MessageBatch {
  const chunk = unit.chunks[0]!.chunk
  const first = rows[0]!.id
  const names = rows.map(row => `${unit.jobId}-${chunk}-${row.id}`)
  const columns = session.asks?.columns?.map(name => [name, textColumn(rows.map(row => columnOf(row, name)))] as const)
  const payloads = rows.map(row => Buffer.from(row.json))
  const framed = framePayloads(payloads, encoding)
  const bytes = allocateFor(session)(framed.bytes.length)
  bytes.set(framed.bytes)
  return {
    unit: unit.id,
    name: `${unit.jobId}-${unit.delivery}-${chunk}-${first}-${rows.at(-1)!.id}`,
    rows: rows.length,
    bytes,
    ends: framed.ends,
    spans: [{ chunk, row: first - (first % SPAN_ROWS), first: first % SPAN_ROWS, rows: rows.length }],
    ...(session.asks?.ids ? { ids: textColumn(names) } : {}),
    ...(columns ? { columns: Object.fromEntries(columns) } : {}),
  }
}

function* recordBatches(
  session: SinkSession,
  encoding: KafkaEncoding,
  limits: Limits,
  unit: Unit,
  rows: readonly TestRow[],
): Generator<MessageBatch> {
  const chunk = unit.chunks[0]!.chunk
  const batcher = new PartitionBatcher(
    { ...limits, encoding, stableBatches: false, checksums: false },
    allocateFor(session),
  )
  const taken = () => batcher.takeFilled().map(filled => toMessage(unit, sendable(filled)))
  for (const [span, spanRows] of spansOf(rows)) {
    batcher.beginSpan(chunk, span)
    for (const row of spanRows) {
      const texts = batcher.columns.map(name => columnOf(row, name))
      batcher.add(row.id, row.json, texts, `${unit.jobId}-${chunk}-${row.id}`)
    }
    batcher.endSpan()
    yield* taken()
  }
  batcher.cut()
  yield* taken()
}

function sendable(filled: FilledBatch): FilledBatch {
  if (filled.refusal !== undefined)
    throw new Error(`the destination does not take a row of the tests: ${filled.refusal}`)
  return filled
}

function columnOf(row: TestRow, name: string): string | null {
  const value = row.columns[name]
  if (value === undefined)
    throw new Error(`the sink asks for column ${name}; the rows of the tests have id, key and text`)
  return value
}

/** In a larger buffer, as those of the engine may be, and in shared memory where the sink takes that. */
function allocateFor({ asks }: SinkSession): Allocate {
  const create = asks?.sharedMemory ? newSharedBuffer : newBuffer
  return length => new Uint8Array(create(8 + length + 8), 8, length)
}

function textColumn(values: readonly (string | null)[]): TextColumn {
  const texts = values.map(value => Buffer.from(value ?? ''))
  return {
    ...framePayloads(texts, { kind: 'rows' }),
    nulls: Uint8Array.from(values, value => (value === null ? 1 : 0)),
  }
}

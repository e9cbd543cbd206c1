/** Drives the session of a sink as the engine does, with rows made up here and without retries. */
import { randomUUID } from 'node:crypto'
import type { TableSchema } from '../columnar/column-type.ts'
import type { Json } from '../core/json.ts'
import type { Checkpoint, Encoding, MessageBatch, Sink, SinkSession, TextColumn, Unit } from '../sinks/sink.ts'

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
}

export function testJob(sink: Sink): TestJob {
  return { sink, jobId: randomUUID(), leaseEpoch: 1, saved: undefined }
}

export function openSession(job: TestJob, probe = false): Promise<SinkSession> {
  return job.sink.open({
    jobId: job.jobId,
    organizationId: 'default',
    destination: destination(job.sink),
    schema: TEST_SCHEMA,
    order: 'none',
    probe,
    leaseEpoch: probe ? 0 : job.leaseEpoch,
    saved: job.saved,
    save: async state => {
      if (probe) throw new Error('a probe must not save')
      job.saved = JSON.parse(JSON.stringify(state))
    },
    reframe: () => Promise.reject(new Error('to be written')),
    signal: new AbortController().signal,
  })
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
    order: 'none',
    limits: {
      maxUnsettledRows: 200_000,
      maxUnsettledBytes: 64 * 1024 * 1024,
      maxDeadLetters: 0,
      checkpointMs: 1_000,
      deliveryDeadlineMs: 60_000,
      rowGroupBudgetBytes: 256 * 1024 * 1024,
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
export async function deliver(session: SinkSession, unit: Unit, rows: readonly TestRow[], options?: WriteOptions) {
  await session.begin?.(unit)
  await writeRows(session, unit, rows, options)
  const chunk = unit.chunks[0]!.chunk
  await session.commit?.(unit, [checkpoint(chunk, (rows.at(-1)?.id ?? -1) + 1, true)])
}

/** Writes the rows in batches, as many at a time as the session allows. */
export async function writeRows(
  session: SinkSession,
  unit: Unit,
  rows: readonly TestRow[],
  { batchRows = 100, signal = new AbortController().signal }: WriteOptions = {},
): Promise<void> {
  const batches = cutBatches(session, unit, rows, Math.min(batchRows, session.limits?.batchRows ?? 10_000))
  const writers = Array.from({ length: session.limits?.inFlight ?? 4 }, async () => {
    for (const batch of batches) {
      await session.write(batch, signal)
      batch.bytes.fill(0) // as a pooled buffer is written over: what was not delivered by now is lost
    }
  })
  await Promise.all(writers)
}

function* cutBatches(session: SinkSession, unit: Unit, rows: readonly TestRow[], batchRows: number) {
  const batchBytes = session.limits?.batchBytes ?? 1024 * 1024
  let batch: TestRow[] = []
  let bytes = 0
  for (const row of rows) {
    const rowBytes = Buffer.byteLength(row.json) + 1
    const full = batch.length === batchRows || bytes + rowBytes > batchBytes
    const spanBegins = row.id % SPAN_ROWS === 0
    if (batch.length > 0 && (full || spanBegins)) {
      yield makeBatch(session, unit, batch)
      batch = []
      bytes = 0
    }
    batch.push(row)
    bytes += rowBytes
  }
  if (batch.length > 0) yield makeBatch(session, unit, batch)
}

function makeBatch(session: SinkSession, unit: Unit, rows: readonly TestRow[]): MessageBatch {
  const chunk = unit.chunks[0]!.chunk
  const first = rows[0]!.id
  const names = rows.map(row => `${unit.jobId}-${chunk}-${row.id}`)
  const columns = session.asks?.columns?.map(name => [name, textColumn(rows.map(row => columnOf(row, name)))] as const)
  return {
    unit: unit.id,
    name: `${unit.jobId}-${unit.delivery}-${chunk}-${first}-${rows.at(-1)!.id}`,
    rows: rows.length,
    ...frame(
      rows.map(row => row.json),
      session.encoding ?? { kind: 'rows' },
    ),
    spans: [{ chunk, row: first - (first % SPAN_ROWS), first: first % SPAN_ROWS, rows: rows.length }],
    ...(session.asks?.ids ? { ids: textColumn(names) } : {}),
    ...(columns ? { columns: Object.fromEntries(columns) } : {}),
  }
}

function columnOf(row: TestRow, name: string): string | null {
  const value = row.columns[name]
  if (value === undefined)
    throw new Error(`the sink asks for column ${name}; the rows of the tests have id, key and text`)
  return value
}

function frame(payloads: readonly string[], encoding: Encoding): Pick<MessageBatch, 'bytes' | 'ends'> {
  switch (encoding.kind) {
    case 'rows':
      return join(payloads)
    case 'ndjson':
      return join(payloads.map(payload => `${payload}\n`))
    case 'json-array':
      return join(
        payloads.map((payload, row) => (row === 0 ? '[' : ',') + payload),
        ']',
      )
    case 'kafka-batch':
      throw new Error('to be written')
  }
}

/** The bytes begin inside their buffer, as those of the engine may. */
function join(texts: readonly string[], tail = ''): Pick<MessageBatch, 'bytes' | 'ends'> {
  const parts = texts.map(text => Buffer.from(text))
  const ends = new Uint32Array(parts.length)
  let end = 0
  parts.forEach((part, row) => {
    end += part.length
    ends[row] = end
  })
  const offset = 8
  const buffer = Buffer.concat([Buffer.alloc(offset), ...parts, Buffer.from(tail)])
  return { bytes: new Uint8Array(buffer).subarray(offset), ends }
}

function textColumn(values: readonly (string | null)[]): TextColumn {
  return {
    ...join(values.map(value => value ?? '')),
    nulls: Uint8Array.from(values, value => (value === null ? 1 : 0)),
  }
}

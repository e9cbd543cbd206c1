/** Rows framed as lanes do it for an open session, and written. */
import { loadCompression } from '../../../src/columnar/compress.ts'
import { PartitionBatcher } from '../../../src/columnar/partition-batcher.ts'
import type { KafkaEncoding } from '../../../src/columnar/read-plan.ts'
import { reframe } from '../../../src/columnar/reframe.ts'
import { narrowAll } from '../../../src/core/narrowing.ts'
import { WriteQueue } from '../../../src/core/write-queue.ts'
import type { MessageBatch, Proof, Sink, SinkContext, SinkSession } from '../../../src/sinks/sink.ts'
import { contextOf, NEVER } from './contexts.ts'

/** Opens the sink with a context that can reframe, as the engine's. */
export async function openSession(sink: Sink, parts: Partial<SinkContext> = {}): Promise<SinkSession> {
  const opening = sink.open(
    contextOf({
      reframe: async (batch, groups) => narrowAll(batch, (await opening).encoding!, groups, reframe),
      ...parts,
    }),
  )
  const session = await opening
  await loadCompression((session.encoding as KafkaEncoding).compression)
  return session
}

export interface Rows {
  /** JSON, or any other text. */
  readonly rows: readonly string[]
  readonly key?: readonly (string | null)[]
  /** Timestamps as text, where the session asks for them. */
  readonly at?: readonly (string | null)[]
  readonly unit?: string
  /** Decides the partition of the first rows without a key. */
  readonly chunk?: number
  readonly batchRows?: number
}

export interface Framed {
  readonly batch: MessageBatch
  /** Of each row of the batch among the rows. */
  readonly positions: readonly number[]
}

/** In the order in which the engine would write them. */
export function frame(session: Pick<SinkSession, 'encoding' | 'limits'>, parts: Rows): Framed[] {
  const { rows, key = [], at = [], unit = 'job/destination/0/0', chunk = 0, batchRows = 10_000 } = parts
  const encoding = session.encoding as KafkaEncoding
  const batchBytes = session.limits?.batchBytes ?? 1_000_000
  const plan = { encoding, batchRows, batchBytes, stableBatches: false, checksums: false }
  const batcher = new PartitionBatcher(plan, length => new Uint8Array(length))
  batcher.beginSpan(chunk, 0)
  rows.forEach((row, index) => {
    const values = { [encoding.key ?? '']: key[index] ?? null, at: at[index] ?? null }
    batcher.add(
      index,
      row,
      batcher.columns.map(column => values[column] ?? null),
    )
  })
  batcher.endSpan()
  batcher.cut()
  return batcher.takeFilled().map(({ rowNumbers, pieces, rowsHash, ...filled }) => ({
    batch: {
      ...filled,
      unit,
      name: `${unit}/${chunk}/${rowsHash}`,
      spans: pieces.map(({ chunk, row, first, rows }) => ({ chunk, row, first, rows })),
    },
    positions: [...rowNumbers],
  }))
}

/** Writes all rows at once; rejects as the first batch does that is not delivered. */
export async function writeRows(session: SinkSession, parts: Rows, signal: AbortSignal = NEVER): Promise<Proof> {
  const proofs = await Promise.all(frame(session, parts).map(({ batch }) => session.write(batch, signal)))
  return proofs.flatMap(proof => proof ?? [])
}

/** Writes as the engine does: the batches of a partition in order, as many at once as the session allows. */
export async function writeInOrder(session: SinkSession, framed: readonly Framed[]): Promise<void> {
  const { inFlight = 4, inFlightPerPartition = inFlight } = session.limits ?? {}
  const queue = new WriteQueue<{ readonly batch: MessageBatch; readonly partition: number }>(
    { inFlight, inFlightPerPartition },
    async ({ batch }) => {
      await session.write(batch, NEVER).catch(error => done.reject(error))
      batch.bytes.fill(0) // as a pooled buffer is written over
    },
    () => queue.idle && done.resolve(),
  )
  const done = Promise.withResolvers<void>()
  for (const { batch } of framed) queue.push({ batch, partition: batch.partition! })
  await done.promise
}

export interface Refused {
  /** By position among the rows. */
  readonly failed: ReadonlyMap<number, unknown>
  /** Of each batch of which rows were refused. */
  readonly errors: readonly Error[]
}

/** Writes all rows at once, and gathers those that were refused; the others were delivered. */
export async function writeAndGather(session: SinkSession, parts: Rows): Promise<Refused> {
  const failed = new Map<number, unknown>()
  const errors: Error[] = []
  const writes = frame(session, parts).map(async ({ batch, positions }) => {
    try {
      await session.write(batch, NEVER)
    } catch (error) {
      const { failed: refused, rest } = error as { failed?: ReadonlyMap<number, unknown>; rest?: string }
      if (!refused || rest !== 'delivered') throw error
      errors.push(error as Error)
      for (const [row, cause] of refused) failed.set(positions[row]!, cause)
    }
  })
  await Promise.all(writes)
  return { failed, errors }
}

/** Batches of some rows of a batch, for the rare retry of a part. */
import { createHash } from 'node:crypto'
import { framePayloads, payloadAt } from '../columnar/framing.ts'
import type { Encoding, TextColumn } from '../columnar/read-plan.ts'
import type { FramedRows, reframe } from '../columnar/reframe.ts'
import { type MessageBatch, textBytes } from '../sinks/sink.ts'
import { MillraceError } from './errors.ts'

/** The rows at the given positions (ascending) as a batch of their own, framed alike; copies. Only where the framing shows single rows. */
export function narrow(batch: MessageBatch, encoding: Encoding, keep: readonly number[]): MessageBatch {
  if (encoding.kind === 'kafka-batch' || encoding.kind === 'arrow-stream')
    throw new MillraceError('internal', `batch ${batch.name} hides its rows and was to be narrowed all the same`)
  const payloads = keep.map(position => payloadAt(batch, position, encoding))
  return narrowTo(batch, keep, framePayloads(payloads, encoding))
}

/**
 * One batch for each group of positions (ascending), whatever the framing. `frame`: `reframe` of `columnar/reframe.ts`, which
 * takes time and may run in another thread.
 */
export async function narrowAll(
  batch: MessageBatch,
  encoding: Encoding,
  groups: readonly (readonly number[])[],
  frame: (...args: Parameters<typeof reframe>) => Promise<readonly FramedRows[]>,
): Promise<MessageBatch[]> {
  const { rows, bytes, ends } = batch
  const framed = await frame({ encoding, rows, bytes, ends }, groups)
  return groups.map((keep, index) => narrowTo(batch, keep, framed[index]!))
}

/** Position of each span's first row in the batch, and behind the last. */
export function spanStarts(spans: readonly { readonly rows: number }[]): number[] {
  const starts = [0]
  for (const span of spans) starts.push(starts.at(-1)! + span.rows)
  return starts
}

/** What a batch says beside its bytes, for these of its rows. */
function narrowTo(
  batch: MessageBatch,
  keep: readonly number[],
  { bytes, ends }: Pick<MessageBatch, 'bytes' | 'ends'>,
): MessageBatch {
  return {
    unit: batch.unit,
    name: `${batch.name}~${createHash('sha256').update(keep.join()).digest('hex').slice(0, 8)}`,
    rows: keep.length,
    bytes,
    ends,
    spans: narrowSpans(batch.spans, keep),
    ...(batch.partition === undefined ? {} : { partition: batch.partition }),
    ...(batch.ids ? { ids: narrowColumn(batch.ids, keep) } : {}),
    ...(batch.columns ? { columns: narrowColumns(batch.columns, keep) } : {}),
  }
}

function narrowSpans(spans: MessageBatch['spans'], keep: readonly number[]): MessageBatch['spans'] {
  const starts = spanStarts(spans)
  return spans.flatMap((span, index) => {
    const kept = keep.filter(position => position >= starts[index]! && position < starts[index + 1]!)
    return kept.length === 0 ? [] : [{ ...span, first: span.first + kept[0]! - starts[index]!, rows: kept.length }]
  })
}

function narrowColumns(
  columns: Readonly<Record<string, TextColumn>>,
  keep: readonly number[],
): Record<string, TextColumn> {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, narrowColumn(column, keep)]))
}

function narrowColumn(column: TextColumn, keep: readonly number[]): TextColumn {
  const values = keep.map(index => textBytes(column, index) ?? new Uint8Array(0))
  return { ...framePayloads(values, { kind: 'rows' }), nulls: Uint8Array.from(keep, index => column.nulls[index]!) }
}

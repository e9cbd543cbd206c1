import { createHash } from 'node:crypto'
import type { Encoding, TextColumn } from '../columnar/read-plan.ts'
import { type MessageBatch, rowBytes, textBytes } from '../sinks/sink.ts'

/** The rows of a batch at the given positions (ascending) as a batch of their own, framed alike. Copies; for the rare retry of a part. */
export function narrow(batch: MessageBatch, encoding: Encoding, keep: readonly number[]): MessageBatch {
  const parts = keep.map(index => rowBytes(batch, index))
  const { bytes, ends } = join(parts, encoding.kind === 'json-array' ? 1 : 0)
  if (encoding.kind === 'json-array') {
    parts.forEach((_, index) => {
      bytes[index === 0 ? 0 : ends[index - 1]!] = index === 0 ? 0x5b : 0x2c
    })
    bytes[bytes.length - 1] = 0x5d
  }
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

/** Position of each span's first row in the batch, and behind the last. */
export function spanStarts(spans: readonly { readonly rows: number }[]): number[] {
  const starts = [0]
  for (const span of spans) starts.push(starts.at(-1)! + span.rows)
  return starts
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
  const parts = keep.map(index => textBytes(column, index) ?? new Uint8Array(0))
  return { ...join(parts, 0), nulls: Uint8Array.from(keep, index => column.nulls[index]!) }
}

function join(
  parts: readonly Uint8Array[],
  spare: number,
): { bytes: Uint8Array<ArrayBuffer>; ends: Uint32Array<ArrayBuffer> } {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, spare))
  const ends = new Uint32Array(parts.length)
  let at = 0
  parts.forEach((part, index) => {
    bytes.set(part, at)
    at += part.length
    ends[index] = at
  })
  return { bytes, ends }
}

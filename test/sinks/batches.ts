/** Batches as the engine hands them to a sink, built by hand. */
import type { MessageBatch, TextColumn } from '../../src/sinks/sink.ts'

export interface BatchParts {
  readonly unit?: string
  readonly chunk?: number
  /** Row number of the first row in its chunk. */
  readonly row?: number
  readonly partition?: number
  /** Values as text, one a row. */
  readonly columns?: Readonly<Record<string, readonly (string | null)[]>>
}

let batches = 0

/** One batch of one span, encoded as `{ kind: 'rows' }`. */
export function batchOf(rows: readonly string[], parts: BatchParts = {}): MessageBatch {
  const { unit = 'job/destination/0/0', chunk = 0, row = 0, partition, columns } = parts
  const { bytes, ends } = concatenate(rows)
  return {
    unit,
    name: `${unit}/${chunk}/${row}/${++batches}`,
    rows: rows.length,
    bytes,
    ends,
    spans: [{ chunk, row, first: 0, rows: rows.length }],
    ...(partition === undefined ? {} : { partition }),
    ...(columns === undefined
      ? {}
      : { columns: Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, textColumn(values)])) }),
  }
}

function textColumn(values: readonly (string | null)[]): TextColumn {
  return {
    ...concatenate(values.map(value => value ?? '')),
    nulls: Uint8Array.from(values, value => (value === null ? 1 : 0)),
  }
}

function concatenate(texts: readonly string[]): { bytes: Uint8Array<ArrayBuffer>; ends: Uint32Array<ArrayBuffer> } {
  const parts = texts.map(text => Buffer.from(text))
  const ends = new Uint32Array(parts.length)
  let end = 0
  parts.forEach((part, index) => {
    end += part.length
    ends[index] = end
  })
  const bytes = new Uint8Array(end)
  parts.forEach((part, index) => {
    bytes.set(part, ends[index]! - part.length)
  })
  return { bytes, ends }
}

import { framePayloads } from '../../../src/columnar/framing.ts'
import type { MessageBatch, TextColumn } from '../../../src/sinks/sink.ts'

export interface Rows {
  /** JSON, or any other text. */
  readonly rows: readonly string[]
  readonly customer?: readonly (string | null)[]
  /** Default: `job-0-<position>`. */
  readonly ids?: readonly string[]
}

/** One batch of the first rows of chunk 0, as the session of a NATS sink asks for it. */
export function batchOf({ rows, customer = rows.map(() => null), ids }: Rows): MessageBatch {
  return {
    unit: 'job/destination/0/0',
    name: 'job-0-0',
    rows: rows.length,
    ...framePayloads(
      rows.map(row => Buffer.from(row)),
      { kind: 'rows' },
    ),
    spans: [{ chunk: 0, row: 0, first: 0, rows: rows.length }],
    ids: textColumn(ids ?? rows.map((_, row) => `job-0-${row}`)),
    columns: { customer: textColumn(customer) },
  }
}

function textColumn(values: readonly (string | null)[]): TextColumn {
  const texts = values.map(value => Buffer.from(value ?? ''))
  return {
    ...framePayloads(texts, { kind: 'rows' }),
    nulls: Uint8Array.from(values, value => (value === null ? 1 : 0)),
  }
}

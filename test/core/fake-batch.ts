/** Batches built by hand from the payloads of their rows. */

import { addChecksums, rowChecksum, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import type { Encoding, FilledBatch, Piece } from '../../src/columnar/read-plan.ts'
import { toMessage } from '../../src/core/outgoing.ts'
import type { Unit } from '../../src/core/unit.ts'
import { type MessageBatch, rowBytes } from '../../src/sinks/sink.ts'

export interface FakeRow {
  readonly chunk: number
  /** First row of its span. */
  readonly span: number
  readonly row: number
  /** Position among the span's rows for this batch's partition. */
  readonly position: number
  readonly payload: Uint8Array
  readonly checksum: string
}

/** Rows 0 to `count - 1` of chunk 0, in spans of `spanRows`. */
export function fakeRows(count: number, spanRows = count): FakeRow[] {
  return Array.from({ length: count }, (_, row) => {
    const payload = Buffer.from(`{"row":${row}}`)
    const checksum = rowChecksum(payload)
    return { chunk: 0, span: row - (row % spanRows), row, position: row % spanRows, payload, checksum }
  })
}

export function fakeBatch(
  rows: readonly FakeRow[],
  encoding: Encoding = { kind: 'rows' },
  partition?: number,
): FilledBatch {
  return {
    rows: rows.length,
    ...frame(
      rows.map(row => row.payload),
      encoding,
    ),
    pieces: piecesOf(rows),
    rowNumbers: Uint32Array.from(rows, row => row.row),
    rowsHash: hash(rows),
    ...(partition === undefined ? {} : { partition }),
  }
}

export function fakeMessage(unit: Unit, rows: readonly FakeRow[], encoding?: Encoding): MessageBatch {
  return toMessage(unit, fakeBatch(rows, encoding))
}

/** A unit of chunks that have the given numbers of rows; what is not said is as the engine has it by default. */
export function fakeUnit({
  limits,
  ...overrides
}: Omit<Partial<Unit>, 'limits'> & { limits?: Partial<Unit['limits']> } = {}): Unit {
  return {
    id: 'job/uid/0/0',
    attempt: 1,
    jobId: 'job',
    organizationId: 'default',
    leaseEpoch: 1,
    destination: { type: 'fake', name: 'fake', uid: 'uid' },
    delivery: 0,
    chunks: [{ chunk: 0, file: { name: '0.parquet', bytes: 1 } }],
    from: [],
    spanRows: 8_192,
    order: 'none',
    ...overrides,
    limits: {
      maxUnsettledRows: 200_000,
      maxUnsettledBytes: 64 << 20,
      maxDeadLetters: 0,
      checkpointMs: 500,
      deliveryDeadlineMs: 300_000,
      maxAttempts: 20,
      checksums: true,
      rowGroupBudgetBytes: 256 << 20,
      ...limits,
    },
  }
}

export function frame(payloads: readonly Uint8Array[], { kind }: Encoding): Pick<FilledBatch, 'bytes' | 'ends'> {
  const parts = payloads.map((payload, index) => {
    if (kind === 'ndjson') return Buffer.concat([payload, Buffer.from('\n')])
    return kind === 'json-array' ? Buffer.concat([Buffer.from(index === 0 ? '[' : ','), payload]) : payload
  })
  let end = 0
  const ends = Uint32Array.from(parts, part => (end += part.length))
  return { bytes: new Uint8Array(Buffer.concat(kind === 'json-array' ? [...parts, Buffer.from(']')] : parts)), ends }
}

/** The payloads of a batch, read back by what its framing promises. */
export function payloadsOf(batch: MessageBatch, { kind }: Encoding = { kind: 'rows' }): string[] {
  return Array.from({ length: batch.rows }, (_, index) => {
    const text = Buffer.from(rowBytes(batch, index)).toString()
    if (kind === 'ndjson') return text.slice(0, -1)
    return kind === 'json-array' ? text.slice(1) : text
  })
}

function piecesOf(rows: readonly FakeRow[]): Piece[] {
  const pieces: { -readonly [Key in keyof Piece]: Piece[Key] }[] = []
  for (const { chunk, span, position, payload, checksum } of rows) {
    let piece = pieces.at(-1)
    if (piece?.chunk !== chunk || piece.row !== span) {
      piece = { chunk, row: span, first: position, rows: 0, bytes: 0, checksum: ZERO_CHECKSUM }
      pieces.push(piece)
    }
    piece.rows++
    piece.bytes += payload.length
    piece.checksum = addChecksums(piece.checksum, checksum)
  }
  return pieces
}

/** Any hash does here that is equal for equal rows. */
function hash(rows: readonly FakeRow[]): string {
  return rowChecksum(Buffer.from(rows.map(({ chunk, row }) => `${chunk}.${row}`).join())).slice(0, 8)
}

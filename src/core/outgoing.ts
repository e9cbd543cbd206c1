/** From what a lane filled to what a sink gets, and from the sink's answer to what it means for each span. */
import { addChecksums, rowChecksum, subtractChecksums, ZERO_CHECKSUM } from '../columnar/checksum.ts'
import type { Encoding, FilledBatch, Piece } from '../columnar/read-plan.ts'
import { type MessageBatch, rowBytes } from '../sinks/sink.ts'
import { spanStarts } from './narrowing.ts'
import type { Outcome } from './settlement.ts'
import type { DeadLetter, Unit } from './unit.ts'

export function toMessage(unit: Unit, filled: FilledBatch): MessageBatch {
  const first = `${filled.pieces[0]?.chunk}.${filled.rowNumbers[0]}`
  const last = `${filled.pieces.at(-1)?.chunk}.${filled.rowNumbers.at(-1)}`
  return {
    unit: unit.id,
    name: `${unit.jobId}-${unit.delivery}-${first}-${last}-${filled.rowsHash}`,
    rows: filled.rows,
    bytes: filled.bytes,
    ends: filled.ends,
    spans: filled.pieces.map(({ chunk, row, first, rows }) => ({ chunk, row, first, rows })),
    ...(filled.partition === undefined ? {} : { partition: filled.partition }),
    ...(filled.ids ? { ids: filled.ids } : {}),
    ...(filled.columns ? { columns: filled.columns } : {}),
  }
}

/** What a settled write means for each of the batch's pieces. `refused`: rows by position in the batch. */
export function outcomesOf(
  filled: FilledBatch,
  message: MessageBatch,
  encoding: Encoding,
  refused: ReadonlyMap<number, unknown>,
): readonly (readonly [Piece, Outcome])[] {
  const starts = spanStarts(filled.pieces)
  return filled.pieces.map((piece, index) => {
    const lost = [...refused.keys()].filter(position => position >= starts[index]! && position < starts[index + 1]!)
    const payloads = lost.map(position => payloadOf(message, position, encoding))
    const outcome = {
      delivered: piece.rows - lost.length,
      deadLettered: lost.length,
      bytes: payloads.reduce((left, payload) => left - payload.length, piece.bytes),
      checksum: subtractChecksums(piece.checksum, payloads.map(rowChecksum).reduce(addChecksums, ZERO_CHECKSUM)),
    }
    return [piece, outcome] as const
  })
}

/** In staged order, since a limit takes the first of them. */
export function deadLettersOf(
  message: MessageBatch,
  filled: FilledBatch,
  encoding: Encoding,
  refused: ReadonlyMap<number, unknown>,
): DeadLetter[] {
  const starts = spanStarts(filled.pieces)
  const inOrder = [...refused].toSorted(([a], [b]) => a - b)
  return inOrder.map(([position, cause]) => ({
    chunk: filled.pieces[starts.findLastIndex(start => start <= position)]!.chunk,
    row: filled.rowNumbers[position]!,
    payload: Buffer.from(payloadOf(message, position, encoding)).toString(),
    key: null,
    cause: cause instanceof Error ? cause.message : String(cause),
  }))
}

/** A row without its framing. */
function payloadOf(message: MessageBatch, position: number, encoding: Encoding): Uint8Array {
  const bytes = rowBytes(message, position)
  if (encoding.kind === 'ndjson') return bytes.subarray(0, -1)
  return encoding.kind === 'json-array' ? bytes.subarray(1) : bytes
}

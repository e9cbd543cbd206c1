/** From what a lane filled to what a sink gets, and from the sink's answer to what it means for each span. */

import { addChecksums, rowChecksum, subtractChecksums, ZERO_CHECKSUM } from '../columnar/checksum.ts'
import type { Encoding, FilledBatch, Piece, TextColumn } from '../columnar/read-plan.ts'
import type { OpenedRow } from '../columnar/reframe.ts'
import { memberText } from '../columnar/row-members.ts'
import { type MessageBatch, textBytes } from '../sinks/sink.ts'
import { messageOf } from './errors.ts'
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

/** A row that its destination refused for good. */
export interface RefusedRow extends OpenedRow {
  /** In its batch. */
  readonly position: number
  readonly cause: unknown
}

/**
 * The refused rows in staged order, since a limit takes the first of them. `refused`: causes by position. `open`: gives the rows
 * at positions of the batch; called only where there are any.
 */
export async function openRefused(
  refused: ReadonlyMap<number, unknown>,
  open: (positions: readonly number[]) => Promise<readonly OpenedRow[]>,
): Promise<readonly RefusedRow[]> {
  if (refused.size === 0) return []
  const positions = [...refused.keys()].toSorted((a, b) => a - b)
  const opened = await open(positions)
  return positions.map((position, index) => ({ ...opened[index]!, position, cause: refused.get(position) }))
}

/** What a settled write means for each of the batch's pieces. */
export function outcomesOf(
  filled: FilledBatch,
  refused: readonly RefusedRow[],
): readonly (readonly [Piece, Outcome])[] {
  const starts = spanStarts(filled.pieces)
  return filled.pieces.map((piece, index) => {
    const lost = refused.filter(({ position }) => position >= starts[index]! && position < starts[index + 1]!)
    const outcome = {
      delivered: piece.rows - lost.length,
      deadLettered: lost.length,
      bytes: lost.reduce((left, { payload }) => left - payload.length, piece.bytes),
      checksum: checksumWithout(piece, lost, filled.ids),
    }
    return [piece, outcome] as const
  })
}

function checksumWithout(piece: Piece, lost: readonly RefusedRow[], ids: TextColumn | undefined): string {
  // the sum of a reading without checksums, and that of no row
  if (piece.checksum === ZERO_CHECKSUM || lost.length === piece.rows) return ZERO_CHECKSUM
  const checksums = lost.map(({ payload, key, id, position }) => {
    const idBytes = id === null ? ids && textBytes(ids, position) : Buffer.from(id)
    return rowChecksum(payload, { id: idBytes, key: key === null ? null : Buffer.from(key) })
  })
  return subtractChecksums(piece.checksum, checksums.reduce(addChecksums, ZERO_CHECKSUM))
}

export function deadLettersOf(filled: FilledBatch, refused: readonly RefusedRow[]): DeadLetter[] {
  const time = new Date().toISOString()
  const placeOf = placesIn(filled)
  return refused.map(({ position, payload, key, cause }) => ({
    ...placeOf(position),
    payload: Buffer.from(payload).toString(),
    key,
    cause: messageOf(cause),
    time,
  }))
}

/** What of a dead letter says what the row was, of a row in the table's own form. */
export function asStaged(payload: string, encoding: Encoding): Pick<DeadLetter, 'payload' | 'key'> {
  const column = encoding.kind === 'kafka-batch' ? encoding.key : undefined
  return { payload, key: column === undefined ? null : memberText(payload, column) }
}

/** Answers where the row at a position of the batch lies in its job. */
export function placesIn({ pieces, rowNumbers }: FilledBatch): (position: number) => Pick<DeadLetter, 'chunk' | 'row'> {
  const starts = spanStarts(pieces)
  return position => ({
    chunk: pieces[starts.findLastIndex(start => start <= position)]!.chunk,
    row: rowNumbers[position]!,
  })
}

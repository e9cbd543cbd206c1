import { formatChecksum } from './checksum.ts'
import type { FilledBatch, Piece } from './read-plan.ts'

/** The span that rows come from. One object a span: it is compared by identity. */
export interface SpanStart {
  readonly chunk: number
  readonly row: number
}

/** Which rows are in a batch that is filling, and how they add up by span. */
export class RowTally {
  #rowNumbers: number[] = []
  #pieces: OpenPiece[] = []
  #span: SpanStart | undefined
  /** Of that span, since the first of them, also where they were taken since. */
  #spanRows = 0

  get rows(): number {
    return this.#rowNumbers.length
  }

  /** `row`: its number in the chunk; `bytes`, `checksum`: of its payload. */
  count(span: SpanStart, row: number, bytes: number, checksum: bigint): void {
    if (this.#span !== span) {
      this.#span = span
      this.#spanRows = 0
    }
    let piece = this.#pieces.at(-1)
    if (piece?.span !== span) {
      piece = { span, first: this.#spanRows, rows: 0, bytes: 0, checksum: 0n }
      this.#pieces.push(piece)
    }
    piece.rows++
    piece.bytes += bytes
    piece.checksum += checksum
    this.#spanRows++
    this.#rowNumbers.push(row)
  }

  /** The first `rows`, which must be whole pieces, or all. */
  take(rows: number): Pick<FilledBatch, 'rows' | 'pieces' | 'rowNumbers' | 'rowsHash'> {
    const pieces = this.#takePieces(rows)
    const rowNumbers = Uint32Array.from(this.#rowNumbers.splice(0, rows))
    return { rows, pieces, rowNumbers, rowsHash: hashRows(pieces, rowNumbers) }
  }

  #takePieces(rows: number): Piece[] {
    const taken: Piece[] = []
    for (let left = rows; left > 0; ) {
      const { span, checksum, ...piece } = this.#pieces.shift()!
      taken.push({ chunk: span.chunk, row: span.row, ...piece, checksum: formatChecksum(checksum) })
      left -= piece.rows
    }
    return taken
  }
}

interface OpenPiece {
  readonly span: SpanStart
  readonly first: number
  rows: number
  bytes: number
  checksum: bigint
}

/**
 * 32-bit FNV-1a over each piece's chunk and its rows' numbers, all as four bytes, least significant first.
 * Source: G. Fowler, L. C. Noll, K.-P. Vo, "The FNV Non-Cryptographic Hash Algorithm", draft-eastlake-fnv.
 */
function hashRows(pieces: readonly Piece[], rowNumbers: Uint32Array): string {
  let hash = 0x811c9dc5
  const mix = (value: number): void => {
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((value >>> shift) & 0xff), 0x01000193)
  }
  let position = 0
  for (const piece of pieces) {
    mix(piece.chunk)
    for (const end = position + piece.rows; position < end; position++) mix(rowNumbers[position]!)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}

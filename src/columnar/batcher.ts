/** Encoded rows into batches: how rows are framed, and where a batch is cut. */
import { formatChecksum, hashRow } from './checksum.ts'
import type { Allocate, EncoderPlan } from './encoder.ts'
import type { Encoding, FilledBatch, Piece } from './read-plan.ts'
import { TextColumnRows, TextRows } from './text-rows.ts'

/**
 * Fills one batch at a time, as full as its limits allow. Stable batches are whole spans, as many as fit, or else pieces
 * of one span: a span that does not fit into what is filling begins a batch, and one that does not fit into a batch either
 * is cut wherever a batch is full and at its end.
 */
export class Batcher {
  readonly #plan: EncoderPlan
  readonly #framing: Framing
  readonly #payload = new TextRows()
  readonly #ids: TextColumnRows | undefined
  readonly #columns: readonly { readonly name: string; readonly rows: TextColumnRows }[]
  #rowNumbers: number[] = []
  #pieces: OpenPiece[] = []
  #span: OpenSpan = { chunk: 0, row: 0, rows: 0, bytes: 0, split: false }
  /** Rows of earlier spans in what is filling. */
  #earlierRows = 0
  #filled: FilledBatch[] = []

  constructor(plan: EncoderPlan, _allocate: Allocate) {
    this.#plan = plan
    this.#framing = FRAMINGS[plan.encoding.kind]
    this.#ids = plan.ids === undefined ? undefined : new TextColumnRows()
    this.#columns = (plan.columns ?? []).map(name => ({ name, rows: new TextColumnRows() }))
  }

  beginSpan(chunk: number, row: number): void {
    this.#span = { chunk, row, rows: 0, bytes: 0, split: false }
    this.#earlierRows = this.#payload.rows
  }

  /** The next row of the span. `row`: its number in the chunk; `columns`: the values of the plan's columns. */
  add(row: number, json: string, columns: readonly (string | null)[]): void {
    const { first, next, after } = this.#framing
    const payload = this.#payload.append(json, this.#payload.rows === 0 ? first : next, after)
    const bytes = payload.length
    const checksum = this.#plan.checksums ? hashRow(payload) : 0n
    this.#rowNumbers.push(row)
    this.#ids?.append(`${this.#plan.ids}-${this.#span.chunk}-${row}`)
    for (let index = 0; index < this.#columns.length; index++) this.#columns[index]!.rows.append(columns[index]!)
    // behind the row, whose size is only known now, and before it is counted
    while (this.#isOverfull()) this.#cutBeforeLast()
    this.#count(bytes, checksum)
  }

  /** Returns the payload bytes of the span's rows. */
  endSpan(): number {
    if (this.#span.split) this.cut()
    return this.#span.bytes
  }

  /** Cuts what is filling, between two spans. */
  cut(): void {
    if (this.#payload.rows > 0) this.#cutRows(this.#payload.rows)
  }

  /** The batches that were cut since the last call. */
  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  #isOverfull(): boolean {
    const { rows, length } = this.#payload
    return rows > 1 && (rows > this.#plan.batchRows || length + this.#framing.end.length > this.#plan.batchBytes)
  }

  #cutBeforeLast(): void {
    const isWholeSpans = this.#plan.stableBatches && this.#earlierRows > 0
    if (this.#plan.stableBatches && !isWholeSpans) this.#span.split = true
    this.#cutRows(isWholeSpans ? this.#earlierRows : this.#payload.rows - 1)
  }

  #count(bytes: number, checksum: bigint): void {
    const span = this.#span
    let piece = this.#pieces.at(-1)
    if (piece?.span !== span) {
      piece = { span, first: span.rows, rows: 0, bytes: 0, checksum: 0n }
      this.#pieces.push(piece)
    }
    piece.rows++
    piece.bytes += bytes
    piece.checksum += checksum
    span.rows++
    span.bytes += bytes
  }

  /** `rows`: whole pieces. */
  #cutRows(rows: number): void {
    const { end, first } = this.#framing
    const payload = this.#payload.take(rows, end.length)
    payload.bytes.set(end, payload.bytes.length - end.length)
    if (first !== undefined) this.#payload.reframeFirst(first)
    const pieces = this.#takePieces(rows)
    const rowNumbers = Uint32Array.from(this.#rowNumbers.splice(0, rows))
    this.#earlierRows = Math.max(0, this.#earlierRows - rows)
    this.#filled.push({
      rows,
      ...payload,
      pieces,
      rowNumbers,
      rowsHash: hashRows(pieces, rowNumbers),
      ...(this.#ids ? { ids: this.#ids.take(rows) } : {}),
      ...(this.#plan.columns
        ? { columns: Object.fromEntries(this.#columns.map(column => [column.name, column.rows.take(rows)])) }
        : {}),
    })
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

/** Single bytes before the first row, before every other row and behind each row, and what follows the last. */
interface Framing {
  readonly first?: number
  readonly next?: number
  readonly after?: number
  readonly end: readonly number[]
}

const FRAMINGS: Readonly<Record<Encoding['kind'], Framing>> = {
  'kafka-batch': { end: [] },
  rows: { end: [] },
  ndjson: { after: 0x0a, end: [] },
  'json-array': { first: 0x5b, next: 0x2c, end: [0x5d] },
}

interface OpenSpan {
  readonly chunk: number
  readonly row: number
  rows: number
  bytes: number
  /** Stable batches: a batch ended inside of it. */
  split: boolean
}

interface OpenPiece {
  readonly span: OpenSpan
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

/**
 * What of one unit is settled: the arithmetic of spans, watermarks and the window, without any I/O.
 *
 * Rows enter in spans, leave in batches, and a batch may hold rows of several spans as a span may be scattered over many
 * batches. A span is settled when all its rows are; a chunk's watermark is the end of its leading settled spans. Since
 * acknowledgements come in any order, the spans behind an open one wait.
 */
import { addChecksums, ZERO_CHECKSUM } from '../columnar/checksum.ts'
import type { Piece, SpanRead } from '../columnar/read-plan.ts'
import type { Checkpoint } from './unit.ts'

export interface WindowLimits {
  readonly maxUnsettledRows: number
  readonly maxUnsettledBytes: number
  readonly spanRows: number
  /** When rows leave the window: once a checkpoint that covers them is stored, or, where the sink commits, once they are written. */
  readonly frees: 'stored' | 'written'
}

/** What became of the rows of a piece. */
export interface Outcome {
  readonly delivered: number
  readonly deadLettered: number
  /** Of the delivered rows. */
  readonly bytes: number
  readonly checksum: string
}

interface OpenSpan {
  readonly span: Pick<SpanRead, 'chunk' | 'row' | 'rows' | 'filtered' | 'bytes' | 'last'>
  /** Rows that are neither filtered nor settled. */
  open: number
  delivered: number
  deadLettered: number
  bytes: number
  checksum: string
}

/** What a stored checkpoint frees, which its tallies do not say: dead letters took room in the window too. */
interface Settled {
  rows: number
  bytes: number
}

export class Settlement {
  readonly #limits: WindowLimits
  readonly #spans: OpenSpan[] = []
  readonly #bySpan = new Map<string, OpenSpan>()
  readonly #marks = new Map<number, Checkpoint>()
  readonly #changed = new Set<number>()
  #settled: Settled = { rows: 0, bytes: 0 }
  #taken: Settled = { rows: 0, bytes: 0 }
  #unsettledRows = 0
  #unsettledBytes = 0

  constructor(from: readonly Checkpoint[], limits: WindowLimits) {
    this.#limits = limits
    for (const mark of from) this.#marks.set(mark.chunk, mark)
  }

  /** Whether another span may be read. It is counted as if no row of it were filtered, since that is not known before. */
  get fits(): boolean {
    if (this.#unsettledRows === 0) return true
    const { maxUnsettledRows, maxUnsettledBytes, spanRows } = this.#limits
    return this.#unsettledRows + spanRows <= maxUnsettledRows && this.#unsettledBytes < maxUnsettledBytes
  }

  /** More than half of the window is taken. */
  get crowded(): boolean {
    const { maxUnsettledRows, maxUnsettledBytes } = this.#limits
    return this.#unsettledRows * 2 > maxUnsettledRows || this.#unsettledBytes * 2 > maxUnsettledBytes
  }

  /** Every row of every span that was added has settled. */
  get settled(): boolean {
    return this.#spans.length === 0
  }

  /** Whether `take` has anything to give. */
  get moved(): boolean {
    return this.#changed.size > 0
  }

  /** Spans of a chunk come in their order. */
  add({ chunk, row, rows, filtered, bytes, last }: OpenSpan['span']): void {
    // not the span as it came, which would keep its batches in memory
    const span = { chunk, row, rows, filtered, bytes, last }
    const open: OpenSpan = {
      span,
      open: span.rows - span.filtered,
      delivered: 0,
      deadLettered: 0,
      bytes: 0,
      checksum: ZERO_CHECKSUM,
    }
    this.#spans.push(open)
    this.#bySpan.set(keyOf(span), open)
    this.#unsettledRows += open.open
    this.#unsettledBytes += span.bytes
    this.#advance()
  }

  /** Rows of one span have settled. */
  settle(piece: Pick<Piece, 'chunk' | 'row'>, outcome: Outcome): void {
    const open = this.#bySpan.get(keyOf(piece))
    const rows = outcome.delivered + outcome.deadLettered
    if (!open || rows > open.open)
      throw new Error(`settled more rows than chunk ${piece.chunk} row ${piece.row} has open`)
    open.open -= rows
    open.delivered += outcome.delivered
    open.deadLettered += outcome.deadLettered
    open.bytes += outcome.bytes
    open.checksum = addChecksums(open.checksum, outcome.checksum)
    this.#advance()
  }

  /** The checkpoints that moved since the last call. They take effect on the window when `stored` is called; one at a time. */
  take(): readonly Checkpoint[] {
    const checkpoints = [...this.#changed].map(chunk => this.#marks.get(chunk)!)
    this.#changed.clear()
    this.#taken = this.#settled
    this.#settled = { rows: 0, bytes: 0 }
    return checkpoints
  }

  /** What `take` gave last is durable. */
  stored(): void {
    this.#free(this.#taken)
    this.#taken = { rows: 0, bytes: 0 }
  }

  #advance(): void {
    for (let head = this.#spans[0]; head && head.open === 0; head = this.#spans[0]) {
      this.#spans.shift()
      this.#bySpan.delete(keyOf(head.span))
      const { chunk } = head.span
      this.#marks.set(chunk, fold(this.#marks.get(chunk), head))
      this.#changed.add(chunk)
      const settled = { rows: head.delivered + head.deadLettered, bytes: head.span.bytes }
      if (this.#limits.frees === 'written') this.#free(settled)
      else this.#settled = { rows: this.#settled.rows + settled.rows, bytes: this.#settled.bytes + settled.bytes }
    }
  }

  #free(settled: Settled): void {
    this.#unsettledRows -= settled.rows
    this.#unsettledBytes -= settled.bytes
  }
}

function fold(mark: Checkpoint | undefined, { span, delivered, deadLettered, bytes, checksum }: OpenSpan): Checkpoint {
  const follows = mark?.row ?? 0
  if (span.row !== follows) throw new Error(`chunk ${span.chunk}: span at row ${span.row} does not follow ${follows}`)
  return {
    chunk: span.chunk,
    row: span.row + span.rows,
    done: span.last,
    delivered: (mark?.delivered ?? 0) + delivered,
    filtered: (mark?.filtered ?? 0) + span.filtered,
    deadLettered: (mark?.deadLettered ?? 0) + deadLettered,
    bytes: (mark?.bytes ?? 0) + bytes,
    checksum: addChecksums(mark?.checksum ?? ZERO_CHECKSUM, checksum),
  }
}

function keyOf(span: { readonly chunk: number; readonly row: number }): string {
  return `${span.chunk}:${span.row}`
}

import { formatChecksum } from '../columnar/checksum.ts'
import type { HeldRow } from '../sinks/sink.ts'
import type { ChunkReceipt } from './receipt.ts'
import type { Findings, Place } from './verify-findings.ts'

const PLACE = /^(\d{1,10})-(\d{1,10})$/

/** Names at most so many missing rows of a place. */
const MISSING_ROWS_NAMED = 10

interface OpenChunk {
  /** A bit for each row. */
  readonly seen: Uint8Array
  found: number
  sum: bigint
  unexpected: number
}

/**
 * Judges every row by its id, `<job>-<chunk>-<row>`. Holds a bit for each row up to the chunks' watermarks. Of a row that is there more
 * than once, the first counts.
 */
export class RowJudge {
  readonly #prefix: string
  readonly #chunks: readonly ChunkReceipt[]
  readonly #refused: ReadonlyMap<number, ReadonlySet<number>>
  readonly #open = new Map<number, OpenChunk>()
  #duplicated = 0
  #strange = 0
  #ahead = 0
  #others = 0
  #unnamed = 0

  /** `refused`: rows that are dead letters, by chunk. */
  constructor(
    jobId: string,
    chunks: readonly ChunkReceipt[],
    refused: ReadonlyMap<number, ReadonlySet<number>> = new Map(),
  ) {
    this.#prefix = `${jobId}-`
    this.#chunks = chunks
    this.#refused = refused
  }

  take({ id, proven }: Pick<HeldRow, 'id' | 'proven'>, checksum: bigint): void {
    const place = id === null ? undefined : placeOf(id, this.#prefix)
    if (place) this.#take(place, checksum, proven)
    else if (!proven) this.#others++
    else if (id === null) this.#unnamed++
    else this.#strange++
  }

  #take({ chunk, row }: { readonly chunk: number; readonly row: number }, checksum: bigint, proven: boolean): void {
    const account = this.#chunks[chunk]
    // an earlier delivery may lie in between
    if (account?.left_out && !proven) this.#others++
    else if (account === undefined || row >= (account.staged ?? Number.POSITIVE_INFINITY)) this.#strange++
    else if (row >= account.row && !account.done) this.#ahead++
    else this.#mark(this.#opened(account), account, row, checksum)
  }

  #mark(open: OpenChunk, { chunk, row: end }: ChunkReceipt, row: number, checksum: bigint): void {
    const bit = 1 << (row & 7)
    if (row >= end || this.#refused.get(chunk)?.has(row)) open.unexpected++
    else if (open.seen[row >> 3]! & bit) this.#duplicated++
    else {
      open.seen[row >> 3]! |= bit
      open.found++
      open.sum += checksum
    }
  }

  #opened({ chunk, row }: ChunkReceipt): OpenChunk {
    const open = this.#open.get(chunk) ?? { seen: new Uint8Array((row + 7) >> 3), found: 0, sum: 0n, unexpected: 0 }
    this.#open.set(chunk, open)
    return open
  }

  findings(): Findings {
    const places = this.#chunks.flatMap(chunk => this.#judge(chunk))
    const sum = (count: (place: Place) => number) => places.reduce((total, place) => total + count(place), 0)
    const delivered = this.#chunks.reduce((total, chunk) => total + chunk.delivered, 0)
    const missing = sum(place => place.missing)
    return {
      found: delivered - missing,
      missing,
      duplicated: this.#duplicated,
      unexpected: sum(place => place.unexpected) + this.#strange,
      untold: 0,
      ahead: this.#ahead,
      others: this.#others,
      unnamed: this.#unnamed,
      places,
    }
  }

  /** Which rows were filtered out is not known, only how many: a row too many is one that should have been. */
  #judge(account: ChunkReceipt): readonly Place[] {
    const { chunk, delivered, checksum } = account
    const { found, sum, unexpected } = this.#open.get(chunk) ?? { found: 0, sum: 0n, unexpected: 0 }
    const missing = Math.max(0, delivered - found)
    const place = {
      first_chunk: chunk,
      last_chunk: chunk,
      missing,
      unexpected: unexpected + Math.max(0, found - delivered),
      wrong: found === delivered && checksum !== null && formatChecksum(sum) !== checksum,
      missing_rows: missing > 0 && account.filtered === 0 ? this.#missingRows(account) : [],
    }
    return place.missing > 0 || place.unexpected > 0 || place.wrong ? [place] : []
  }

  #missingRows({ chunk, row: end }: ChunkReceipt): readonly number[] {
    const seen = this.#open.get(chunk)?.seen
    const rows: number[] = []
    for (let row = 0; row < end && rows.length < MISSING_ROWS_NAMED; row++) {
      const isThere = seen !== undefined && (seen[row >> 3]! & (1 << (row & 7))) !== 0
      if (!isThere && !this.#refused.get(chunk)?.has(row)) rows.push(row)
    }
    return rows
  }
}

function placeOf(id: Uint8Array, prefix: string): { readonly chunk: number; readonly row: number } | undefined {
  const text = Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
  const [, chunk, row] = text.startsWith(prefix) ? (PLACE.exec(text.slice(prefix.length)) ?? []) : []
  return chunk === undefined ? undefined : { chunk: Number(chunk), row: Number(row) }
}

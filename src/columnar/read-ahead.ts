/**
 * Reads a distant file before its bytes are asked for: where each request takes its time, the next ones are under way while what
 * has come is decoded. What will be asked for is known (the row groups that are not skipped), so that nothing else is read.
 */
import pLimit, { type LimitFunction } from 'p-limit'
import type { FileBytes, Range } from './file-bytes.ts'
import { newBuffer } from './memory.ts'

/** Most bytes that are held for one unit. At 50 ms a request it is good for 300 MB/s, several times what a lane decodes. */
export const AHEAD_BYTES = 16 << 20
/** What one request asks for. Smaller ones would be many, larger ones would leave too few to run side by side. */
const PIECE_BYTES = 2 << 20
const REQUESTS_AT_ONCE = 8

/** What all files of a unit share. */
export class Ahead {
  readonly limit: LimitFunction = pLimit(REQUESTS_AT_ONCE)
  readonly #files = new Set<ReadAhead>()
  readonly #memory: Uint8Array<ArrayBuffer>[] = []
  #bytes = 0

  open(file: FileBytes): FileBytes {
    const ahead = new ReadAhead(file, this)
    this.#files.add(ahead)
    return ahead
  }

  /** Whether so many bytes may be held. One piece always may. */
  take(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > AHEAD_BYTES) return false
    this.#bytes += bytes
    return true
  }

  takeAnyway(bytes: number): void {
    this.#bytes += bytes
  }

  /** Bytes that are held no more. The files go on in the order in which they were opened, which is that of reading. */
  give(bytes: number): void {
    this.#bytes -= bytes
    for (const file of this.#files) file.begin()
  }

  /** For a piece. New memory for each would cost as much time as copying it: page faults. */
  memory(): Uint8Array<ArrayBuffer> {
    return this.#memory.pop() ?? new Uint8Array(newBuffer(PIECE_BYTES))
  }

  /** Of a piece that was read and is used no more. */
  recycle({ buffer }: Uint8Array<ArrayBuffer>): void {
    const isOwn = buffer.byteLength === PIECE_BYTES
    if (isOwn && this.#memory.length * PIECE_BYTES < AHEAD_BYTES) this.#memory.push(new Uint8Array(buffer))
  }

  leave(file: ReadAhead): void {
    this.#files.delete(file)
  }
}

interface Piece extends Range {
  /** Undefined: not asked for yet. */
  bytes?: Promise<Uint8Array<ArrayBuffer>>
}

export class ReadAhead implements FileBytes {
  readonly #file: FileBytes
  readonly #shared: Ahead
  /** In the order in which they are expected. */
  #pieces: Piece[] = []
  /** A small file is read whole for its footer. */
  #whole: Uint8Array<ArrayBuffer> | undefined

  constructor(file: FileBytes, shared: Ahead) {
    this.#file = file
    this.#shared = shared
  }

  get size(): number {
    return this.#file.size
  }

  ahead(ranges: readonly Range[]): void {
    // a damaged file may say anything; reading it will say so
    const real = ranges.filter(({ start, end }) => start >= 0 && start < end && end <= this.size)
    const before = this.#pieces
    this.#pieces = this.#whole ? [] : real.flatMap(range => piecesOf(range, before))
    this.#free(before.filter(piece => !this.#pieces.includes(piece)))
    this.begin()
  }

  /** Asks for what is expected, as far as there is room. */
  begin(): void {
    for (const piece of this.#pieces) {
      if (piece.bytes) continue
      if (!this.#shared.take(piece.end - piece.start)) return
      this.#start(piece)
    }
  }

  async read(start: number, end: number, spare?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#whole && start >= 0 && start <= end && end <= this.size) return this.#whole.slice(start, end)
    const found = this.#pieces.filter(piece => overlaps(piece, { start, end }))
    if (found.length === 0) {
      const bytes = await this.#file.read(start, end, spare)
      if (start === 0 && end === this.size) this.#whole = bytes.slice()
      return bytes
    }
    const used = found.filter(piece => piece.start >= start && piece.end <= end)
    this.#pieces = this.#pieces.filter(piece => !used.includes(piece))
    const length = end - start
    const target = spare && spare.length >= length ? spare.subarray(0, length) : new Uint8Array(newBuffer(length))
    const parts: Promise<unknown>[] = []
    let at = start
    for (const piece of found.sort((one, other) => one.start - other.start)) {
      if (piece.start > at) parts.push(this.#readInto(target, start, at, piece.start))
      const [from, to] = [Math.max(start, piece.start), Math.min(end, piece.end)]
      at = to
      if (used.includes(piece) && !piece.bytes) {
        parts.push(this.#readInto(target, start, from, to))
        continue
      }
      // the rest of it is wanted soon
      if (!piece.bytes) this.#startAnyway(piece)
      const copy = (bytes: Uint8Array): void =>
        target.set(bytes.subarray(from - piece.start, to - piece.start), from - start)
      parts.push(piece.bytes!.then(copy))
    }
    if (at < end) parts.push(this.#readInto(target, start, at, end))
    await Promise.all(parts)
    for (const { bytes } of used) if (bytes) this.#shared.recycle(await bytes)
    this.#free(used)
    this.begin()
    return target
  }

  async close(): Promise<void> {
    this.#shared.leave(this)
    this.#free(this.#pieces.splice(0))
    await this.#file.close()
  }

  #startAnyway(piece: Piece): void {
    this.#shared.takeAnyway(piece.end - piece.start)
    this.#start(piece)
  }

  #start(piece: Piece): void {
    piece.bytes = this.#shared.limit(() => this.#file.read(piece.start, piece.end, this.#shared.memory()))
    // who asks for it gets to hear of it
    piece.bytes.catch(() => {})
  }

  /** Bytes [from, to), into where they belong in a target whose first byte is number `start`. */
  #readInto(target: Uint8Array<ArrayBuffer>, start: number, from: number, to: number): Promise<void> {
    const into = target.subarray(from - start, to - start)
    return this.#shared.limit(async () => {
      const bytes = await this.#file.read(from, to, into)
      if (bytes.buffer !== into.buffer) into.set(bytes)
    })
  }

  #free(pieces: readonly Piece[]): void {
    const held = pieces.filter(({ bytes }) => bytes).reduce((sum, { start, end }) => sum + end - start, 0)
    if (held > 0) this.#shared.give(held)
  }
}

/** The range, of which some pieces are known, as pieces. */
function piecesOf(range: Range, known: readonly Piece[]): Piece[] {
  const inside = known.filter(piece => overlaps(piece, range)).sort((one, other) => one.start - other.start)
  const pieces: Piece[] = []
  let at = range.start
  const fill = (to: number): void => {
    for (; at < to; at = pieces.at(-1)!.end) pieces.push({ start: at, end: Math.min(at + PIECE_BYTES, to) })
  }
  for (const piece of inside) {
    fill(piece.start)
    pieces.push(piece)
    at = piece.end
  }
  fill(range.end)
  return pieces
}

function overlaps(one: Range, other: Range): boolean {
  return one.start < other.end && other.start < one.end
}

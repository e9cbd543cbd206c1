/** The kernel's slots: batches that are filling, and how their rows add up by span. */
import { formatChecksum } from './checksum.ts'
import type { Kernel } from './kernel.ts'
import * as layout from './kernel-layout.ts'
import { KernelMemory } from './kernel-memory.ts'
import type { FilledBatch, Piece, TextColumn } from './read-plan.ts'
import type { SpanStart } from './row-tally.ts'

/**
 * An encoder's record in the kernel with its slots. They hold nothing until rows come, so that their number costs little.
 * `texts`: how many texts each has beside the payload.
 */
export class SlotTable {
  readonly kernel: Kernel
  readonly memory: KernelMemory
  readonly encoder: number
  readonly slots: readonly Slot[]
  readonly #records: number
  readonly #texts: number

  constructor(kernel: Kernel, count: number, texts: number) {
    const memory = new KernelMemory(kernel)
    this.kernel = kernel
    this.memory = memory
    this.encoder = memory.allocateCleared(layout.ENCODER_RECORD_BYTES)
    this.#records = memory.allocateCleared(count * layout.SLOT_RECORD_BYTES)
    this.#texts = memory.allocateCleared(count * texts * layout.TEXT_RECORD_BYTES)
    memory.set(this.encoder + layout.ENCODER_SLOTS, this.#records)
    memory.set(this.encoder + layout.ENCODER_TEXTS, texts)
    this.slots = Array.from({ length: count }, (_, index) => {
      const address = this.#records + index * layout.SLOT_RECORD_BYTES
      memory.set(address + layout.SLOT_TEXTS, this.#texts + index * texts * layout.TEXT_RECORD_BYTES)
      return new Slot(kernel, memory, this.encoder, address)
    })
  }

  set(field: number, value: number): void {
    this.memory.set(this.encoder + field, value)
  }

  slotAt(address: number): Slot {
    return this.slots[(address - this.#records) / layout.SLOT_RECORD_BYTES]!
  }

  free(): void {
    for (const slot of this.slots) slot.free()
    const owned = [layout.ENCODER_KEY, layout.ENCODER_ID, layout.ENCODER_HEADERS].map(field =>
      this.memory.get(this.encoder + field),
    )
    for (const address of [...owned, this.#texts, this.#records, this.encoder]) this.memory.free(address)
  }
}

/** What every batch has, whatever its framing. */
export type SlotRows = Pick<FilledBatch, 'rows' | 'pieces' | 'rowNumbers' | 'rowsHash'>

export class Slot {
  readonly address: number
  readonly #kernel: Kernel
  readonly #memory: KernelMemory
  readonly #encoder: number
  /** Those that are complete, of which the kernel knows nothing. */
  #pieces: Piece[] = []

  constructor(kernel: Kernel, memory: KernelMemory, encoder: number, address: number) {
    this.address = address
    this.#kernel = kernel
    this.#memory = memory
    this.#encoder = encoder
  }

  get rows(): number {
    return this.#get(layout.SLOT_ROWS)
  }

  /** Rows of the present span that came into this slot, also where they were taken since. */
  get spanRows(): number {
    return this.#get(layout.SLOT_SPAN_ROWS)
  }

  set spanRows(rows: number) {
    this.#memory.set(this.address + layout.SLOT_SPAN_ROWS, rows)
  }

  /** Completes the piece that is growing, if there is one. Returns its payload bytes. */
  endPiece({ chunk, row }: SpanStart): number {
    const rows = this.#get(layout.SLOT_PIECE_ROWS)
    if (rows === 0) return 0
    const bytes = Number(this.#memory.get64(this.address + layout.SLOT_PIECE_BYTES))
    const checksum = formatChecksum(this.#memory.get64(this.address + layout.SLOT_PIECE_CHECKSUM))
    this.#pieces.push({ chunk, row, first: this.#get(layout.SLOT_PIECE_FIRST), rows, bytes, checksum })
    this.#memory.set(this.address + layout.SLOT_PIECE_ROWS, 0)
    return bytes
  }

  /** Of the first `rows`, which must be whole pieces that are complete. They stay until they are dropped. */
  describe(rows: number): SlotRows {
    const numbers = this.#get(layout.SLOT_ROW_NUMBERS)
    const pieces: Piece[] = []
    let hash = HASH_OF_NOTHING
    for (let position = 0; position < rows; ) {
      const piece = this.#pieces.shift()!
      pieces.push(piece)
      hash = this.#kernel.exports.hashNumbers(hashNumber(hash, piece.chunk), numbers + 4 * position, piece.rows)
      position += piece.rows
    }
    const rowsHash = (hash >>> 0).toString(16).padStart(8, '0')
    return { rows, pieces, rowNumbers: this.#memory.uint32s(numbers, rows), rowsHash }
  }

  /** A view of the first bytes, good until anything is allocated. */
  payload(length: number): Uint8Array<ArrayBuffer> {
    return this.#memory.bytes(this.#get(layout.SLOT_BYTES), length)
  }

  get length(): number {
    return this.#get(layout.SLOT_LENGTH)
  }

  /** Of the first `rows`. */
  ends(rows: number): Uint32Array<ArrayBuffer> {
    return this.#memory.uint32s(this.#get(layout.SLOT_ENDS), rows)
  }

  /** Copies of the first `rows` of the slot's text `index`. */
  text(index: number, rows: number): TextColumn {
    const record = this.#get(layout.SLOT_TEXTS) + index * layout.TEXT_RECORD_BYTES
    const ends = this.#memory.uint32s(this.#memory.get(record + layout.TEXT_ENDS), rows)
    const bytes = this.#memory.bytes(this.#memory.get(record + layout.TEXT_BYTES), ends.at(-1) ?? 0).slice()
    const nulls = this.#memory.bytes(this.#memory.get(record + layout.TEXT_NULLS), rows).slice()
    return { bytes, ends, nulls }
  }

  /** Writes the header of a record batch. */
  finishRecords(): void {
    this.#kernel.exports.finishRecords(this.address)
  }

  /** A slot that is empty then keeps its memory for the next batch, but not what a row made it that no batch is made for. */
  drop(rows: number): void {
    const most = MOST_KEPT_BATCHES * this.#memory.get(this.#encoder + layout.ENCODER_PLAIN_BYTES)
    if (rows === this.rows && this.#get(layout.SLOT_CAPACITY) > Math.max(most, LEAST_KEPT_BYTES)) this.free()
    else this.#kernel.exports.dropRows(this.#encoder, this.address, rows)
  }

  /** Drops all rows, and gives back their memory. */
  free(): void {
    this.#kernel.exports.freeSlot(this.#encoder, this.address)
  }

  #get(field: number): number {
    return this.#memory.get(this.address + field)
  }
}

/** A slot grows by doubling, beyond a batch by the row that did not fit any more. */
const MOST_KEPT_BATCHES = 4
const LEAST_KEPT_BYTES = 8 * 1024 * 1024

/** 32-bit FNV-1a, as in `row-tally.ts`; the kernel's part of it is in `kernel/checksum.ts`. */
const HASH_OF_NOTHING = 0x811c9dc5

function hashNumber(hash: number, value: number): number {
  for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((value >>> shift) & 0xff), 0x01000193)
  return hash
}

/** Builds a {@link SharedSet} in place: the memory grows by what is added, and nothing is copied together at the end. */
import { randomInt } from 'node:crypto'
import { ConfigError } from '../core/errors.ts'
import { isAt, type SharedSet } from './byte-set.ts'
import { xxHash32 } from './xxhash32.ts'

/** Writes one value and returns its length in bytes, or -1 where it is none. */
export type WriteKey = (into: Buffer, at: number) => number

export class ByteSetBuilder {
  readonly #seed: number
  readonly #values = new SharedArrayBuffer(FIRST_BYTES, { maxByteLength: MOST_BYTES })
  #bytes: Buffer
  #words: Int32Array
  #view: DataView
  #slots: Uint32Array
  /** In words; 0 stands for no value. */
  #end = 1
  #count = 0
  #least = 0
  #greatest = 0

  /** `expected`: how many values, roughly; with more the table is made anew as it grows. `seed`: of the hash, 32 bits. */
  constructor(expected: number, seed: number = randomInt(2 ** 32)) {
    this.#seed = seed
    this.#slots = newSlots(expected / MOST_FULL)
    ;[this.#bytes, this.#words, this.#view] = viewsOf(this.#values)
  }

  /** `most`: bytes that `write` may write. */
  add(most: number, write: WriteKey): void {
    this.#reserve(most)
    const place = this.#end
    const start = 4 * place + 4
    const length = write(this.#bytes, start)
    if (length < 0) return
    this.#words[place] = length
    // what an earlier value left there that was no new one
    for (let at = start + length; (at & 3) !== 0; at++) this.#bytes[at] = 0
    if (!this.#insert(place, length)) return
    this.#end = place + 1 + ((length + 3) >>> 2)
    if (this.#least === 0 || this.#compare(place, this.#least) < 0) this.#least = place
    if (this.#greatest === 0 || this.#compare(place, this.#greatest) > 0) this.#greatest = place
    if (++this.#count > (this.#slots.length / 2) * MOST_FULL) this.#slots = grown(this.#slots)
  }

  finish(): SharedSet {
    return {
      count: this.#count,
      seed: this.#seed,
      slots: this.#slots.buffer as SharedArrayBuffer,
      values: this.#values,
      least: this.#least,
      greatest: this.#greatest,
    }
  }

  /** False where the set has the value already. */
  #insert(place: number, length: number): boolean {
    const start = 4 * place + 4
    const slots = this.#slots
    const mask = slots.length / 2 - 1
    const hash = xxHash32(this.#view, start, length, this.#seed)
    let slot = hash & mask
    for (let steps = 0; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask, steps++) {
      if (slots[2 * slot] === hash && isAt(this.#words, slots[2 * slot + 1]!, this.#view, start, length)) return false
      if (steps === MOST_STEPS)
        throw new ConfigError('the filter has values that were made to be slow to look up: filter by others')
    }
    slots[2 * slot] = hash
    slots[2 * slot + 1] = place
    return true
  }

  /** By bytes; the zeros behind a value tell nothing that its length does not. */
  #compare(left: number, right: number): number {
    const [leftLength, rightLength] = [this.#words[left]!, this.#words[right]!]
    const words = (Math.min(leftLength, rightLength) + 3) >>> 2
    for (let word = 1; word <= words; word++) {
      const difference = this.#view.getUint32(4 * (left + word)) - this.#view.getUint32(4 * (right + word))
      if (difference !== 0) return difference
    }
    return leftLength - rightLength
  }

  #reserve(most: number): void {
    const needed = 4 * this.#end + 4 + most + 4
    const size = this.#values.byteLength
    if (needed <= size) return
    if (needed > MOST_BYTES)
      throw new ConfigError(`the filter's values take more than ${MOST_BYTES} bytes of memory: filter by fewer`)
    const growth = Math.min(Math.max(Math.floor(size / 8), LEAST_GROWTH), MOST_GROWTH)
    this.#values.grow(Math.min(MOST_BYTES, Math.max(needed, size + growth)))
    ;[this.#bytes, this.#words, this.#view] = viewsOf(this.#values)
  }
}

const MOST_FULL = 0.7
/**
 * Of ten million random hashes no run of slots comes near to this length. Values chosen to have one hash do, and would keep a
 * lane busy for days: xxHash32 is not made to withstand that.
 */
const MOST_STEPS = 10_000
const FIRST_BYTES = 1 << 12
const LEAST_GROWTH = 1 << 14
const MOST_GROWTH = 1 << 24
/** Only address space until it is written to. */
const MOST_BYTES = 2 ** 32

/** Views that do not follow the buffer as it grows: those that do are slow. */
function viewsOf(buffer: SharedArrayBuffer): [Buffer, Int32Array, DataView] {
  const size = buffer.byteLength & ~3
  return [Buffer.from(buffer, 0, size), new Int32Array(buffer, 0, size / 4), new DataView(buffer, 0, size)]
}

function newSlots(least: number): Uint32Array {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(least, 8)))
  return new Uint32Array(new SharedArrayBuffer(8 * slots))
}

function grown(old: Uint32Array): Uint32Array {
  const slots = newSlots(old.length)
  const mask = slots.length / 2 - 1
  for (let from = 0; from < old.length; from += 2) {
    if (old[from + 1] === 0) continue
    let slot = old[from]! & mask
    while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask
    slots[2 * slot] = old[from]!
    slots[2 * slot + 1] = old[from + 1]!
  }
  return slots
}

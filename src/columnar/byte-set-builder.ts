/** Builds a {@link SharedSet} in place: the memory grows by what is added, and nothing is copied together at the end. */
import { randomInt } from 'node:crypto'
import { ConfigError } from '../core/errors.ts'
import { isAt, type SharedSet } from './byte-set.ts'
import { halfSipHash } from './half-sip-hash.ts'

/** Writes one value and returns its length in bytes, or -1 where it is none. */
export type WriteKey = (into: Buffer, at: number) => number

export class ByteSetBuilder {
  readonly #key = { low: randomInt(2 ** 32) | 0, high: randomInt(2 ** 32) | 0 }
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

  /** `expected`: how many values, roughly; with more the table is made anew as it grows. */
  constructor(expected: number) {
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
    const hash = halfSipHash(this.#view, start, length, this.#key)
    const mask = this.#slots.length / 2 - 1
    let slot = hash & mask
    for (let found = this.#slots[2 * slot + 1]!; found !== 0; found = this.#slots[2 * slot + 1]!) {
      if (this.#slots[2 * slot] === hash && isAt(this.#words, found, this.#view, start, length)) return
      slot = (slot + 1) & mask
    }
    this.#slots[2 * slot] = hash
    this.#slots[2 * slot + 1] = place
    this.#end = place + 1 + ((length + 3) >>> 2)
    if (this.#least === 0 || this.#compare(place, this.#least) < 0) this.#least = place
    if (this.#greatest === 0 || this.#compare(place, this.#greatest) > 0) this.#greatest = place
    if (++this.#count > (mask + 1) * MOST_FULL) this.#slots = grown(this.#slots)
  }

  finish(): SharedSet {
    return {
      count: this.#count,
      key: this.#key,
      slots: this.#slots.buffer as SharedArrayBuffer,
      values: this.#values,
      least: this.#least,
      greatest: this.#greatest,
    }
  }

  #compare(left: number, right: number): number {
    const [a, b] = [4 * left + 4, 4 * right + 4]
    return this.#bytes.compare(this.#bytes, b, b + this.#words[right]!, a, a + this.#words[left]!)
  }

  #reserve(most: number): void {
    const needed = 4 * this.#end + 4 + most + 4
    const size = this.#values.byteLength
    if (needed <= size) return
    if (needed > MOST_BYTES)
      throw new ConfigError(`the filter's values take more than ${MOST_BYTES} bytes of memory: filter by fewer`)
    this.#values.grow(Math.min(MOST_BYTES, Math.max(needed, size + Math.min(size, MOST_GROWTH))))
    ;[this.#bytes, this.#words, this.#view] = viewsOf(this.#values)
  }
}

const MOST_FULL = 0.7
const FIRST_BYTES = 1 << 12
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

/**
 * A set of byte strings in shared memory: built once, probed by every thread without a copy.
 *
 * Open addressing with linear probing. A slot is two 32-bit words: the value's hash (xxHash32), and where the value lies, in
 * words of `values` (0: nothing). There lie its length and then its bytes, filled up with zeros to a whole word, so that values
 * are compared by words. With a whole hash beside every place, a value that is not in the set is almost never compared at
 * all: of ten million hashes one in 400 others meets its equal.
 *
 * What takes time is waiting for memory, since the set is larger than any cache. So a block of values is probed in passes:
 * hash all; read from all their slots; search the slots, which are near now; read from all the values that were found; and
 * only then compare. A pass that only reads has no branches that wait for what is read, so that the processor reads many
 * places at a time; what it has read it writes somewhere, or the compiler would leave it out.
 */
import { xxHash32 } from './xxhash32.ts'

/** Plain data that crosses threads: the buffers are shared, not copied. */
export interface SharedSet {
  readonly count: number
  /** Of the hash. */
  readonly seed: number
  readonly slots: SharedArrayBuffer
  readonly values: SharedArrayBuffer
  /** Where the least and the greatest value lie; 0 where the set is empty. */
  readonly least: number
  readonly greatest: number
}

/** Byte strings to look for: number i is bytes [starts[i], starts[i] + lengths[i]) of `view`. */
export interface KeyBlock {
  view: DataView
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
}

/** Most byte strings of a block: what a pass reads is to stay near until the next. */
export const BLOCK_KEYS = 256

export function emptyBlock(view: DataView): KeyBlock {
  return { view, starts: new Uint32Array(BLOCK_KEYS), lengths: new Uint32Array(BLOCK_KEYS) }
}

export class ByteSet {
  readonly shared: SharedSet
  readonly #slots: Uint32Array
  readonly #words: Int32Array
  readonly #mask: number
  readonly #hashes = new Uint32Array(BLOCK_KEYS)
  readonly #matches = new Uint32Array(BLOCK_KEYS)

  constructor(shared: SharedSet) {
    this.shared = shared
    this.#slots = new Uint32Array(shared.slots)
    this.#words = new Int32Array(shared.values, 0, shared.values.byteLength >> 2)
    this.#mask = this.#slots.length / 2 - 1
  }

  get count(): number {
    return this.shared.count
  }

  has(view: DataView, start: number, length: number): boolean {
    const hash = xxHash32(view, start, length, this.shared.seed)
    return this.#isIn(this.#search(hash, hash & this.#mask), view, start, length)
  }

  /** Whether the set has them: 1 or 0 for each of the first `count` of the block. */
  probe({ view, starts, lengths }: KeyBlock, count: number, found: Uint8Array): void {
    const [slots, words, hashes, matches, mask] = [this.#slots, this.#words, this.#hashes, this.#matches, this.#mask]
    const { seed } = this.shared
    for (let i = 0; i < count; i++) hashes[i] = xxHash32(view, starts[i]!, lengths[i]!, seed)
    for (let i = 0; i < count; i++) matches[i] = slots[2 * (hashes[i]! & mask)]!
    for (let i = 0; i < count; i++) matches[i] = this.#search(hashes[i]!, hashes[i]! & mask)
    for (let i = 0; i < count; i++) {
      const place = slots[2 * matches[i]! + 1]!
      found[i] = words[place]! ^ words[place + (lengths[i]! >>> 2)]!
    }
    for (let i = 0; i < count; i++) found[i] = this.#isIn(matches[i]!, view, starts[i]!, lengths[i]!) ? 1 : 0
  }

  /** All of them, in no particular order. */
  *keys(): Generator<Uint8Array> {
    for (let slot = 0; slot <= this.#mask; slot++) {
      const place = this.#slots[2 * slot + 1]!
      if (place !== 0) yield this.#keyAt(place)
    }
  }

  /** The first and the last in the order of their bytes; undefined where the set is empty. */
  get bounds(): { readonly least: Uint8Array; readonly greatest: Uint8Array } | undefined {
    const { least, greatest } = this.shared
    return least === 0 ? undefined : { least: this.#keyAt(least), greatest: this.#keyAt(greatest) }
  }

  #keyAt(place: number): Uint8Array {
    const start = 4 * place + 4
    return new Uint8Array(this.shared.values, start, this.#words[place])
  }

  /** From `slot` on, the first that has the hash, or else the first that has nothing. */
  #search(hash: number, slot: number): number {
    const slots = this.#slots
    let at = slot
    while (slots[2 * at] !== hash && slots[2 * at + 1] !== 0) at = (at + 1) & this.#mask
    return at
  }

  /** `slot`: as it was found by the hash of the value. */
  #isIn(slot: number, view: DataView, start: number, length: number): boolean {
    for (let at = slot; ; at = this.#search(this.#slots[2 * slot]!, (at + 1) & this.#mask)) {
      const place = this.#slots[2 * at + 1]!
      if (place === 0) return false
      if (isAt(this.#words, place, view, start, length)) return true
    }
  }
}

/** Whether the value at `place` is bytes [start, start + length) of `view`. */
export function isAt(words: Int32Array, place: number, view: DataView, start: number, length: number): boolean {
  if (words[place] !== length) return false
  const end = start + (length & ~3)
  let word = place + 1
  for (let at = start; at < end; at += 4) if (words[word++] !== view.getInt32(at, true)) return false
  return (length & 3) === 0 || words[word] === tailWord(view, end, length & 3)
}

/** Up to three bytes as the low ones of a word. */
function tailWord(view: DataView, at: number, bytes: number): number {
  if (bytes === 1) return view.getUint8(at)
  const two = view.getUint16(at, true)
  return bytes === 2 ? two : two | (view.getUint8(at + 2) << 16)
}

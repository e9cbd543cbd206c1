/**
 * A set of byte strings in shared memory: built once, probed by every thread without a copy.
 *
 * Open addressing with linear probing. A slot is two 32-bit words: the value's hash, and where the value lies, in words of
 * `values` (0: nothing). There lie its length and then its bytes, filled up with zeros to a whole word, so that
 * values are compared by words. A full hash beside every place means that a value which is not in the set is almost
 * never compared at all: of ten million values one in 400 has the hash of another.
 *
 * What takes time is waiting for memory, since the set is larger than any cache. So a block of values is probed in passes: hash
 * all, then look into all the slots, and only then compare; within a pass no access waits for another.
 */
import { type HashKey, halfSipHash, tailWord } from './half-sip-hash.ts'

/** Plain data that crosses threads: the buffers are shared, not copied. */
export interface SharedSet {
  readonly count: number
  readonly key: HashKey
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

/** Most byte strings of a block. */
export const BLOCK_KEYS = 1024

export function emptyBlock(view: DataView): KeyBlock {
  return { view, starts: new Uint32Array(BLOCK_KEYS), lengths: new Uint32Array(BLOCK_KEYS) }
}

export class ByteSet {
  readonly shared: SharedSet
  readonly #slots: Uint32Array
  readonly #words: Int32Array
  readonly #mask: number
  readonly #hashes = new Uint32Array(BLOCK_KEYS)
  readonly #places = new Uint32Array(BLOCK_KEYS)
  /** Read by nobody. */
  #near = 0

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
    const hash = halfSipHash(view, start, length, this.shared.key)
    return this.#find(hash, hash & this.#mask, view, start, length)
  }

  /** Whether the set has them: 1 or 0 for each of the first `count` of the block. */
  probe({ view, starts, lengths }: KeyBlock, count: number, found: Uint8Array): void {
    const [slots, words, hashes, places, mask] = [this.#slots, this.#words, this.#hashes, this.#places, this.#mask]
    const { key } = this.shared
    for (let i = 0; i < count; i++) hashes[i] = halfSipHash(view, starts[i]!, lengths[i]!, key)
    for (let i = 0; i < count; i++) places[i] = slots[2 * (hashes[i]! & mask) + 1]!
    // brings near what is compared next; kept, or the loop would be optimised away
    let near = 0
    for (let i = 0; i < count; i++) near |= words[places[i]!]!
    this.#near = near
    for (let i = 0; i < count; i++) {
      found[i] = places[i] !== 0 && this.#find(hashes[i]!, hashes[i]! & mask, view, starts[i]!, lengths[i]!) ? 1 : 0
    }
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

  #find(hash: number, slot: number, view: DataView, start: number, length: number): boolean {
    const slots = this.#slots
    for (let at = slot; ; at = (at + 1) & this.#mask) {
      const place = slots[2 * at + 1]!
      if (place === 0) return false
      if (slots[2 * at] === hash && isAt(this.#words, place, view, start, length)) return true
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

/**
 * What a set of filter values is called, and how it is cut into pieces.
 *
 * The name is the SHA-256 of the members as netstrings (https://cr.yp.to/proto/netstrings.txt), ascending by their UTF-8
 * bytes: `1:a,2:bb,`. One value a line, the obvious form, would give `["a\nb"]` and `["a", "b"]` the same name. A lone
 * surrogate, which UTF-8 cannot express, counts as U+FFFD.
 */
import { createHash } from 'node:crypto'
import type { ValueSet } from './store.ts'

/** A piece ends at this many members, or at this many UTF-16 units. Fixed: stored pieces are known by number. */
const PIECE_MEMBERS = 4_096
const PIECE_UNITS = 256 * 1_024

/** Cuts sorted distinct members into pieces, and names the set once they were all taken. */
export class ValueSetPieces {
  #count = 0
  readonly #hash = createHash('sha256')

  name(): ValueSet {
    return { ref: `sha256:${this.#hash.digest('hex')}`, count: this.#count }
  }

  *cut(members: Iterable<string>): Generator<readonly string[]> {
    let piece: string[] = []
    let units = 0
    for (const member of members) {
      piece.push(member)
      units += member.length
      if (piece.length < PIECE_MEMBERS && units < PIECE_UNITS) continue
      yield this.#seal(piece)
      piece = []
      units = 0
    }
    if (piece.length > 0) yield this.#seal(piece)
  }

  #seal(piece: string[]): string[] {
    this.#count += piece.length
    this.#hash.update(piece.map(member => `${Buffer.byteLength(member)}:${member},`).join(''))
    return piece
  }
}

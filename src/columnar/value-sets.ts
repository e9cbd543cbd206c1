/**
 * The value sets that units filter by, in memory that all lanes share.
 *
 * A set is built once, by the lane that asks for it first, and then only lent: the host's thread does not build, since its
 * event loop has to stay free, and it just keeps the last few sets, since the units of a job follow each other and all
 * name the same one.
 */
import { CancelledError } from '../core/errors.ts'
import { ByteSet, type SharedSet } from './byte-set.ts'
import { ByteSetBuilder } from './byte-set-builder.ts'
import type { ColumnType } from './column-type.ts'
import { keyWriter, mostKeyBytes } from './value-keys.ts'

/** Where a reader gets a set from, and leaves it for others. */
export interface SetHolder {
  /** Waits for a set that is being built. Undefined: there is none, and the caller builds it and then calls `settle`. */
  claim(key: string): Promise<SharedSet | undefined>
  /** Undefined: it could not be built, and whoever waits has to try. */
  settle(key: string, set: SharedSet | undefined): Promise<void>
}

/** In the host's thread. */
export class ValueSets {
  readonly #sets = new Map<string, SharedSet>()
  readonly #left = new WeakSet<object>()
  readonly #building = new Map<string, { readonly owner: object; readonly ended: PromiseWithResolvers<void> }>()

  /** `owner`: a reader, which may claim several sets. */
  async claim(key: string, owner: object): Promise<SharedSet | undefined> {
    for (let claim = this.#building.get(key); claim; claim = this.#building.get(key)) await claim.ended.promise
    // nobody would learn that it does not build what it claims now
    if (this.#left.has(owner)) throw new CancelledError('the reading was ended')
    const set = this.#sets.get(key)
    if (set) this.#keep(key, set)
    else this.#building.set(key, { owner, ended: Promise.withResolvers() })
    return set
  }

  settle(key: string, owner: object, set: SharedSet | undefined): void {
    const claim = this.#building.get(key)
    // somebody who had left
    if (claim?.owner !== owner) return
    this.#building.delete(key)
    if (set) this.#keep(key, set)
    claim.ended.resolve()
  }

  /** The reader has ended: what it was building, somebody else builds. */
  leave(owner: object): void {
    this.#left.add(owner)
    for (const [key, claim] of this.#building) if (claim.owner === owner) this.settle(key, owner, undefined)
  }

  #keep(key: string, set: SharedSet): void {
    this.#sets.delete(key)
    this.#sets.set(key, set)
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= MOST_KEPT) break
      this.#sets.delete(oldest)
    }
  }
}

const MOST_KEPT = 2

/** A stored set, as far as a predicate names it. */
export interface NamedSet {
  readonly ref: string
  /** Of the column that it is compared with: equal values have equal keys only within a type. */
  readonly type: ColumnType
  /** Roughly. */
  readonly count: number
}

/** Takes the set from `holder`, or builds it of `values` and leaves it there. */
export async function heldSet(set: NamedSet, holder: SetHolder, values: () => Values): Promise<ByteSet> {
  const key = `${set.ref} ${JSON.stringify(set.type)}`
  const known = await holder.claim(key)
  if (known) return new ByteSet(known)
  let built: ByteSet | undefined
  try {
    built = await loadSet(set, values())
    return built
  } finally {
    await holder.settle(key, built?.shared)
  }
}

/** Canonical text of the set's type, in pieces. What no row can have is left out, and so is what came before. */
type Values = AsyncIterable<readonly string[]> | Iterable<readonly string[]>

export async function loadSet({ type, count }: Omit<NamedSet, 'ref'>, values: Values): Promise<ByteSet> {
  const builder = new ByteSetBuilder(count)
  const write = keyWriter(type)
  for await (const piece of values) {
    for (const text of piece) builder.add(mostKeyBytes(text), (into, at) => write?.(text, into, at) ?? -1)
  }
  return new ByteSet(builder.finish())
}

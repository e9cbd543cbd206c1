/**
 * The value sets that the units of one thread filter by. A set is loaded once and kept while it is among the last few
 * used, since the units of a job follow each other and all name the same one.
 */
export class ValueSets {
  readonly #sets = new Map<string, Promise<ReadonlySet<string>>>()

  /** `key`: of the set and of the form that its values have. */
  get(key: string, load: () => AsyncIterable<readonly string[]>): Promise<ReadonlySet<string>> {
    const known = this.#sets.get(key)
    // whoever began to load it may have been cancelled, which is nothing to us
    if (known) return known.catch(() => this.get(key, load))
    const set = collect(load())
    this.#sets.set(key, set)
    set.catch(() => {
      if (this.#sets.get(key) === set) this.#sets.delete(key)
    })
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= MOST_KEPT) break
      this.#sets.delete(oldest)
    }
    return set
  }
}

const MOST_KEPT = 2

async function collect(pieces: AsyncIterable<readonly string[]>): Promise<ReadonlySet<string>> {
  const set = new Set<string>()
  for await (const piece of pieces) for (const value of piece) set.add(value)
  return set
}

/**
 * The value sets that the units of one thread filter by. A set is loaded once and kept while it is among the last few
 * used, since the units of a job follow each other and all name the same one.
 */
export class ValueSets {
  readonly #sets = new Map<string, Promise<ReadonlySet<string>>>()

  get(ref: string, load: () => AsyncIterable<readonly string[]>): Promise<ReadonlySet<string>> {
    const set = this.#sets.get(ref) ?? collect(load())
    set.catch(() => this.#sets.delete(ref))
    this.#sets.delete(ref)
    this.#sets.set(ref, set)
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

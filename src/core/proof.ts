import type { Proof } from './unit.ts'

type Entry = Proof[number]

/** Positions in a partition's log; both belong to it. */
export interface Range {
  readonly first: bigint
  readonly last: bigint
}

const NUMBER = /^\d{1,19}$/

/**
 * The same proof in fewer entries: ranges of one partition that adjoin or overlap become one, in order. What is no range of numbers
 * follows as it came.
 */
export function mergeProof(proof: Proof): Proof {
  const merged = [...rangesOf(proof)]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([partition, ranges]) =>
      mergeRanges(ranges).map(({ first, last }) => ({ partition, first: `${first}`, last: `${last}` })),
    )
  return [...merged, ...proof.filter(entry => !isRange(entry))]
}

/** By partition, in the order of the proof. */
export function rangesOf(proof: Proof): ReadonlyMap<number, readonly Range[]> {
  const byPartition = Map.groupBy(proof.filter(isRange), ({ partition }) => partition!)
  return new Map(Array.from(byPartition, ([partition, entries]) => [partition, entries.map(rangeOf)]))
}

/** How many places the ranges of a merged proof name. */
export function proofRows(proof: Proof): number {
  return proof.filter(isRange).reduce((sum, entry) => sum + Number(rangeOf(entry).last - rangeOf(entry).first) + 1, 0)
}

function isRange({ partition, first, last }: Entry): boolean {
  return partition !== undefined && NUMBER.test(first) && NUMBER.test(last)
}

function rangeOf({ first, last }: Entry): Range {
  return { first: BigInt(first), last: BigInt(last) }
}

function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const next of ranges.toSorted((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first)))) {
    const before = merged.at(-1)
    if (before === undefined || next.first > before.last + 1n) merged.push(next)
    else if (next.last > before.last) merged[merged.length - 1] = { first: before.first, last: next.last }
  }
  return merged
}

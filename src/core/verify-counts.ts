import { formatChecksum } from '../columnar/checksum.ts'
import type { Findings, Place } from './verify-findings.ts'
import { HashSet } from './verify-set.ts'

/** What should be in one place of the destination: a unit's file, or all of a topic that is the job's. */
export interface Expected {
  readonly unit: number | undefined
  readonly first_chunk: number
  readonly last_chunk: number
  readonly delivered: number
  /** Null where rows were not summed up. */
  readonly checksum: string | null
  /** All its chunks are delivered to their end. */
  readonly done: boolean
}

interface Tally {
  records: number
  sum: bigint
  /** Of the rows' identities, where they are told apart. */
  readonly distinct: HashSet | undefined
  distinctSum: bigint
}

interface Judgement {
  readonly missing?: number
  readonly duplicated?: number
  readonly unexpected?: number
  readonly untold?: number
  readonly ahead?: number
  readonly wrong?: boolean
}

/**
 * Judges by numbers and sums what has no ids, and by an identity for each row what has ids of a unique key. Equal number and equal sum are
 * proof: each row is there, once. Where rows are told apart, that takes 16 bytes for each.
 */
export class CountJudge {
  readonly #expected: ReadonlyMap<number | undefined, Expected>
  readonly #apart: 'by key' | 'by content' | undefined
  readonly #places: Place[] = []
  readonly #judged = new Set<Expected>()
  readonly #totals = { missing: 0, duplicated: 0, unexpected: 0, untold: 0, ahead: 0 }
  #current: { readonly expected: Expected; readonly tally: Tally } | undefined
  #others = 0

  /** `apart`: what the identity of a row is that `take` is given, if rows are to be told apart. */
  constructor(expected: readonly Expected[], apart: 'by key' | 'by content' | undefined) {
    this.#expected = new Map(expected.map(one => [one.unit, one]))
    this.#apart = apart
  }

  /** The rows of a unit come together. */
  take(unit: number | undefined, proven: boolean, checksum: bigint, identity: bigint): void {
    const expected = this.#expected.get(unit)
    if (!proven) this.#others++
    else if (expected === undefined) this.#totals.unexpected++
    else count(this.#tallyOf(expected), checksum, identity)
  }

  #tallyOf(expected: Expected): Tally {
    if (this.#current?.expected !== expected) {
      this.#close()
      this.#current = { expected, tally: newTally(this.#apart && expected.delivered) }
    }
    return this.#current!.tally
  }

  #close(): void {
    if (this.#current) this.#judge(this.#current.expected, this.#current.tally)
    this.#current = undefined
  }

  findings(): Findings {
    this.#close()
    const all = [...this.#expected.values()]
    for (const expected of all) if (!this.#judged.has(expected)) this.#judge(expected, newTally(undefined))
    const delivered = all.reduce((sum, expected) => sum + expected.delivered, 0)
    return {
      found: delivered - this.#totals.missing,
      ...this.#totals,
      others: this.#others,
      unnamed: 0,
      places: this.#places.toSorted((a, b) => a.first_chunk - b.first_chunk),
    }
  }

  #judge(expected: Expected, tally: Tally): void {
    this.#judged.add(expected)
    const judgement = this.#judgementOf(expected, tally)
    const { missing = 0, duplicated = 0, unexpected = 0, untold = 0, ahead = 0, wrong = false } = judgement
    this.#totals.missing += missing
    this.#totals.duplicated += duplicated
    this.#totals.unexpected += unexpected
    this.#totals.untold += untold
    this.#totals.ahead += ahead
    const { first_chunk, last_chunk } = expected
    if (missing > 0 || unexpected > 0 || wrong)
      this.#places.push({ first_chunk, last_chunk, missing, unexpected, wrong, missing_rows: [] })
  }

  #judgementOf(expected: Expected, { records, sum, distinct, distinctSum }: Tally): Judgement {
    const { delivered, checksum } = expected
    const isSum = (sum: bigint) => formatChecksum(sum) === checksum
    if (records === delivered && isSum(sum)) return {}
    if (distinct && distinct.size === delivered && (checksum === null || isSum(distinctSum)))
      return { duplicated: records - delivered }
    if (distinct && this.#apart === 'by key')
      return {
        missing: Math.max(0, delivered - distinct.size),
        unexpected: Math.max(0, distinct.size - delivered),
        duplicated: records - distinct.size,
        wrong: distinct.size === delivered,
      }
    const excess = records - delivered
    if (excess < 0) return { missing: -excess }
    if (excess === 0) return { wrong: checksum !== null }
    if (!expected.done) return { ahead: excess }
    // of a unit's own file nothing is anybody else's, and it was written once
    return expected.unit === undefined ? { untold: excess } : { unexpected: excess }
  }
}

function newTally(apart: number | undefined): Tally {
  return { records: 0, sum: 0n, distinct: apart === undefined ? undefined : new HashSet(apart), distinctSum: 0n }
}

function count(tally: Tally, checksum: bigint, identity: bigint): void {
  tally.records++
  tally.sum += checksum
  if (tally.distinct?.add(identity)) tally.distinctSum += checksum
}

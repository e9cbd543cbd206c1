/**
 * The record batches of one partition on their way to its leader: what may be sent next, with which sequence number, and what
 * follows from an answer. Pure: no I/O, no time, so that it can be simulated.
 *
 * Sequence numbers count the records of a producer's epoch in one partition; the broker takes a batch only behind the one before
 * it, and knows the last five batches again (KIP-98; "Idempotent Producer" in librdkafka's INTRODUCTION.md). Hence:
 *
 * - Up to five batches are in flight, counted from the first that is not settled, even if some behind it are: what is older than
 *   the five that the broker remembers could no longer be told from something new.
 * - A batch keeps its sequence number until it is settled. What fails is sent again in order, after everything in flight was
 *   answered, and one batch at a time until one is taken.
 * - The first batch of an epoch goes alone, and the first after a time without any, in which a broker may have forgotten the
 *   producer (`producer.id.expiration.ms`): it then takes any number, so that a second batch could slip in before a first that failed.
 * - "Out of order" behind a batch that failed says only that. At the head it says that the broker lost track, or that an earlier
 *   attempt was taken whose answer got lost, and that the broker remembers only what came later (a snapshot holds a producer's
 *   last batch alone): if a batch behind it that was sent before turns out to be there, so is the one at the head, provided that
 *   the offsets leave room for it.
 * - Else, and wherever a number is left out, once everything ahead of the gap is settled, a new epoch begins when nothing is in
 *   flight any more, and everything that is not settled gets new numbers from 0 on, in order (KIP-360). What still travels under the
 *   old epoch is refused from then on.
 */

/** Sequence numbers wrap to 0 behind 2^31 - 1. */
const SEQUENCES = 2 ** 31

/** What was answered about a batch that was not taken. */
export type Failure =
  /** Nothing, or what does not rule out that it is in the log: a leader may lose its office over a batch that its followers have. */
  | 'unknown'
  | 'out of order'
  /** No batch of this producer can be taken any more. */
  | 'producer lost'

/** A batch at its place in the queue. */
export interface Entry<Batch> {
  readonly batch: Batch
  /** Of its first record; set while it has one. */
  readonly sequence: number | undefined
}

interface OwnEntry<Batch> extends Entry<Batch> {
  sequence: number | undefined
  /** `gap`: nothing will come at its place, so that what is behind it needs new numbers. */
  state: 'waiting' | 'in flight' | 'refused' | 'gap' | 'settled'
  /** An attempt under this sequence may have been taken. */
  maybeTaken: boolean
  /** It was out of order although nothing ahead of it is missing. */
  doubtful: boolean
  /** Nobody waits for it: it is not to be sent again. */
  dropped: boolean
  /** Once settled: of its first record, -1 where nobody knows. */
  offset: bigint
}

export interface Taken<Batch> {
  readonly batch: Batch
  /** Of its first record; -1 where nobody knows. */
  readonly offset: bigint
}

export class PartitionQueue<Batch extends { readonly rows: number }> {
  /** In sequence order; the first is not settled. */
  #entries: OwnEntry<Batch>[] = []
  readonly #window: number
  /** The highest offset behind those that were settled and left the queue; -1 where nobody knows. */
  #end = -1n
  #nextSequence = 0
  #inFlight = 0
  /** Only one at a time is sent, until one is taken. */
  #alone = true
  /** Something failed: nothing is sent until everything in flight was answered. */
  #draining = false
  #epochDue = false

  /** `window`: most batches in flight. */
  constructor(window: number) {
    this.#window = window
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Nothing is sent until `beginEpoch`. */
  get needsEpoch(): boolean {
    return this.#epochDue && this.#inFlight === 0
  }

  /** Whether `next` has something to send. */
  get ready(): boolean {
    return this.#candidate() !== undefined
  }

  add(batch: Batch): Entry<Batch> {
    const entry = newEntry(batch)
    this.#entries.push(entry)
    return entry
  }

  /** What to send now, if anything; from here on it is in flight. */
  next(): Entry<Batch> | undefined {
    const entry = this.#candidate()
    if (entry === undefined) return undefined
    if (entry.sequence === undefined) {
      entry.sequence = this.#nextSequence
      this.#nextSequence = following(entry)
    }
    entry.state = 'in flight'
    this.#inFlight++
    return entry
  }

  /** The broker has it. Answers what is settled by that, in order. */
  taken(sent: Entry<Batch>, offset: bigint): readonly Taken<Batch>[] {
    const entry = this.#landed(sent)
    entry.state = 'settled'
    entry.offset = offset
    if (!this.#draining) this.#alone = false
    const taken = [...this.#prove(), { batch: entry.batch, offset }]
    this.#tidy()
    return taken
  }

  /** Answers what is settled even so, in order. */
  failed(sent: Entry<Batch>, failure: Failure): readonly Taken<Batch>[] {
    const entry = this.#landed(sent)
    entry.state = 'waiting'
    this.#draining = true
    if (failure === 'unknown') entry.maybeTaken = true
    if (failure === 'producer lost') this.#epochDue = true
    if (failure === 'out of order' && this.#leads(entry)) entry.doubtful = true
    const taken = this.#prove()
    if (entry.dropped && entry.state === 'waiting') this.#leaveOut(entry)
    this.#tidy()
    return taken
  }

  /** The broker will never take it as it is: it keeps its place, and holds up what is behind it, until `replace`. */
  refused(sent: Entry<Batch>): void {
    const entry = this.#landed(sent)
    entry.state = 'refused'
    this.#draining = true
    if (entry.dropped) this.#leaveOut(entry)
    this.#tidy()
  }

  /** Puts batches in the place of one that was refused. `complete`: they hold the same records. */
  replace(refused: Entry<Batch>, batches: readonly Batch[], complete: boolean): void {
    const index = this.#entries.indexOf(refused as OwnEntry<Batch>)
    if (index < 0 || this.#entries[index]!.dropped) return
    const entries = batches.map(newEntry<Batch>)
    if (complete && refused.sequence !== undefined) {
      let { sequence } = refused
      for (const entry of entries) {
        entry.sequence = sequence
        sequence = following(entry)
      }
    }
    this.#entries.splice(index + 1, 0, ...entries)
    this.#leaveOut(this.#entries[index]!, complete)
    this.#tidy()
  }

  /** Nobody waits for these batches any more: they are not sent again. */
  drop(isMeant: (batch: Batch) => boolean): void {
    for (const entry of this.#entries.filter(({ batch }) => isMeant(batch))) {
      entry.dropped = true
      if (entry.state === 'waiting' || entry.state === 'refused') this.#leaveOut(entry)
    }
    this.#tidy()
  }

  /** Everything that is not settled is numbered anew. Only when `needsEpoch`. */
  beginEpoch(): void {
    this.#entries = this.#entries.filter(({ state }) => state !== 'settled' && state !== 'gap')
    for (const entry of this.#entries) {
      entry.sequence = undefined
      entry.maybeTaken = false
      entry.doubtful = false
    }
    this.#nextSequence = 0
    this.#epochDue = false
    this.#alone = true
  }

  #candidate(): OwnEntry<Batch> | undefined {
    if (this.#draining || this.#epochDue || (this.#alone && this.#inFlight > 0)) return undefined
    const unsettled = this.#entries
      .slice(0, this.#window)
      .find(({ state, doubtful }) => !(doubtful || state === 'settled' || state === 'in flight'))
    return unsettled?.state === 'waiting' ? unsettled : undefined
  }

  /** Whether everything ahead of it is there, or in doubt itself. */
  #leads(entry: OwnEntry<Batch>): boolean {
    return this.#entries.find(({ state, doubtful }) => state !== 'settled' && !doubtful) === entry
  }

  /** Settles what is in doubt between two that are there, with room for it in between. */
  #prove(): Taken<Batch>[] {
    const proven: OwnEntry<Batch>[] = []
    let doubted: OwnEntry<Batch>[] = []
    let end = this.#end
    let highest = end
    for (const entry of this.#entries) {
      if (entry.state === 'settled') {
        // a broker that lost track took what came later first: nothing can be told from its offsets
        if (entry.offset < highest) return []
        highest = endOf(entry)
        const rows = doubted.reduce((sum, { batch }) => sum + batch.rows, 0)
        if (end >= 0n && entry.offset - end >= rows) proven.push(...doubted)
        doubted = []
        end = endOf(entry)
      } else if (entry.doubtful && entry.maybeTaken) doubted.push(entry)
      else end = -1n
    }
    for (const entry of proven) {
      entry.state = 'settled'
      entry.doubtful = false
    }
    return proven.map(({ batch }) => ({ batch, offset: -1n }))
  }

  #landed(sent: Entry<Batch>): OwnEntry<Batch> {
    this.#inFlight--
    return sent as OwnEntry<Batch>
  }

  /** Without it there is a gap, unless it never had a number or others took those over. */
  #leaveOut(entry: OwnEntry<Batch>, replaced = false): void {
    const index = this.#entries.indexOf(entry)
    if (index < 0) return
    if (entry.sequence !== undefined && !replaced) entry.state = 'gap'
    else this.#entries.splice(index, 1)
    entry.doubtful = false
  }

  #tidy(): void {
    while (this.#entries[0]?.state === 'settled') {
      const end = endOf(this.#entries.shift()!)
      if (end > this.#end) this.#end = end
    }
    if (this.#inFlight > 0) return
    if (this.#draining || this.#entries.length === 0) this.#alone = true
    this.#draining = false
    const [head] = this.#entries
    if (head?.state === 'gap' || (head?.doubtful && !this.#mayBeProven())) this.#epochDue = true
  }

  /** Whether sending the next one again could tell that those in doubt are there. */
  #mayBeProven(): boolean {
    const next = this.#entries.find(({ state, doubtful }) => state !== 'settled' && !doubtful)
    return this.#entries[0]!.maybeTaken && next?.state === 'waiting' && next.maybeTaken
  }
}

function newEntry<Batch>(batch: Batch): OwnEntry<Batch> {
  const nothingYet = { sequence: undefined, state: 'waiting', maybeTaken: false, doubtful: false } as const
  return { batch, ...nothingYet, dropped: false, offset: -1n }
}

function following<Batch extends { readonly rows: number }>({ batch, sequence }: OwnEntry<Batch>): number {
  return (sequence! + batch.rows) % SEQUENCES
}

function endOf<Batch extends { readonly rows: number }>({ batch, offset }: OwnEntry<Batch>): bigint {
  return offset < 0n ? -1n : offset + BigInt(batch.rows)
}

/** A staged table in memory, and a reader of it that keeps the contract of `read-plan.ts`. */

import { rowChecksum } from '../../src/columnar/checksum.ts'
import type { FilledBatch, ReadPlan, SpanRead, UnitReader } from '../../src/columnar/read-plan.ts'
import type { Checkpoint } from '../../src/core/unit.ts'
import { type FakeRow, fakeBatch } from './fake-batch.ts'
import type { Random, SimulatedTime } from './simulated-time.ts'

export interface TableOptions {
  /** Rows of each chunk. */
  readonly chunks: readonly number[]
  readonly spanRows: number
  /** Share of the rows that the filter lets through. Default 1. */
  readonly selectivity?: number
  /** Scatters rows over this many, the lower ones more often. Default: not partitioned. */
  readonly partitions?: number
  /** Share of the rows that the destination refuses for good. Default 0. */
  readonly poison?: number
}

export interface TableRow extends FakeRow {
  readonly selected: boolean
  readonly partition: number | undefined
  readonly poison: boolean
  /** When its span was handed out last. */
  readAt: number
}

/** Tallies of a chunk's rows below a watermark. */
type Tallies = Pick<Checkpoint, 'delivered' | 'filtered' | 'deadLettered' | 'bytes'> & { readonly checksum: bigint }

export class SimulatedTable {
  readonly options: TableOptions
  readonly chunks: readonly (readonly TableRow[])[]
  /** By payload. */
  readonly selected = new Map<string, TableRow>()
  /** By chunk and watermark. */
  readonly #tallies: readonly (readonly Tallies[])[]

  constructor(options: TableOptions, random: Random) {
    const { selectivity = 1, partitions, poison = 0, spanRows } = options
    this.options = options
    this.chunks = options.chunks.map((count, chunk) => {
      const positions = new Map<string, number>()
      return Array.from({ length: count }, (_, row) => {
        const selected = random() < selectivity
        const partition = partitions === undefined ? undefined : Math.floor(random() ** 3 * partitions)
        const span = row - (row % spanRows)
        const place = `${span}/${partition}`
        const position = positions.get(place) ?? 0
        if (selected) positions.set(place, position + 1)
        const payload = Buffer.from(`{"chunk":${chunk},"row":${row},"pad":"${'x'.repeat(random() * 20)}"}`)
        const checksum = rowChecksum(payload)
        const poisoned = selected && random() < poison
        return { chunk, span, row, position, payload, checksum, selected, partition, poison: poisoned, readAt: 0 }
      })
    })
    this.#tallies = this.chunks.map(tally)
    for (const row of this.chunks.flat()) if (row.selected) this.selected.set(row.payload.toString(), row)
  }

  /** The checkpoint that a correct engine has at this watermark. */
  checkpointAt(chunk: number, watermark: number): Checkpoint {
    const { checksum, ...tallies } = this.#tallies[chunk]![watermark]!
    const done = watermark === this.chunks[chunk]!.length
    return { chunk, row: watermark, done, ...tallies, checksum: checksum.toString(16).padStart(16, '0') }
  }

  read(plan: ReadPlan, time: SimulatedTime, behaviour: ReaderBehaviour = {}): SimulatedReader {
    return new SimulatedReader(this, plan, time, behaviour)
  }
}

function tally(rows: readonly TableRow[]): Tallies[] {
  const tallies: Tallies[] = [{ delivered: 0, filtered: 0, deadLettered: 0, bytes: 0, checksum: 0n }]
  for (const { selected, poison, payload, checksum } of rows) {
    const below = tallies.at(-1)!
    const good = selected && !poison
    tallies.push({
      delivered: below.delivered + (good ? 1 : 0),
      filtered: below.filtered + (selected ? 0 : 1),
      deadLettered: below.deadLettered + (poison ? 1 : 0),
      bytes: below.bytes + (good ? payload.length : 0),
      checksum: BigInt.asUintN(64, below.checksum + (good ? BigInt(`0x${checksum}`) : 0n)),
    })
  }
  return tallies
}

export interface ReaderBehaviour {
  /** Most time that one call takes. Default 2 ms. */
  readonly readMs?: number
  /** The n-th call of `next` (from 0) throws this. */
  readonly failsAt?: { readonly call: number; readonly error: Error }
  /** Batches of which no row can be sent as the encoding asks. */
  readonly unframeable?: (rows: readonly TableRow[]) => boolean
  /** Breaks its contract: says of more rows than it has that the filter let them through. */
  readonly losesRows?: boolean
  /** The n-th call of `next` does not end before the reading is closed, or not even then. */
  readonly hangsAt?: { readonly call: number; readonly heedsClose: boolean }
}

type Place = Pick<SpanRead, 'chunk' | 'row' | 'rows' | 'last'>

interface Filling {
  readonly partition: number | undefined
  rows: TableRow[]
  bytes: number
}

class SimulatedReader implements UnitReader {
  /** Rows handed out, in batches or filling. */
  read = 0
  /** Batches whose memory came back. */
  released = 0
  readonly #table: SimulatedTable
  readonly #plan: ReadPlan
  readonly #time: SimulatedTime
  readonly #behaviour: ReaderBehaviour
  readonly #spans: readonly Place[]
  readonly #filling = new Map<number | undefined, Filling>()
  readonly #closing = new AbortController()
  #calls = 0
  #at = 0
  #busy = false

  constructor(table: SimulatedTable, plan: ReadPlan, time: SimulatedTime, behaviour: ReaderBehaviour) {
    this.#table = table
    this.#plan = plan
    this.#time = time
    this.#behaviour = behaviour
    this.#spans = plan.chunks.flatMap(({ chunk, fromRow }) => {
      const length = table.chunks[chunk]!.length
      const spans = Math.max(1, Math.ceil((length - fromRow) / plan.spanRows))
      return Array.from({ length: spans }, (_, index) => {
        const row = fromRow + index * plan.spanRows
        return { chunk, row, rows: Math.min(plan.spanRows, length - row), last: index === spans - 1 }
      })
    })
  }

  /** As a lane does, which fills it with other rows at once. */
  release(bytes: Uint8Array<ArrayBuffer>): void {
    this.released++
    bytes.fill(0xff)
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  next(): Promise<SpanRead | undefined> {
    return this.#alone(async () => {
      const call = this.#calls++
      const { failsAt, hangsAt } = this.#behaviour
      if (call === hangsAt?.call) await this.#time.pause(1e9, hangsAt.heedsClose ? this.#closing.signal : undefined)
      if (call === failsAt?.call) throw failsAt.error
      const span = this.#spans[this.#at++]
      return span && this.#readSpan(span)
    })
  }

  cut(): Promise<readonly FilledBatch[]> {
    return this.#alone(async () => [...this.#filling.keys()].flatMap(partition => this.#cut(partition)))
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the reading was ended'))
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw new Error('calls of a reader must not overlap')
    this.#closing.signal.throwIfAborted()
    this.#busy = true
    try {
      await this.#time.dawdle(this.#behaviour.readMs ?? 2, this.#closing.signal)
      return await work()
    } finally {
      this.#busy = false
    }
  }

  #readSpan({ chunk, row, rows, last }: Place): SpanRead {
    const all = this.#table.chunks[chunk]!.slice(row, row + rows)
    const left = all.filter(each => each.selected)
    this.read += left.length
    for (const each of left) each.readAt = this.#time.now
    const bytes = left.reduce((sum, each) => sum + each.payload.length, 0)
    const batches = this.#plan.stableBatches ? this.#fillStable(left) : this.#fillGreedily(left)
    if (this.#behaviour.losesRows) return { chunk, row, rows, filtered: 0, bytes, last, batches }
    return { chunk, row, rows, filtered: all.length - left.length, bytes, last, batches }
  }

  #fillGreedily(rows: readonly TableRow[]): FilledBatch[] {
    return rows.flatMap(row => this.#fill(row))
  }

  /** A span's rows for a partition stay together if they fit into a batch, and else are cut into batches of their own. */
  #fillStable(rows: readonly TableRow[]): FilledBatch[] {
    return [...Map.groupBy(rows, row => row.partition)].flatMap(([partition, own]) => {
      const bytes = own.reduce((sum, row) => sum + row.payload.length, 0)
      const before = this.#fits(partition, own.length, bytes) ? [] : this.#cut(partition)
      const fits = this.#fits(partition, own.length, bytes)
      const full = own.flatMap(row => this.#fill(row))
      return [...before, ...full, ...(fits ? [] : this.#cut(partition))]
    })
  }

  #fill(row: TableRow): FilledBatch[] {
    const cut = this.#fits(row.partition, 1, row.payload.length) ? [] : this.#cut(row.partition)
    const filling = this.#filling.get(row.partition) ?? { partition: row.partition, rows: [], bytes: 0 }
    filling.rows.push(row)
    filling.bytes += row.payload.length
    this.#filling.set(row.partition, filling)
    return cut
  }

  #fits(partition: number | undefined, rows: number, bytes: number): boolean {
    const filling = this.#filling.get(partition)
    const { batchRows, batchBytes } = this.#plan
    return (filling?.rows.length ?? 0) + rows <= batchRows && (filling?.bytes ?? 0) + bytes <= batchBytes
  }

  #cut(partition: number | undefined): FilledBatch[] {
    const filling = this.#filling.get(partition)
    this.#filling.delete(partition)
    if (!filling) return []
    const { unframeable } = this.#behaviour
    if (unframeable?.(filling.rows)) return [{ ...fakeBatch(filling.rows, { kind: 'rows' }), refusal: 'too large' }]
    return [fakeBatch(filling.rows, this.#plan.encoding, partition)]
  }
}

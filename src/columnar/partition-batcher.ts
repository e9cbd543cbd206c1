import { FormatError } from '../core/errors.ts'
import { Batcher, type RowBatcher } from './batcher.ts'
import { readTimestamp } from './calendar.ts'
import { hashRow } from './checksum.ts'
import type { Allocate, EncoderPlan } from './encoder.ts'
import { partitionOf } from './murmur2.ts'
import type { FilledBatch, KafkaEncoding } from './read-plan.ts'
import { type KafkaRecord, RecordBatchWriter } from './record-batch.ts'
import { RowTally, type SpanStart } from './row-tally.ts'
import { sealBatch } from './sealed-batch.ts'

/**
 * Fills one record batch for each partition. A partition's batch is cut before a record would take it beyond `batchRows`,
 * `batchBytes` or `maxBatchBytes`, all of the uncompressed batch with its header; a larger record is a batch of its own.
 *
 * Records without a key go to the sticky partition. It begins with the number of the unit's first chunk modulo the
 * partitions, so that units do not all begin at the same one, and moves on by one whenever the batch of the sticky
 * partition is cut, for whatever reason; the record that it was cut for goes to the new one, if that has no key.
 *
 * Rows that have no time for Kafka fill a batch of their own, framed as rows. It is cut where it is full and at the end of
 * each span, behind what else the span filled. Pieces count rows (`first`) among those of the span with the same
 * destiny: refused for their time, or else placed in the same partition, where one is too large as well.
 */
export class PartitionBatcher implements RowBatcher {
  readonly columns: readonly string[]
  readonly #plan: EncoderPlan
  readonly #encoding: KafkaEncoding
  readonly #allocate: Allocate
  readonly #clock: () => number
  readonly #maxBytes: number
  /** By partition, each made when it is first needed. */
  readonly #fillings: Filling[] = []
  readonly #refused: Batcher
  #sticky = -1
  #span: SpanStart = { chunk: 0, row: 0 }
  #spanBytes = 0
  /** What NULL stands for, in the present span. */
  #now = 0n
  #filled: FilledBatch[] = []

  /** `clock`: milliseconds since 1970; asked once a span. */
  constructor(
    plan: EncoderPlan & { readonly encoding: KafkaEncoding },
    allocate: Allocate,
    clock: () => number = Date.now,
  ) {
    const { batchRows, batchBytes, checksums, encoding } = plan
    const { key, timestamp, maxBatchBytes = Number.POSITIVE_INFINITY } = encoding
    this.columns = [...(key === undefined ? [] : [key]), ...(timestamp === 'now' ? [] : [timestamp.column])]
    this.#plan = plan
    this.#encoding = encoding
    this.#allocate = allocate
    this.#clock = clock
    this.#maxBytes = Math.min(batchBytes, maxBatchBytes)
    const rows = { encoding: { kind: 'rows' }, batchRows, batchBytes, checksums, stableBatches: false } as const
    this.#refused = new Batcher(rows, allocate)
  }

  beginSpan(chunk: number, row: number): void {
    if (this.#sticky === -1) this.#sticky = chunk % this.#encoding.partitions
    this.#span = { chunk, row }
    this.#spanBytes = 0
    this.#now = BigInt(this.#clock())
    this.#refused.beginSpan(chunk, row)
  }

  add(row: number, json: string, texts: readonly (string | null)[], id?: string): void {
    const timestamp = this.#timestampOf(texts)
    if (timestamp < 0n || timestamp > LAST_TIMESTAMP) {
      this.#refused.add(row, json, [], id)
      return
    }
    const { idHeader } = this.#encoding
    const key = this.#encoding.key === undefined ? null : texts[0]!
    const idBytes = id === undefined ? null : Buffer.from(id)
    const keyBytes = key === null ? null : Buffer.from(key)
    const record = { key: keyBytes, value: Buffer.from(json), timestamp, id: idHeader === undefined ? null : idBytes }
    const { writer, tally } = this.#place(record)
    writer.append(record)
    const { length } = record.value
    const checksum = this.#plan.checksums ? hashRow(record.value, { id: idBytes, key: keyBytes }) : 0n
    tally.count(this.#span, row, length, checksum)
    this.#spanBytes += length
  }

  endSpan(): number {
    const refusedBytes = this.#refused.endSpan()
    this.#refused.cut()
    for (const batch of this.#refused.takeFilled()) this.#filled.push({ ...batch, refusal: NO_TIMESTAMP })
    return this.#spanBytes + refusedBytes
  }

  /** In the order of the partitions. The sticky one is what it would be if its batch had been cut alone. */
  cut(): void {
    const sticky = this.#fillings[this.#sticky]?.writer.rows ? this.#afterSticky() : this.#sticky
    this.#fillings.forEach((_, partition) => {
      this.#cutPartition(partition)
    })
    this.#sticky = sticky
  }

  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  /** The batch that takes the record. */
  #place(record: KafkaRecord): Filling {
    const { partitions } = this.#encoding
    const own = record.key === null ? undefined : partitionOf(record.key, partitions)
    for (;;) {
      const partition = own ?? this.#sticky
      this.#fillings[partition] ??= { writer: new RecordBatchWriter(this.#encoding), tally: new RowTally() }
      const filling = this.#fillings[partition]
      const { writer } = filling
      if (writer.rows === 0) return filling
      if (writer.rows < this.#plan.batchRows && writer.lengthWith(record) <= this.#maxBytes) return filling
      this.#cutPartition(partition)
    }
  }

  #cutPartition(partition: number): void {
    const { writer, tally } = this.#fillings[partition]!
    if (writer.rows === 0) return
    const finished = { partition, bytes: writer.finish(), ...tally.take(tally.rows) }
    this.#filled.push(sealBatch(finished, this.#encoding, this.#allocate))
    if (partition === this.#sticky) this.#sticky = this.#afterSticky()
  }

  #afterSticky(): number {
    return (this.#sticky + 1) % this.#encoding.partitions
  }

  /** Milliseconds since 1970, cut towards the past. */
  #timestampOf(texts: readonly (string | null)[]): bigint {
    const { timestamp } = this.#encoding
    if (timestamp === 'now') return 0n
    const text = texts.at(-1)!
    if (text === null) return this.#now
    const nanos = readTimestamp(text)
    if (nanos === undefined)
      throw new FormatError(
        'unsupported_type',
        `column ${JSON.stringify(timestamp.column)} has no timestamps, which the records are to have`,
      )
    return nanos < 0n ? -1n : nanos / MILLI_NANOS
  }
}

interface Filling {
  readonly writer: RecordBatchWriter
  readonly tally: RowTally
}

const MILLI_NANOS = 1_000_000n
const LAST_TIMESTAMP = 2n ** 63n - 1n

/** Why a row is refused; the other reason is its size. */
export const NO_TIMESTAMP = 'its timestamp is before 1970 or too far ahead, which a Kafka record cannot carry'

/** The cutting of Kafka record batches, as in `partition-batcher.ts`, for rows that are in the kernel. */
import type { Allocate, EncoderPlan } from './encoder.ts'
import { plainBytes } from './kernel-batches.ts'
import type { SlotBatches } from './kernel-encoder.ts'
import * as layout from './kernel-layout.ts'
import { uint32 } from './kernel-memory.ts'
import type { Slot, SlotTable } from './kernel-slots.ts'
import type { WantedColumns } from './kernel-span.ts'
import { NO_TIMESTAMP } from './partition-batcher.ts'
import type { FilledBatch, KafkaEncoding } from './read-plan.ts'
import { headersOf } from './record-batch.ts'
import type { SpanStart } from './row-tally.ts'
import { sealBatch } from './sealed-batch.ts'

/** Of all slots of an encoder together. */
const MOST_KEPT_BYTES = 16 * 1024 * 1024

/** How many slots the encoding needs; the last one is for rows that have no time for Kafka. */
export function slotsFor({ key, partitions }: KafkaEncoding): number {
  return (key === undefined ? 1 : partitions) + 1
}

/**
 * With a key there is a slot for each partition. Without, there is just one: where the sticky partition moves on, the slot
 * is empty and stands for the next one.
 */
export class RecordBatches implements SlotBatches {
  readonly wanted: WantedColumns
  readonly #encoding: KafkaEncoding
  readonly #allocate: Allocate
  readonly #clock: () => number
  readonly #table: SlotTable
  readonly #slots: readonly Slot[]
  readonly #refusedSlot: Slot
  /** Whether a slot that was cut keeps its memory for the next batch. Many slots are to cost just what they hold. */
  readonly #keepsMemory: boolean
  #sticky = -1
  #span: SpanStart = { chunk: 0, row: 0 }
  #spanBytes = 0
  /** Without a key: by partition, the present span's rows that went there. */
  #spanRows: number[] = []
  #filled: FilledBatch[] = []
  #refused: FilledBatch[] = []

  constructor(table: SlotTable, plan: EncoderPlan, encoding: KafkaEncoding, allocate: Allocate, clock: () => number) {
    const { key, timestamp, partitions, maxBatchBytes = Number.POSITIVE_INFINITY } = encoding
    this.wanted = { texts: [], key, timestamp: timestamp === 'now' ? undefined : timestamp.column }
    this.#encoding = encoding
    this.#allocate = allocate
    this.#clock = clock
    this.#table = table
    this.#slots = table.slots.slice(0, -1)
    this.#refusedSlot = table.slots.at(-1)!
    this.#keepsMemory = this.#slots.length * plan.batchBytes <= MOST_KEPT_BYTES
    const headers = headersOf(encoding)
    table.set(layout.ENCODER_ID_HEADER, encoding.idHeader === undefined ? 0 : 1)
    table.set(layout.ENCODER_HEADERS, table.memory.place(headers))
    table.set(layout.ENCODER_HEADERS_BYTES, headers.length)
    table.set(layout.ENCODER_PARTITIONS, partitions)
    table.set(layout.ENCODER_RECORDS_BYTES, uint32(Math.min(plan.batchBytes, maxBatchBytes)))
    table.set(layout.ENCODER_REFUSED_SLOT, this.#refusedSlot.address)
    table.set(layout.ENCODER_LENGTH_WIDTH, 2)
    table.set(layout.ENCODER_VALUE_WIDTH, 2)
    for (const field of [layout.ENCODER_BEFORE_FIRST, layout.ENCODER_BEFORE_NEXT, layout.ENCODER_AFTER])
      table.set(field, -1)
  }

  beginSpan(span: SpanStart): void {
    if (this.#sticky === -1) this.#setSticky(span.chunk % this.#encoding.partitions)
    this.#span = span
    this.#spanBytes = 0
    this.#table.memory.set64(this.#table.encoder + layout.ENCODER_NOW, BigInt(this.#clock()))
  }

  makeRoom(address: number): void {
    if (address === this.#refusedSlot.address) this.#cutRefused()
    else {
      const slot = this.#table.slotAt(address)
      const partition = this.#isKeyed ? this.#slots.indexOf(slot) : this.#sticky
      this.#cutSlot(slot, partition)
      if (partition === this.#sticky) this.#setSticky(this.#afterSticky())
    }
  }

  endSpan(): number {
    for (const slot of this.#slots) {
      if (slot.spanRows === 0) continue
      this.#spanBytes += slot.endPiece(this.#span)
      slot.spanRows = 0
    }
    this.#spanRows = []
    this.#cutRefused()
    this.#refusedSlot.spanRows = 0
    this.#filled.push(...this.#refused.splice(0))
    return this.#spanBytes
  }

  /** In the order of the partitions. The sticky one is what it would be if its batch had been cut alone. */
  cut(): void {
    if (this.#sticky === -1) return
    const isStickyFilling = this.#stickySlot.rows > 0
    this.#slots.forEach((slot, index) => {
      this.#cutSlot(slot, this.#isKeyed ? index : this.#sticky)
    })
    if (isStickyFilling) this.#setSticky(this.#afterSticky())
  }

  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  get #isKeyed(): boolean {
    return this.#encoding.key !== undefined
  }

  get #stickySlot(): Slot {
    return this.#slots[this.#isKeyed ? this.#sticky : 0]!
  }

  #setSticky(partition: number): void {
    if (!this.#isKeyed && this.#sticky !== -1) {
      const [slot] = this.#slots
      this.#spanRows[this.#sticky] = slot!.spanRows
      slot!.spanRows = this.#spanRows[partition] ?? 0
    }
    this.#sticky = partition
    this.#table.set(layout.ENCODER_STICKY_SLOT, this.#stickySlot.address)
  }

  #afterSticky(): number {
    return (this.#sticky + 1) % this.#encoding.partitions
  }

  #cutSlot(slot: Slot, partition: number): void {
    const { rows } = slot
    if (rows === 0) return
    this.#spanBytes += slot.endPiece(this.#span)
    slot.finishRecords()
    const finished = { ...slot.describe(rows), partition, bytes: slot.payload(slot.length) }
    this.#filled.push(sealBatch(finished, this.#encoding, this.#allocate))
    if (this.#keepsMemory) slot.drop(rows)
    else slot.free()
  }

  #cutRefused(): void {
    const slot = this.#refusedSlot
    this.#spanBytes += slot.endPiece(this.#span)
    const { rows } = slot
    if (rows === 0) return
    const framed = plainBytes(slot, rows, [], this.#allocate)
    this.#refused.push({ ...slot.describe(rows), ...framed, refusal: NO_TIMESTAMP })
    slot.free()
  }
}

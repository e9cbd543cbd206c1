import { Batcher } from './batcher.ts'
import type { Allocate, EncoderPlan } from './encoder.ts'
import type { FilledBatch } from './read-plan.ts'

/** Rows that a transform refused, framed as rows: consecutive ones of a span, for one reason, make a batch. */
export class RefusedRows {
  readonly #batcher: Batcher
  #reason: string | undefined
  #filled: FilledBatch[] = []

  constructor({ batchRows, batchBytes, checksums, ids }: EncoderPlan, allocate: Allocate) {
    const named = ids ? { ids } : {}
    const limits = { batchRows, batchBytes, checksums, stableBatches: false, ...named }
    this.#batcher = new Batcher({ encoding: { kind: 'rows' }, ...limits }, allocate)
  }

  beginSpan(chunk: number, row: number): void {
    this.#batcher.beginSpan(chunk, row)
  }

  add(row: number, json: string, id: string | undefined, reason: string): void {
    if (reason !== this.#reason) this.#cut()
    this.#reason = reason
    this.#batcher.add(row, json, [], id)
  }

  endSpan(): number {
    const bytes = this.#batcher.endSpan()
    this.#cut()
    return bytes
  }

  takeFilled(): FilledBatch[] {
    return this.#filled.splice(0)
  }

  #cut(): void {
    this.#batcher.cut()
    const refusal = this.#reason ?? ''
    for (const batch of this.#batcher.takeFilled()) this.#filled.push({ ...batch, refusal })
    this.#reason = undefined
  }
}

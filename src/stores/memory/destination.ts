/** One destination of a job, for the store without a disk. */
import type { Checkpoint, DeadLetter, DestinationRef, Proof, UnitReport } from '../../core/unit.ts'
import { coversAny, isAhead, leftOut, redrive } from '../rules.ts'
import type { DestinationRecord, Redriven } from '../store.ts'

export class MemoryDestination {
  record: DestinationRecord
  checkpoints = new Map<number, Checkpoint>()
  deadLetters = new Map<string, DeadLetter>()
  proof = new Map<string, Proof[number]>()

  constructor(record: DestinationRecord) {
    this.record = record
  }

  set(change: Partial<DestinationRecord>): void {
    this.record = { ...this.record, ...change }
  }

  /** Answers how many dead letters it refused. */
  store(report: UnitReport, maxDeadLetters: number): number {
    const refused = this.#addDeadLetters(report.deadLetters, maxDeadLetters)
    for (const checkpoint of report.checkpoints) {
      if (coversAny(checkpoint, refused) || !isAhead(checkpoint, this.checkpoints.get(checkpoint.chunk))) continue
      this.checkpoints.set(checkpoint.chunk, checkpoint)
    }
    this.#addProof(report.proof)
    this.set(sums([...this.checkpoints.values()]))
    return refused.length
  }

  startDelivery(without: readonly number[]): void {
    this.checkpoints = new Map(without.map(chunk => [chunk, leftOut(chunk)]))
    this.deadLetters = new Map()
    this.proof = new Map()
    const delivery = this.record.delivery + 1
    this.set({ state: 'pending', error: undefined, delivery, ...sums([...this.checkpoints.values()]) })
  }

  redrive({ delivered, refused, proof }: Redriven): number {
    const found = delivered.filter(({ chunk, row }) => this.deadLetters.delete(`${chunk}/${row}`))
    for (const [chunk, rows] of Map.groupBy(found, row => row.chunk)) {
      const checkpoint = this.checkpoints.get(chunk)
      if (checkpoint) this.checkpoints.set(chunk, redrive(checkpoint, rows))
    }
    for (const { chunk, row, ...why } of refused) {
      const letter = this.deadLetters.get(`${chunk}/${row}`)
      if (letter) this.deadLetters.set(`${chunk}/${row}`, { ...letter, ...why })
    }
    this.#addProof(proof)
    this.set(sums([...this.checkpoints.values()]))
    return found.length
  }

  #addProof(proof: Proof): void {
    for (const entry of proof) this.proof.set(JSON.stringify([entry.partition, entry.first, entry.last]), entry)
  }

  #addDeadLetters(letters: readonly DeadLetter[], max: number): readonly DeadLetter[] {
    for (const [index, letter] of letters.entries()) {
      const key = `${letter.chunk}/${letter.row}`
      if (this.deadLetters.has(key)) continue
      if (this.deadLetters.size >= max) return letters.slice(index)
      this.deadLetters.set(key, letter)
    }
    return []
  }
}

export function newDestination(ref: DestinationRef): DestinationRecord {
  return { ...ref, state: 'pending', error: undefined, saved: undefined, delivery: 0, ...sums([]) }
}

function sums(checkpoints: readonly Checkpoint[]) {
  const sum = (count: (checkpoint: Checkpoint) => number) => checkpoints.reduce((total, one) => total + count(one), 0)
  return {
    delivered: sum(one => one.delivered),
    filtered: sum(one => one.filtered),
    deadLettered: sum(one => one.deadLettered),
    bytes: sum(one => one.bytes),
    chunksDone: sum(one => Number(one.done)),
  }
}

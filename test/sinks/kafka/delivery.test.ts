import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Answer } from '../../../src/sinks/kafka/answers.ts'
import { deliverParts } from '../../../src/sinks/kafka/delivery.ts'
import { cutParts, type KafkaRecord, type Part, recordsOf } from '../../../src/sinks/kafka/records.ts'
import { batchOf } from '../batches.ts'
import { NEVER } from './contexts.ts'

const PLAN = { topic: 't', partitions: 3, timestamp: 'now', headers: {}, maxRecordBytes: undefined } as const

function recordsFor(count: number, partition: number, firstRow: number): KafkaRecord[] {
  const rows = Array.from({ length: count }, (_, index) => `{"row":${firstRow + index}}`)
  const records = recordsOf(batchOf(rows), PLAN, partition).byPartition.get(partition) ?? []
  return records.map(record => ({ ...record, row: firstRow + record.row }))
}

/** A broker that refuses some rows, naming them or not, and now and then asks for the same again. */
class Broker {
  readonly log = new Map<number, number[]>()
  readonly #bad: ReadonlySet<number>
  readonly #naming: boolean
  readonly #busy: (send: number) => boolean
  sends = 0

  constructor(bad: ReadonlySet<number>, naming: boolean, busy: (send: number) => boolean = () => false) {
    this.#bad = bad
    this.#naming = naming
    this.#busy = busy
  }

  async send(parts: readonly Part[]): Promise<ReadonlyMap<number, Answer>> {
    expect(new Set(parts.map(({ partition }) => partition)).size).toBe(parts.length)
    this.sends++
    return new Map(parts.map(part => [part.partition, this.#take(part)]))
  }

  #take({ partition, records }: Part): Answer {
    const bad = records.flatMap(({ row }, index) => (this.#bad.has(row) ? [index] : []))
    if (bad.length > 0) return { kind: 'refused', reason: 'INVALID_RECORD', records: this.#naming ? bad : [] }
    if (this.#busy(this.sends)) return { kind: 'again' }
    const log = this.log.get(partition) ?? []
    this.log.set(partition, log)
    log.push(...records.map(({ row }) => row))
    return { kind: 'taken', offset: BigInt(log.length - records.length) }
  }
}

test('every row is taken once, in order, or refused; whatever a broker refuses, and however batches are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 3 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 119 }), { maxLength: 10 }),
      fc.boolean(),
      fc.integer({ min: 70, max: 2_000 }),
      async (counts, badRows, naming, maxBytes) => {
        const partitions = counts.map((count, partition) => recordsFor(count, partition, partition * 40))
        const rows = partitions.map(records => records.map(({ row }) => row))
        const bad = new Set(badRows)
        const broker = new Broker(bad, naming)

        const parts = partitions.flatMap((records, partition) => cutParts(partition, records, maxBytes))
        const { proof, refused } = await deliverParts(parts, heads => broker.send(heads), NEVER)

        expect([...refused.keys()].sort()).toEqual(
          rows
            .flat()
            .filter(row => bad.has(row))
            .sort(),
        )
        rows.forEach((of, partition) => {
          expect(broker.log.get(partition) ?? []).toEqual(of.filter(row => !bad.has(row)))
        })
        const proven = proof.map(({ first, last }) => Number(last) - Number(first) + 1)
        expect(proven.reduce((sum, count) => sum + count, 0)).toBe(rows.flat().length - refused.size)
      },
    ),
  )
})

test('a part that is to be sent again holds back what follows it in its partition, and nothing else', async () => {
  const parts = [...cutParts(0, recordsFor(4, 0, 0), 130), ...cutParts(1, recordsFor(2, 1, 10), 2_000)]
  expect(parts.length).toBeGreaterThan(2)
  const broker = new Broker(new Set(), true, send => send === 1)

  await deliverParts(parts, heads => broker.send(heads), NEVER)

  expect(broker.log.get(0)).toEqual([0, 1, 2, 3])
  expect(broker.log.get(1)).toEqual([10, 11])
})

test('one bad row among a thousand is found with a few sends', async () => {
  const broker = new Broker(new Set([617]), false)
  const { refused } = await deliverParts(
    [{ partition: 0, records: recordsFor(1_000, 0, 0) }],
    heads => broker.send(heads),
    NEVER,
  )
  expect([...refused.keys()]).toEqual([617])
  expect(broker.sends).toBeLessThan(25)
})

test('nothing more is sent once the signal has aborted', async () => {
  const broker = new Broker(new Set([0]), false)
  const controller = new AbortController()
  const delivery = deliverParts(
    [{ partition: 0, records: recordsFor(8, 0, 0) }],
    heads => {
      controller.abort(new Error('enough'))
      return broker.send(heads)
    },
    controller.signal,
  )
  await expect(delivery).rejects.toThrow('enough')
  expect(broker.sends).toBe(1)
})

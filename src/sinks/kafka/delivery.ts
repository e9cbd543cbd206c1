/** Sends the parts of one batch until each of its records is taken or refused. */
import { setTimeout as delay } from 'node:timers/promises'
import type { DeliveryError } from '../../core/errors.ts'
import type { Proof } from '../sink.ts'
import type { Answer } from './answers.ts'
import { type KafkaRecord, type Part, refusal } from './records.ts'

const AGAIN_MS = 100

export interface Delivered {
  readonly proof: Proof
  /** By row of the batch. */
  readonly refused: ReadonlyMap<number, DeliveryError>
}

/**
 * `send` gets at most one part of each partition, and a partition's next part only after the one before it is settled: so
 * the order in a partition survives whatever is refused or sent again. It answers for each part, or rejects.
 */
export async function deliverParts(
  parts: readonly Part[],
  send: (parts: readonly Part[]) => Promise<ReadonlyMap<number, Answer>>,
  signal: AbortSignal,
): Promise<Delivered> {
  const queues = [...Map.groupBy(parts, ({ partition }) => partition).values()]
  const proof: Proof[number][] = []
  const refused = new Map<number, DeliveryError>()

  for (let waiting = queues; waiting.length > 0; waiting = waiting.filter(queue => queue.length > 0)) {
    signal.throwIfAborted()
    const answers = await send(waiting.map(queue => queue[0]!))
    let again = false
    for (const queue of waiting) {
      const part = queue[0]!
      const answer = answers.get(part.partition)!
      if (answer.kind === 'again') {
        again = true
        continue
      }
      if (answer.kind === 'taken') {
        queue.shift()
        if (answer.offset >= 0n) proof.push(rangeOf(part, answer.offset))
        continue
      }
      const { culprits, rest } = judge(part, answer.records)
      for (const { row, bytes } of culprits)
        refused.set(row, refusal(`${answer.reason}: its record has about ${bytes} bytes`))
      queue.splice(0, 1, ...rest)
    }
    if (again) await delay(AGAIN_MS, undefined, { signal })
  }
  return { proof, refused }
}

/**
 * A broker refuses a record batch whole. What it names, or a record that was alone in the batch, is to blame; else the
 * culprit is looked for by halving.
 */
function judge(
  { partition, records }: Part,
  named: readonly number[],
): { culprits: readonly KafkaRecord[]; rest: readonly Part[] } {
  const blamed = new Set(records.length === 1 ? [0] : named)
  const half = records.length >> 1
  const groups =
    blamed.size > 0 ? [records.filter((_, index) => !blamed.has(index))] : [records.slice(0, half), records.slice(half)]
  return {
    culprits: records.filter((_, index) => blamed.has(index)),
    rest: groups.filter(group => group.length > 0).map(group => ({ partition, records: group })),
  }
}

function rangeOf({ partition, records }: Part, first: bigint): Proof[number] {
  return { partition, first: String(first), last: String(first + BigInt(records.length - 1)) }
}

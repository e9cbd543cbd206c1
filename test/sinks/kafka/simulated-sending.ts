/**
 * A queue and a log with an unreliable way between them: answers and requests that get lost, leaders that move, brokers that
 * restart, batches that are refused, writers that give up. The same seed gives the same course.
 */
import { type Entry, type Failure, PartitionQueue, type Taken } from '../../../src/sinks/kafka/partition-queue.ts'
import type { Random } from '../../core/simulated-time.ts'
import { SimulatedLog, type Verdict } from './simulated-log.ts'

export interface Faults {
  /** A row that no broker takes. */
  readonly isBad: (row: number) => boolean
  /** Whether a refusal names the culprits. */
  readonly names: boolean
  /** How often, of 1: for each request, or step. */
  readonly notLeader: number
  readonly timeout: number
  readonly lostConnection: number
  readonly restart: number
  /** It happens once at most: a broker that forgets twice within five batches can make one that is missing look as if it were there. */
  readonly forgetting: number
  readonly dropping: number
}

export const NO_FAULTS: Faults = {
  isBad: () => false,
  names: false,
  notLeader: 0,
  timeout: 0,
  lostConnection: 0,
  restart: 0,
  forgetting: 0,
  dropping: 0,
}

interface SimulatedBatch {
  readonly rows: number
  readonly numbers: readonly number[]
}

type Request = { readonly entry: Entry<SimulatedBatch>; readonly epoch: number; readonly sequence: number }

export interface Course {
  readonly log: readonly number[]
  readonly refused: readonly number[]
  readonly dropped: readonly number[]
  readonly settled: readonly number[]
  /** Rows with an offset that the queue reported. */
  readonly offsets: ReadonlyMap<number, bigint>
  readonly epochs: number
  readonly requests: number
}

export function simulate(random: Random, batches: readonly number[], faults: Faults): Course {
  const log = new SimulatedLog()
  const queue = new PartitionQueue<SimulatedBatch>(5)
  const offsets = new Map<number, bigint>()
  const refused: number[] = []
  const dropped: number[] = []
  const settled: number[] = []
  const judging: Entry<SimulatedBatch>[] = []
  const entries: Entry<SimulatedBatch>[] = []
  let connection: Request[] = []
  let left = [...batches]
  let row = 0
  let epoch = 0
  let requests = 0
  let forgot = false
  const happens = (chance: number): boolean => random() < chance

  function add(): void {
    const [rows, ...others] = left as [number, ...number[]]
    left = others
    entries.push(queue.add(batchOf(Array.from({ length: rows }, () => row++))))
  }

  function settle(taken: readonly Taken<SimulatedBatch>[]): void {
    for (const { batch, offset } of taken) {
      settled.push(...batch.numbers)
      if (offset >= 0n)
        for (const [index, number] of batch.numbers.entries()) offsets.set(number, offset + BigInt(index))
    }
  }

  function fail(entry: Entry<SimulatedBatch>, failure: Failure): void {
    settle(queue.failed(entry, failure))
  }

  function serve(request: Request, answer: boolean): void {
    const { entry, sequence } = request
    const { numbers } = entry.batch
    if (happens(faults.notLeader)) {
      if (answer) fail(entry, 'unknown')
    } else if (numbers.some(faults.isBad)) {
      if (!answer) return
      queue.refused(entry)
      judging.push(entry)
    } else {
      const { verdict, offset } = log.append({ epoch: request.epoch, sequence, rows: numbers })
      if (answer) heed(entry, verdict, offset)
    }
  }

  function heed(entry: Entry<SimulatedBatch>, verdict: Verdict, offset: bigint): void {
    if (verdict === 'invalid epoch') fail(entry, 'producer lost')
    else if (verdict === 'out of order') fail(entry, 'out of order')
    else if (happens(faults.timeout)) fail(entry, 'unknown')
    else settle(queue.taken(entry, offset))
  }

  function judge(entry: Entry<SimulatedBatch>): void {
    const { numbers } = entry.batch
    const half = numbers.length >> 1
    const blame = faults.names || numbers.length === 1
    const good = numbers.filter(number => !faults.isBad(number))
    if (blame) refused.push(...numbers.filter(faults.isBad))
    const groups = blame ? [good] : [numbers.slice(0, half), numbers.slice(half)]
    queue.replace(entry, groups.filter(group => group.length > 0).map(batchOf), !blame)
  }

  /** Requests that are under way may still be served, and their answers are lost. */
  function loseConnection(): void {
    const lost = connection
    connection = []
    const served = lost.slice(0, Math.floor(random() * (lost.length + 1)))
    const late = happens(0.5) ? served.splice(Math.floor(random() * served.length)) : []
    for (const request of served) serve(request, false)
    for (const { entry } of lost) fail(entry, 'unknown')
    stragglers.push(...late)
  }
  const stragglers: Request[] = []

  for (
    let steps = 0;
    left.length > 0 || connection.length > 0 || queue.ready || queue.needsEpoch || judging.length > 0;
  ) {
    if (++steps > 100_000) throw new Error('it does not come to an end')
    const dice = random()
    if (happens(faults.restart)) log.restart()
    if (!forgot && happens(faults.forgetting)) {
      forgot = true
      log.forgetProducer()
    }
    if (happens(faults.lostConnection)) loseConnection()
    if (happens(faults.dropping) && entries.length > 0) {
      const entry = entries[Math.floor(random() * entries.length)]!
      dropped.push(...entry.batch.numbers)
      queue.drop(batch => batch === entry.batch)
    }
    if (stragglers.length > 0 && happens(0.3)) serve(stragglers.shift()!, false)
    if (queue.needsEpoch) {
      epoch++
      queue.beginEpoch()
    } else if (dice < 0.3 && left.length > 0) add()
    else if (dice < 0.6) {
      const entry = queue.next()
      if (entry) {
        requests++
        connection.push({ entry, epoch, sequence: entry.sequence! })
      }
    } else if (dice < 0.9 && connection.length > 0) serve(connection.shift()!, true)
    else if (judging.length > 0) judge(judging.shift()!)
    if (queue.inFlight > 5) throw new Error('more than five in flight')
  }
  return { log: log.rows, refused, dropped, settled, offsets, epochs: epoch, requests }
}

function batchOf(numbers: readonly number[]): SimulatedBatch {
  return { rows: numbers.length, numbers }
}

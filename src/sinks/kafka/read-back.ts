/** Reads the records of a job back from its topic: a client without a group, partition after partition, a few batches at a time. */
import type { BaseOptions, Consumer, RecordsBatch } from '@platformatic/kafka'
import { proofRows, type Range, rangesOf } from '../../core/proof.ts'
import { within } from '../deadline.ts'
import type { DeliveredJob, HeldRow, ReadBack } from '../sink.ts'
import { closeClient, connectionOptions, type Kafka, makeClient } from './client.ts'
import { flatten, tooLate } from './errors.ts'
import type { KafkaSettings } from './options.ts'
import { nameOf, patiently } from './topic.ts'

const EARLIEST = -2n
const LATEST = -1n
const READ_UNCOMMITTED = 0
const CONTROL_BATCH = 1 << 5
/** A batch that is larger still comes whole. */
const FETCH_BYTES = 2 << 20
const FETCH_WAIT_MS = 500

/** Every record from the first offset of the proof to the last, by partition. */
export async function* readTopicBack(
  kafka: Kafka,
  settings: KafkaSettings,
  { delivered, proof }: DeliveredJob,
  signal: AbortSignal,
): AsyncGenerator<ReadBack> {
  const unplaced = delivered - proofRows(proof)
  if (unplaced > 0)
    yield { unreadable: unplaced, reason: `the brokers did not say at which offsets ${unplaced} of the rows are` }
  const byPartition = rangesOf(proof)
  if (byPartition.size === 0) return
  const reader = new TopicReader(kafka, settings, signal)
  try {
    const [starts, ends] = [await reader.offsets(EARLIEST), await reader.offsets(LATEST)]
    for (const [partition, ranges] of byPartition)
      yield* readPartition(reader, partition, ranges, { start: starts[partition] ?? 0n, end: ends[partition] ?? 0n })
  } finally {
    await reader.close()
  }
}

async function* readPartition(
  reader: TopicReader,
  partition: number,
  ranges: readonly Range[],
  log: { readonly start: bigint; readonly end: bigint },
): AsyncGenerator<ReadBack> {
  const { first } = ranges[0]!
  const { last } = ranges.at(-1)!
  if (log.end <= last) yield { unreadable: 0, reason: endText(partition, log.end, last) }
  let stop = log.end <= last ? log.end : last + 1n
  let removed = 0
  let read = 0
  let offset = first
  let start = log.start
  while (offset < stop) {
    if (start > offset) {
      removed += covered(ranges, offset, start < stop ? start : stop)
      offset = start
      continue
    }
    const batches = await reader.fetch(partition, offset)
    if (batches === 'out of range') {
      start = (await reader.offsets(EARLIEST))[partition] ?? stop
      const end = (await reader.offsets(LATEST))[partition] ?? 0n
      // else removed, or of a leader that lags behind
      if (end <= offset && start <= offset) {
        yield { unreadable: 0, reason: endText(partition, end, last) }
        stop = offset
      }
      continue
    }
    for (const batch of batches) {
      const rows = rowsOf(batch, { first: offset, last: stop - 1n }, ranges, reader.idHeader)
      read += rows.filter(({ proven }) => proven).length
      if (rows.length > 0) yield { rows }
      offset = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n
    }
  }
  if (removed > 0) yield { unreadable: removed, reason: removedText(partition, removed, start) }
  const gone = covered(ranges, first, stop) - removed - read
  if (gone > 0) {
    const reason = `partition ${partition} no longer has ${gone} of the records in its log (compaction)`
    yield { unreadable: gone, reason }
  }
}

function endText(partition: number, end: bigint, last: bigint): string {
  return `partition ${partition} ends before offset ${end}, and had records up to ${last}: the topic was made anew, or lost its end`
}

function removedText(partition: number, removed: number, start: bigint): string {
  return `partition ${partition} begins at offset ${start}: ${removed} of the records before it were removed (retention, or on request)`
}

/** How many offsets of [from, to) the ranges name. */
function covered(ranges: readonly Range[], from: bigint, to: bigint): number {
  let sum = 0n
  for (const { first, last } of ranges) {
    const [low, high] = [first > from ? first : from, last + 1n < to ? last + 1n : to]
    if (high > low) sum += high - low
  }
  return Number(sum)
}

function rowsOf(
  { firstOffset, attributes, records }: RecordsBatch,
  wanted: Range,
  ranges: readonly Range[],
  idHeader: Buffer,
): HeldRow[] {
  if (attributes & CONTROL_BATCH) return []
  // the first range that does not end before the batch
  let index = ranges.findIndex(({ last }) => last >= firstOffset)
  const rows: HeldRow[] = []
  for (const { offsetDelta, key, value, headers } of records) {
    const offset = firstOffset + BigInt(offsetDelta)
    if (offset < wanted.first || offset > wanted.last) continue
    while (ranges[index]!.last < offset) index++
    const id = headers.findLast(([name]) => name !== null && idHeader.equals(name))?.[1] ?? null
    rows.push({ payload: value ?? EMPTY, key, id, proven: ranges[index]!.first <= offset })
  }
  return rows
}

/** A deletion of the key, which no job writes. */
const EMPTY = new Uint8Array(0)

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>

class TopicReader {
  readonly idHeader: Buffer
  readonly #settings: KafkaSettings
  readonly #consumer: Consumer
  readonly #signal: AbortSignal
  #lastFailure: unknown

  constructor(kafka: Kafka, settings: KafkaSettings, signal: AbortSignal) {
    /** Of no group: it never joins the one that the client insists on. */
    class Reader extends kafka.Consumer {
      constructor(options: BaseOptions) {
        const { requestTimeout } = connectionOptions(settings)
        super({ ...options, groupId: settings.clientId, ...(requestTimeout === undefined ? {} : { requestTimeout }) })
      }
    }
    // where rows were sent as CloudEvents, as their binary mode has it
    this.idHeader = Buffer.from(settings.idHeader ?? 'ce_id')
    this.#settings = settings
    this.#signal = signal
    this.#consumer = makeClient(Reader, settings, this.#onFailure)
    this.#consumer.topics.track(settings.topic)
  }

  /** By partition. */
  async offsets(timestamp: bigint): Promise<readonly bigint[]> {
    const { topic } = this.#settings
    const topics = [topic]
    const offsets = await this.#ask(() =>
      this.#consumer.listOffsets({ topics, timestamp, isolationLevel: READ_UNCOMMITTED }),
    )
    return offsets.get(topic) ?? []
  }

  /** Whole batches, the first of which has the offset or the next one that there is; at least one. */
  async fetch(partition: number, offset: bigint): Promise<readonly RecordsBatch[] | 'out of range'> {
    return this.#ask(async () => {
      try {
        const found = batchesOf(await this.#fetchOnce(partition, offset), partition)
        if (found.length > 0) return found
        throw new Error(`partition ${partition} gave no record from offset ${offset} on`)
      } catch (error) {
        if (flatten(error).some(({ apiId }) => apiId === 'OFFSET_OUT_OF_RANGE')) return 'out of range'
        throw error
      }
    })
  }

  close(): Promise<void> {
    return closeClient(this.#consumer)
  }

  async #fetchOnce(partition: number, fetchOffset: bigint): Promise<FetchResponse> {
    const { topic } = this.#settings
    const { topics } = await this.#consumer.metadata({ topics: [topic] })
    const { id: topicId, partitions } = topics.get(topic)!
    // -1: no opinion of the leader's epoch
    const wanted = { partition, fetchOffset, currentLeaderEpoch: -1, lastFetchedEpoch: -1 }
    return this.#consumer.fetch({
      node: partitions[partition]!.leader,
      topics: [{ topicId, partitions: [{ ...wanted, partitionMaxBytes: FETCH_BYTES }] }],
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      maxWaitTime: FETCH_WAIT_MS,
      isolationLevel: READ_UNCOMMITTED,
    })
  }

  #ask<T>(question: () => Promise<T>): Promise<T> {
    const settings = this.#settings
    const { deadlineMs } = settings
    return within(
      deadlineMs,
      [this.#signal],
      () => tooLate(nameOf(settings), 'could not be read', deadlineMs, this.#lastFailure),
      signal => patiently(settings, { probe: false, signal, onFailure: this.#onFailure }, question),
    )
  }

  readonly #onFailure = (error: unknown): void => {
    this.#lastFailure = error
  }
}

/** A fetch may answer more partitions than were asked for. */
function batchesOf({ responses }: FetchResponse, partition: number): readonly RecordsBatch[] {
  return responses
    .flatMap(({ partitions }) => partitions)
    .filter(({ partitionIndex }) => partitionIndex === partition)
    .flatMap(({ records }) => records ?? [])
}

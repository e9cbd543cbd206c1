import { setTimeout as delay } from 'node:timers/promises'
import { ExponentialBackoff, fullJitterGenerator } from 'cockatiel'
import type { MessageBatch, Proof } from '../sink.ts'
import { type Answer, answerOf } from './answers.ts'
import type { BrokerLine } from './broker-line.ts'
import type { Kafka } from './client.ts'
import type { Cluster, ProducerIdentity } from './cluster.ts'
import type { Checksum } from './crc32c.ts'
import { Delivery, type Piece, positionOf } from './delivery.ts'
import { type Entry, PartitionQueue, type Taken } from './partition-queue.ts'
import { stampBatch } from './stamp.ts'

/** What all partitions of a session have in common. */
export interface Sending {
  readonly kafka: Kafka
  readonly cluster: Cluster
  readonly crc32c: Checksum
  readonly topic: string
  /** The topic, for errors. */
  readonly where: string
  readonly acks: number
  readonly replicaTimeoutMs: number
  /** Most batches in flight in a partition. */
  readonly window: number
  /** The producer with which every partition begins. */
  readonly producer: ProducerIdentity
  /** Records carry the time of sending. */
  readonly stampsTime: boolean
  readonly reframe: (batch: MessageBatch, groups: readonly (readonly number[])[]) => Promise<readonly MessageBatch[]>
  /** Aborted when the session is over. */
  readonly ended: AbortSignal
  /** Hears of every attempt that failed and will be made again. */
  onFailure(error: unknown): void
  /** Ends the session: trying again cannot help. */
  giveUp(error: unknown): void
}

const BACKOFF = new ExponentialBackoff({ generator: fullJitterGenerator, initialDelay: 100, maxDelay: 1_000 })

/** Sends the batches of one partition to its leader, in order, until each is settled. */
export class PartitionSender {
  readonly #sending: Sending
  readonly #partition: number
  readonly #queue: PartitionQueue<Piece>
  #producer: ProducerIdentity
  #producerLost = false
  #line: BrokerLine | undefined
  #running = false
  /** Since leaders were last asked for. */
  #failed = false
  #lastFailure: unknown
  #backoff = BACKOFF.next()

  constructor(partition: number, sending: Sending) {
    this.#sending = sending
    this.#partition = partition
    this.#queue = new PartitionQueue(sending.window)
    this.#producer = sending.producer
  }

  /** Why the last attempt failed, unless one succeeded since. */
  get lastFailure(): unknown {
    return this.#lastFailure
  }

  /**
   * Calls are served in order. When `signal` aborts, the batch is not sent again, and the promise may stay as it is; so it may when
   * the session has ended.
   */
  deliver(batch: MessageBatch, signal: AbortSignal): Promise<Proof> {
    const delivery = new Delivery(batch, this.#sending.where)
    this.#queue.add({ delivery, batch, rows: batch.rows })
    signal.addEventListener('abort', () => {
      this.#queue.drop(piece => piece.delivery === delivery)
      this.#wake()
    })
    this.#wake()
    return delivery.settled
  }

  #wake(): void {
    if (this.#running || this.#sending.ended.aborted) return
    this.#running = true
    this.#run().catch(error => this.#sending.giveUp(error))
  }

  /** Sends what may be sent; whatever changes that, such as an answer, wakes it again. */
  async #run(): Promise<void> {
    const { ended } = this.#sending
    try {
      while (!ended.aborted && (this.#queue.ready || this.#queue.needsEpoch)) {
        if (this.#failed) await this.#recover()
        else if (this.#queue.needsEpoch) await this.#beginEpoch()
        // what is in flight on a broken connection fails in a moment, and may have to be sent again first
        else if (this.#queue.inFlight > 0 && !this.#line!.isOpen) return
        else await this.#sendNext()
      }
    } finally {
      this.#running = false
    }
  }

  async #recover(): Promise<void> {
    const { cluster, ended } = this.#sending
    await delay(this.#backoff.duration, undefined, { signal: ended }).catch(() => {})
    this.#backoff = this.#backoff.next(undefined)
    this.#failed = false
    // where nobody answers, the leader may be there all the same
    await cluster.refresh().catch(error => this.#note(error))
  }

  async #beginEpoch(): Promise<void> {
    const { cluster } = this.#sending
    try {
      this.#producer = this.#producerLost ? await cluster.newProducer() : await cluster.nextEpoch(this.#producer)
      this.#producerLost = false
      this.#queue.beginEpoch()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #sendNext(): Promise<void> {
    try {
      // a leader that changed has to wait for what is in flight to the one before it
      if (this.#queue.inFlight === 0) this.#line = await this.#sending.cluster.lineTo(this.#partition)
    } catch (error) {
      this.#fail(error)
      return
    }
    const line = this.#line!
    await line.turn()
    const entry = line.isOpen && !this.#failed ? this.#queue.next() : undefined
    if (entry) this.#send(line, entry).catch(error => this.#sending.giveUp(error))
    else line.pass()
  }

  async #send(line: BrokerLine, entry: Entry<Piece>): Promise<void> {
    const answer = await this.#ask(line, entry)
    if (this.#sending.ended.aborted) return
    this.#heed(entry, answer)
    this.#wake()
  }

  async #ask(line: BrokerLine, { batch: piece, sequence }: Entry<Piece>): Promise<Answer> {
    const { kafka, crc32c, topic, acks, replicaTimeoutMs: timeoutMs, stampsTime } = this.#sending
    const { id, epoch } = this.#producer
    const recordBatch = piece.batch.bytes
    piece.sentAt ??= Date.now()
    const timestamp = stampsTime ? piece.sentAt : undefined
    stampBatch(recordBatch, { producerId: id, epoch, sequence: id < 0n ? -1 : sequence!, timestamp }, crc32c)
    try {
      const answer = await line.send({ topic, partition: this.#partition, acks, timeoutMs, recordBatch })
      return answer ? answerOf(answer.partition, kafka) : { kind: 'taken', offset: -1n }
    } catch (error) {
      return { kind: 'failed', failure: 'unknown', error }
    }
  }

  #heed(entry: Entry<Piece>, answer: Answer): void {
    if (answer.kind === 'taken') {
      this.#backoff = BACKOFF.next()
      this.#lastFailure = undefined
      this.#settle(this.#queue.taken(entry, answer.offset))
    } else if (answer.kind === 'failed') {
      if (answer.failure === 'producer lost') this.#producerLost = true
      // behind one that failed it says nothing new
      if (answer.failure !== 'out of order' || !this.#failed) this.#fail(answer.error)
      this.#settle(this.#queue.failed(entry, answer.failure))
    } else if (answer.kind === 'refused') {
      this.#queue.refused(entry)
      this.#divide(entry, answer).catch(error => this.#sending.giveUp(error))
    } else this.#sending.giveUp(answer.error)
  }

  #settle(taken: readonly Taken<Piece>[]): void {
    for (const { batch: piece, offset } of taken) piece.delivery.taken(this.#partition, piece.rows, offset)
  }

  /**
   * A broker refuses a record batch whole. What it names, or a record that was alone in the batch, is to blame; else the
   * culprit is looked for by halving.
   */
  async #divide(entry: Entry<Piece>, { reason, records }: Answer & { kind: 'refused' }): Promise<void> {
    const { batch: piece } = entry
    const culprits = new Set(piece.rows === 1 ? [0] : records.filter(row => row < piece.rows))
    const rows = Array.from({ length: piece.rows }, (_, row) => row)
    const half = piece.rows >> 1
    const groups =
      culprits.size > 0 ? [rows.filter(row => !culprits.has(row))] : [rows.slice(0, half), rows.slice(half)]
    const left = groups.filter(group => group.length > 0)
    const batches = left.length > 0 ? await this.#sending.reframe(piece.batch, left) : []
    const { delivery } = piece
    const pieces = batches.map((batch, index) => {
      const positions = left[index]!.map(row => positionOf(piece, row))
      return { delivery, batch, rows: batch.rows, positions }
    })
    this.#queue.replace(entry, pieces, culprits.size === 0)
    const size = piece.rows === 1 ? `: its record batch has ${piece.batch.bytes.length} bytes` : ''
    for (const row of culprits) delivery.refuse(positionOf(piece, row), reason + size)
    this.#wake()
  }

  #fail(error: unknown): void {
    this.#failed = true
    this.#note(error)
  }

  #note(error: unknown): void {
    this.#lastFailure = error
    this.#sending.onFailure(error)
  }
}

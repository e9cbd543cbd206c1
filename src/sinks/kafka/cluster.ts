import type { Broker, ConnectionPool, Producer } from '@platformatic/kafka'
import { DeliveryError } from '../../core/errors.ts'
import { BrokerLine } from './broker-line.ts'
import { closeClient, connectionOptions, guardConnections, type Kafka, makeClient } from './client.ts'
import type { KafkaSettings } from './options.ts'
import { type Produce, produceVersion, producing } from './produce.ts'
import { nameOf } from './topic.ts'

/** Who produces, in one partition. */
export interface ProducerIdentity {
  readonly id: bigint
  /** Raised by one: what still travels under an earlier epoch is refused (KIP-360). */
  readonly epoch: number
}

const MAX_EPOCH = 2 ** 15 - 2

/** The leaders of a topic's partitions, the way to them, and producer ids. One per session. */
export class Cluster {
  readonly #kafka: Kafka
  readonly #settings: KafkaSettings
  readonly #client: Producer
  /** Not the client's own connections, over which it asks questions: an answer would wait for the batches ahead of it. */
  readonly #pool: ConnectionPool
  #produce: Produce | undefined
  /** By `host:port`. */
  readonly #lines = new Map<string, BrokerLine>()
  #leaders: readonly (Broker | undefined)[] = []
  #refreshing: Promise<void> | undefined

  /** `onFailure` hears of attempts that are made again. Nothing is connected before `connect`. */
  constructor(kafka: Kafka, settings: KafkaSettings, onFailure: (error: unknown) => void) {
    this.#kafka = kafka
    this.#settings = settings
    this.#client = makeClient(kafka.Producer, settings, onFailure)
    this.#pool = new kafka.ConnectionPool(settings.clientId, connectionOptions(settings))
    guardConnections(this.#pool)
  }

  /** One attempt. */
  async connect(): Promise<void> {
    const offered = (await this.#client.listApis()).find(({ name }) => name === 'Produce')
    const version = offered && produceVersion(offered)
    if (version === undefined) {
      const reason = 'its brokers speak no version of Kafka from 1.0 on'
      throw new DeliveryError(`${nameOf(this.#settings)}: ${reason}`, { code: 'destination_misconfigured' })
    }
    this.#produce = producing(this.#kafka, version, this.#settings.clientId)
    await this.refresh()
  }

  /** Asks who the leaders are; callers at the same time share an answer. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#readLeaders().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** An open line to the partition's leader as it was last known. */
  async lineTo(partition: number): Promise<BrokerLine> {
    // asked for again before it is an error: that answers why
    if (this.#leaders[partition] === undefined) await this.refresh()
    const leader = this.#leaders[partition]
    if (!leader) throw new Error(`partition ${partition} has no leader`)
    const address = `${leader.host}:${leader.port}`
    const line = this.#lines.get(address) ?? this.#newLine(leader)
    this.#lines.set(address, line)
    await line.open()
    return line
  }

  /** -1 and -1 for a producer that is not idempotent. */
  async newProducer(): Promise<ProducerIdentity> {
    if (!this.#settings.idempotent) return { id: -1n, epoch: -1 }
    const { producerId, producerEpoch } = await this.#client.initIdempotentProducer({})
    return { id: producerId, epoch: producerEpoch }
  }

  /** The next epoch, which no broker has to be asked for; a new producer where there is none left. */
  async nextEpoch({ id, epoch }: ProducerIdentity): Promise<ProducerIdentity> {
    return this.#settings.idempotent && epoch < MAX_EPOCH ? { id, epoch: epoch + 1 } : this.newProducer()
  }

  /** What is in flight fails. */
  async close(): Promise<void> {
    for (const line of this.#lines.values()) line.close()
    await Promise.all([this.#pool.close(), closeClient(this.#client)])
  }

  #newLine(broker: Broker): BrokerLine {
    const answerMs = connectionOptions(this.#settings).requestTimeout!
    return new BrokerLine({ kafka: this.#kafka, pool: this.#pool, broker, produce: this.#produce!, answerMs })
  }

  async #readLeaders(): Promise<void> {
    const { topic } = this.#settings
    const { brokers, topics } = await this.#client.metadata({ topics: [topic], forceUpdate: true })
    this.#leaders = topics.get(topic)!.partitions.map(({ leader }) => brokers.get(leader))
  }
}

/** What every Kafka client is told alike, besides acks=all, idempotence and no compression. */
export const KAFKA_SETTINGS = {
  partitions: 4,
  /** Of a record batch: the default of the engine's Kafka sink. */
  batchBytes: 900_000,
  /** The same, for clients that are told how many messages to send: rows of the transfers are about 1,005 bytes. */
  batchRows: 890,
  lingerMs: 100,
} as const

/** What both senders of webhooks keep to. */
export const WEBHOOK_SETTINGS = { batchRows: 500, concurrency: 8 } as const

/** What both Pub/Sub clients are told alike: what Pub/Sub takes at the most, and the sink's own default. */
export const PUBSUB_SETTINGS = {
  batchRows: 1_000,
  batchBytes: 9 << 20,
  inFlight: 8,
} as const

import { Admin } from '@platformatic/kafka'

export type KafkaFacts = {
  /** `host:port` of a listener without encryption or passwords. */
  readonly brokers: readonly string[]
  /** A listener of the same broker with TLS and SASL/PLAIN, where the way it was started offers one. */
  readonly secure: {
    readonly brokers: readonly string[]
    readonly ca: string
    readonly username: string
    readonly password: string
  } | null
  /**
   * A third listener: the broker listens on `behind` and calls itself by `via` there, a port where nobody listens until a test puts
   * something in between; one test file at a time. Null where the way it was started offers none.
   */
  readonly door: { readonly via: number; readonly behind: number } | null
}

/** Resolves when a broker answers a Metadata request, which it does only once it can serve; one attempt. */
export async function answersMetadata(brokers: readonly string[]): Promise<void> {
  const admin = new Admin({
    clientId: 'millrace-tests',
    bootstrapBrokers: [...brokers],
    retries: 0,
    connectTimeout: 2_000,
  })
  try {
    await admin.metadata({ topics: [] })
  } finally {
    await admin.close()
  }
}

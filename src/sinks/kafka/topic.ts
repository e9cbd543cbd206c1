import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from '@platformatic/kafka'
import { DeliveryError } from '../../core/errors.ts'
import { asDeliveryError, flatten, isMisconfigured, isUnknownTopic } from './errors.ts'
import type { KafkaSettings } from './options.ts'

export interface Topic {
  readonly partitions: number
  /** Largest record batch that it takes; undefined where we may not ask. */
  readonly maxBatchBytes: number | undefined
}

export interface TopicSearch {
  /** Look, and neither wait for brokers that cannot be reached nor create anything. */
  readonly probe: boolean
  readonly signal: AbortSignal
  /** The attempts that failed. */
  onFailure(error: unknown): void
}

const RETRY_MS = 250
const TOPIC_RESOURCE = 2

/** The topic, created if it is missing and that was asked for; in a probe undefined if it is to be created later. */
export async function prepareTopic(
  admin: Admin,
  settings: KafkaSettings,
  search: TopicSearch,
): Promise<Topic | undefined> {
  const found = await patiently(settings, search, () => describeTopic(admin, settings.topic))
  if (found) return checked(found, settings)
  const { createTopic } = settings
  if (!createTopic) {
    const reason = 'does not exist: create it, or let createTopic say how it is to be created'
    throw new DeliveryError(`${nameOf(settings)} ${reason}`, { code: 'destination_misconfigured' })
  }
  if (search.probe) return undefined
  await patiently(settings, search, () => create(admin, settings.topic, createTopic))
  // brokers hear of a new topic one after the other
  return patiently(settings, search, async () => {
    const created = await describeTopic(admin, settings.topic)
    if (!created) throw new Error('it was created and cannot be seen yet')
    return checked(created, settings)
  })
}

export function nameOf({ topic, brokers }: KafkaSettings): string {
  return `Kafka topic "${topic}" at ${brokers.join(', ')}`
}

/** Again and again until it succeeds, but for what waiting does not mend. The caller's deadline ends it. */
export async function patiently<T>(
  settings: KafkaSettings,
  search: TopicSearch,
  attempt: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      search.onFailure(error)
      if (search.probe || isMisconfigured(error)) throw asDeliveryError(nameOf(settings), error)
    }
    await delay(RETRY_MS, undefined, { signal: search.signal })
  }
}

interface DescribedTopic extends Topic {
  readonly compacted: boolean
}

async function describeTopic(admin: Admin, topic: string): Promise<DescribedTopic | undefined> {
  try {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true })
    const config = await configOf(admin, topic)
    const maxBatchBytes = Number(config.get('max.message.bytes'))
    return {
      partitions: metadata.topics.get(topic)!.partitionsCount,
      maxBatchBytes: maxBatchBytes > 0 ? maxBatchBytes : undefined,
      compacted: config.get('cleanup.policy')?.includes('compact') ?? false,
    }
  } catch (error) {
    if (isUnknownTopic(error)) return undefined
    throw error
  }
}

/** Empty where the cluster does not let us ask, which takes a permission of its own. */
async function configOf(admin: Admin, topic: string): Promise<ReadonlyMap<string, string | null | undefined>> {
  const configurationKeys = ['max.message.bytes', 'cleanup.policy']
  try {
    const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys }] as const
    const [described] = await admin.describeConfigs({ resources: [...resources] })
    return new Map(described?.configs.map(({ name, value }) => [name, value]))
  } catch (error) {
    const refused = flatten(error).some(
      ({ apiId = '', code }) => apiId.endsWith('_AUTHORIZATION_FAILED') || code === 'PLT_KFK_UNSUPPORTED_API',
    )
    if (refused) return new Map()
    throw error
  }
}

async function create(admin: Admin, topic: string, how: NonNullable<KafkaSettings['createTopic']>): Promise<void> {
  const { partitions, replicas, config } = how
  const configs = Object.entries(config).map(([name, value]) => ({ name, value }))
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas, configs })
  } catch (error) {
    // somebody else was faster: as good
    if (!flatten(error).some(({ apiId }) => apiId === 'TOPIC_ALREADY_EXISTS')) throw error
  }
}

function checked(topic: DescribedTopic, settings: KafkaSettings): Topic {
  if (topic.compacted && settings.key === undefined) {
    const reason = 'is compacted and takes no record without a key: name a key column'
    throw new DeliveryError(`${nameOf(settings)} ${reason}`, { code: 'destination_misconfigured' })
  }
  return topic
}

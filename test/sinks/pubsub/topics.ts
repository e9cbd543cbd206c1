/** Topics of tests, each with a subscription, read by Google's own client. */
import { randomUUID } from 'node:crypto'
import { PubSub, v1 } from '@google-cloud/pubsub'
import type { PubsubFacts } from '../../servers/pubsub.ts'

export const PROJECT = 'tests'

const EMPTY_PULLS = 3

export interface ReadMessage {
  readonly data: string
  readonly attributes: Readonly<Record<string, string>>
  readonly orderingKey: string
}

/** A publish request, as the fake saw it (test/servers/pubsub/main.go). */
export interface Call {
  readonly messages: number
  readonly bytes: number
  readonly keys: readonly string[]
  readonly routing: string
  readonly begin: number
  readonly end: number
  readonly code: string
}

export interface Fault {
  readonly method?: string
  readonly code: string
  readonly details?: string
  readonly contains?: string
  readonly times?: number
  readonly retry_ms?: number
  readonly after?: boolean
}

export async function topicsAt({ host, control }: PubsubFacts) {
  const options = { ...(await new PubSub({ apiEndpoint: host, projectId: PROJECT }).getClientConfig()) }
  const publisher = new v1.PublisherClient(options)
  const subscriber = new v1.SubscriberClient(options)
  const nameOf = (topic: string) => `projects/${PROJECT}/topics/${topic}`
  const subscriptionOf = (topic: string) => `projects/${PROJECT}/subscriptions/${topic}`

  async function ask(path: string, body?: object): Promise<Response> {
    if (control === null) throw new Error('this emulator takes no orders')
    const posted = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const response = await fetch(`${control}${path}`, posted)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response
  }

  async function pull(topic: string, returnImmediately: boolean): Promise<ReadMessage[]> {
    const subscription = subscriptionOf(topic)
    const [{ receivedMessages }] = await subscriber.pull({ subscription, maxMessages: 1_000, returnImmediately })
    const received = receivedMessages ?? []
    if (received.length > 0) await subscriber.acknowledge({ subscription, ackIds: received.map(({ ackId }) => ackId!) })
    return received.map(({ message }) => ({
      data: Buffer.from(message!.data as Uint8Array).toString(),
      attributes: message!.attributes ?? {},
      orderingKey: message!.orderingKey ?? '',
    }))
  }

  return {
    nameOf,

    /** Without a subscription only `arrived` can tell what is in it. */
    async create({ subscribed = true } = {}): Promise<string> {
      const topic = `t-${randomUUID()}`
      await publisher.createTopic({ name: nameOf(topic) })
      if (!subscribed) return topic
      await subscriber.createSubscription({
        name: subscriptionOf(topic),
        topic: nameOf(topic),
        ackDeadlineSeconds: 600,
      })
      return topic
    },

    /** All that is there, in any order, once at least so many are, or no more seem to come. */
    async read(topic: string, expected: number): Promise<ReadMessage[]> {
      const messages: ReadMessage[] = []
      for (let empty = 0; empty < EMPTY_PULLS; ) {
        const pulled = await pull(topic, messages.length >= expected)
        messages.push(...pulled)
        if (pulled.length > 0) empty = 0
        else if (messages.length >= expected) break
        else empty++
      }
      return messages
    },

    addFault: async (topic: string, fault: Fault): Promise<void> =>
      void (await ask('/faults', { topic: nameOf(topic), ...fault })),

    permit: async (topic: string, permissions: readonly string[]): Promise<void> =>
      void (await ask('/permissions', { topic: nameOf(topic), permissions })),

    calls: async (topic: string): Promise<Call[]> =>
      (await (await ask(`/calls?topic=${encodeURIComponent(nameOf(topic))}`)).json()) as Call[],

    /** In the order in which they came to the server. */
    arrived: async (topic: string): Promise<{ data: string; key: string }[]> =>
      (await (await ask(`/messages?topic=${encodeURIComponent(nameOf(topic))}`)).json()) as {
        data: string
        key: string
      }[],

    async close(): Promise<void> {
      await Promise.all([publisher.close(), subscriber.close()])
    },
  }
}

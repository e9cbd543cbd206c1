/** Topics for tests, with a queue that gets all of their messages as they are. */
import { randomUUID } from 'node:crypto'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'

export const CREDENTIALS = { accessKeyId: 'AKIATESTTESTTEST', secretAccessKey: 'a-secret-of-tests' }
const REGION = 'eu-west-1'
const QUEUE_ARN = `arn:aws:sqs:${REGION}:123456789012:`

export interface Topic {
  readonly arn: string
  /** All that has arrived in the queue so far, in the order of arrival. */
  read(): Promise<readonly Received[]>
  /** The bodies of all that was published, also where there is no queue. */
  published(): Promise<readonly string[]>
}

export interface Received {
  readonly body: string
  readonly attributes: Readonly<Record<string, { readonly type: string; readonly value: string }>>
  readonly group: string | undefined
  readonly dedup: string | undefined
}

interface SqsMessage {
  readonly Body: string
  readonly ReceiptHandle: string
  readonly Attributes?: Readonly<Record<string, string>>
  readonly MessageAttributes?: Readonly<Record<string, { readonly DataType: string; readonly StringValue: string }>>
}

/** `queue`: default true; for hundreds of messages at most, since moto's queues are slow. */
export async function createTopic(
  endpoint: string,
  { fifo = false, queue = true }: { fifo?: boolean; queue?: boolean } = {},
): Promise<Topic> {
  const name = `${randomUUID()}${fifo ? '.fifo' : ''}`
  const client = new SNSClient({ endpoint, region: REGION, credentials: CREDENTIALS })
  try {
    const attributes = fifo ? { FifoTopic: 'true' } : {}
    const { TopicArn } = await client.send(new CreateTopicCommand({ Name: name, Attributes: attributes }))
    const published = async (): Promise<string[]> => {
      const response = await fetch(`${endpoint}/moto-api/sns/published?topic=${TopicArn}`)
      return (await response.json()) as string[]
    }
    if (!queue) return { arn: TopicArn!, published, read: () => Promise.reject(new Error('there is no queue')) }
    const { QueueUrl } = await sqs(endpoint, 'CreateQueue', {
      QueueName: name,
      Attributes: fifo ? { FifoQueue: 'true' } : {},
    })
    await client.send(
      new SubscribeCommand({
        TopicArn,
        Protocol: 'sqs',
        Endpoint: QUEUE_ARN + name,
        Attributes: { RawMessageDelivery: 'true' },
      }),
    )
    const received: Received[] = []
    return {
      arn: TopicArn!,
      published,
      async read() {
        for (;;) {
          const messages = await receive(endpoint, String(QueueUrl))
          if (messages.length === 0) return received
          received.push(...messages.map(asReceived))
        }
      },
    }
  } finally {
    client.destroy()
  }
}

async function receive(endpoint: string, QueueUrl: string): Promise<readonly SqsMessage[]> {
  const { Messages = [] } = (await sqs(endpoint, 'ReceiveMessage', {
    QueueUrl,
    MaxNumberOfMessages: 10,
    WaitTimeSeconds: 0,
    MessageAttributeNames: ['All'],
    AttributeNames: ['All'],
  })) as { Messages?: readonly SqsMessage[] }
  // the next one of a group comes only when this is gone
  const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }))
  if (Messages.length > 0) await sqs(endpoint, 'DeleteMessageBatch', { QueueUrl, Entries })
  return Messages
}

function asReceived({ Body, Attributes = {}, MessageAttributes = {} }: SqsMessage): Received {
  const attributes = Object.entries(MessageAttributes).map(
    ([name, { DataType, StringValue }]) => [name, { type: DataType, value: StringValue }] as const,
  )
  return {
    body: Body,
    attributes: Object.fromEntries(attributes),
    group: Attributes['MessageGroupId'],
    dedup: Attributes['MessageDeduplicationId'],
  }
}

/** By hand, for want of a client; moto asks for no signature, only for the service's name in its place. */
async function sqs(endpoint: string, action: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `AmazonSQS.${action}`,
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`SQS ${action}: ${response.status} ${text}`)
  return text === '' ? {} : JSON.parse(text)
}

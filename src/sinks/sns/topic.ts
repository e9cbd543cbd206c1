/** What is checked when a session is opened. */
import type { SNSClient } from '@aws-sdk/client-sns'
import type { ColumnType, TableSchema } from '../../columnar/column-type.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { SinkContext } from '../sink.ts'
import { requireFit } from '../table-fit.ts'
import { type Sns, timed } from './client.ts'
import { asDeliveryError, isRefusal } from './errors.ts'
import type { SnsSettings } from './options.ts'

export interface Topic {
  /** Of a message, and of all that go in one request: bodies, and names, types and values of attributes. */
  readonly maxBytes: number
}

const DEFAULT_MAX_BYTES = 256 * 1024
const NUMBERS: ReadonlySet<ColumnType['kind']> = new Set(['integer', 'decimal', 'float'])

export async function findTopic(
  sns: Sns,
  client: SNSClient,
  settings: SnsSettings,
  { order, signal }: SinkContext,
): Promise<Topic> {
  const { topicArn, fifo } = settings
  const where = `SNS topic ${topicArn}`
  if (order !== 'none' && !fifo)
    throw misconfigured(`${where} keeps no order, and the destination has order "${order}": use a FIFO topic`)
  const attributes = await readAttributes(sns, client, settings, where, signal)
  if ((attributes['FifoTopic'] === 'true') !== fifo)
    throw misconfigured(`${where} is ${fifo ? 'not ' : ''}a FIFO topic, against its name`)
  return { maxBytes: Number(attributes['MaximumMessageSize'] ?? DEFAULT_MAX_BYTES) }
}

async function readAttributes(
  sns: Sns,
  client: SNSClient,
  settings: SnsSettings,
  where: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const command = new sns.GetTopicAttributesCommand({ TopicArn: settings.topicArn })
  try {
    const { Attributes = {} } = await timed(settings, [signal], options => client.send(command, options))
    return Attributes
  } catch (error) {
    signal.throwIfAborted()
    const failure = error instanceof DeliveryError ? error : asDeliveryError(where, error)
    // a wrong region or account; and no credentials at all are no passing thing where none were ever found
    const noCredentials = (error as { name?: unknown }).name === 'CredentialsProviderError'
    if (!isRefusal(error) && !noCredentials) throw failure
    throw misconfigured(failure.message, error)
  }
}

export function requireColumns({ group, attributes }: SnsSettings, schema: TableSchema): void {
  const problems: string[] = []
  const typeOf = (name: string, use: string): ColumnType | undefined => {
    const column = schema.columns.find(candidate => candidate.name === name)
    if (!column) problems.push(`it has no column "${name}" for ${use}`)
    return column?.type
  }
  if (typeof group === 'object') typeOf(group.column, 'the message group')
  for (const [name, attribute] of Object.entries(attributes)) {
    if (typeof attribute === 'string') continue
    const found = typeOf(attribute.column, `the attribute "${name}"`)
    if (found && attribute.type === 'Number' && !NUMBERS.has(found.kind))
      problems.push(`its column "${attribute.column}" holds no numbers, and the attribute "${name}" is one`)
  }
  requireFit('SNS', schema, problems)
}

function misconfigured(message: string, cause?: unknown): DeliveryError {
  return new DeliveryError(message, { code: 'destination_misconfigured', cause })
}

/** The rows of a batch as the client wants them. */
import { createHash } from 'node:crypto'
import type { MessageAttributeValue, PublishBatchRequestEntry } from '@aws-sdk/client-sns'
import { DeliveryError } from '../../core/errors.ts'
import { type MessageBatch, rowBytes, textBytes } from '../sink.ts'
import { GROUP, isText, type SnsSettings } from './options.ts'
import type { Topic } from './topic.ts'

/** One row. */
export interface Message {
  /** Its position in the batch. */
  readonly row: number
  readonly entry: Omit<PublishBatchRequestEntry, 'Id'>
  /** As SNS counts them: the body, and names, types and values of the attributes. */
  readonly bytes: number
}

export interface Messages {
  readonly messages: readonly Message[]
  /** By position in the batch: rows that SNS would not take. */
  readonly refused: ReadonlyMap<number, DeliveryError>
}

/**
 * `delivery`: the redelivery that the batch is part of. Behind the stable name it makes the deduplication id, so that a redelivery is
 * not taken for a repetition of the first: at most 58 characters and these, of the 128 that there may be.
 */
export function readMessages(batch: MessageBatch, settings: SnsSettings, topic: Topic, delivery: number): Messages {
  const messages: Message[] = []
  const refused = new Map<number, DeliveryError>()
  const suffix = delivery === 0 ? '' : `-d${delivery}`
  for (let row = 0; row < batch.rows; row++) {
    const id = batch.ids ? decode(textBytes(batch.ids, row)!) : ''
    const value = (column: string): string | null => {
      const bytes = textBytes(batch.columns![column]!, row)
      return bytes && decode(bytes)
    }
    const body = readBody(rowBytes(batch, row))
    const attributes = readAttributes(settings, value, id)
    const group = readGroup(settings, value, id)
    const bytes = Buffer.byteLength(body) + attributeBytes(attributes)
    const problem = problemOf(attributes, bytes, topic)
    if (problem !== undefined) {
      refused.set(row, new DeliveryError(`SNS topic ${settings.topicArn}: ${problem}`, { retryable: false }))
      continue
    }
    const entry = {
      Message: body,
      ...(attributes.length > 0 ? { MessageAttributes: Object.fromEntries(attributes) } : {}),
      ...(group === undefined ? {} : { MessageGroupId: group }),
      ...(settings.fifo ? { MessageDeduplicationId: `${id}${suffix}` } : {}),
    }
    messages.push({ row, entry, bytes })
  }
  return { messages, refused }
}

/** All that a message says of its row. */
export function valuesOf({ entry }: Message): string[] {
  const attributes = Object.values(entry.MessageAttributes ?? {}).map(({ StringValue }) => StringValue)
  return [entry.Message, entry.MessageGroupId, ...attributes].filter(value => value !== undefined)
}

/** Two characters that JSON takes as they are would be lost on the way to a queue; written as escapes they are the same values. */
function readBody(bytes: Uint8Array): string {
  const json = decode(bytes)
  return /[\ufffe\uffff]/.test(json) ? json.replaceAll('\ufffe', '\\ufffe').replaceAll('\uffff', '\\uffff') : json
}

type Attribute = readonly [name: string, value: MessageAttributeValue & { readonly StringValue: string }]

function readAttributes(
  { attributes, idAttribute }: SnsSettings,
  value: (column: string) => string | null,
  id: string,
): Attribute[] {
  const read: Attribute[] = []
  for (const [name, attribute] of Object.entries(attributes)) {
    const fixed = typeof attribute === 'string'
    const text = fixed ? attribute : value(attribute.column)
    if (text) read.push([name, { DataType: fixed ? 'String' : attribute.type, StringValue: text }])
  }
  if (idAttribute !== undefined) read.push([idAttribute, { DataType: 'String', StringValue: id }])
  return read
}

function readGroup(
  { group, fifo }: SnsSettings,
  value: (column: string) => string | null,
  id: string,
): string | undefined {
  if (!group) return undefined
  const text = typeof group === 'string' ? group : value(group.column)
  if (text === null) return fifo ? id : undefined
  return GROUP.test(text) ? text : createHash('sha256').update(text).digest('hex')
}

function attributeBytes(attributes: readonly Attribute[]): number {
  let bytes = 0
  for (const [name, { DataType, StringValue }] of attributes)
    bytes += name.length + DataType!.length + Buffer.byteLength(StringValue)
  return bytes
}

function problemOf(attributes: readonly Attribute[], bytes: number, { maxBytes }: Topic): string | undefined {
  const unfit = attributes.find(([, { StringValue }]) => !isText(StringValue))
  if (unfit) return `the attribute "${unfit[0]}" has a character that SNS does not take`
  if (bytes <= maxBytes) return undefined
  return (
    `a message of ${bytes} bytes is larger than the topic takes: ` +
    `raise its MaximumMessageSize of ${maxBytes}, or backfill fewer columns`
  )
}

function decode({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString()
}

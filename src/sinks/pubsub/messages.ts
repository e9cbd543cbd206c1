/**
 * Rows as the bytes of publish requests (`google.pubsub.v1.PublishRequest`), straight from a batch: without an object for each row,
 * which the generated client would take apart again, on the host's thread.
 */
import { DeliveryError } from '../../core/errors.ts'
import type { MessageBatch, TextColumn } from '../sink.ts'
import { LIMITS, type PubsubSettings } from './options.ts'
import { field, fieldBytes, tagOf, writeHead } from './wire.ts'

/** Fields of `PublishRequest`, `PubsubMessage` and of an entry of its attributes. */
const TOPIC = 1
const MESSAGES = 2
const DATA = 1
const ATTRIBUTES = 2
const ORDERING_KEY = 5
const ENTRY_NAME = 1
const ENTRY_VALUE = 2

/** What all messages of a session have in common. */
export interface Layout {
  /** The field of the topic, with which every request begins. */
  readonly head: Uint8Array
  /** Attributes that are the same in every message. */
  readonly fixed: Uint8Array
  readonly attributes: readonly {
    /** Of a column of the table; without one, the row's stable name. */
    readonly column?: string
    /** The field of its name. */
    readonly name: Uint8Array
  }[]
  /** A column. */
  readonly orderingKey: string | undefined
}

/** `topic`: the full name. */
export function layoutOf({ attributes, idAttribute, orderingKey }: PubsubSettings, topic: string): Layout {
  const fixed: Uint8Array[] = []
  const named: { column?: string; name: Uint8Array }[] = []
  for (const [name, value] of Object.entries(attributes)) {
    const nameField = field(ENTRY_NAME, name)
    if (typeof value === 'string') fixed.push(field(ATTRIBUTES, Buffer.concat([nameField, field(ENTRY_VALUE, value)])))
    else named.push({ column: value.column, name: nameField })
  }
  if (idAttribute !== undefined) named.push({ name: field(ENTRY_NAME, idAttribute) })
  return { head: field(TOPIC, topic), fixed: Buffer.concat(fixed), attributes: named, orderingKey }
}

/** Where values of a batch lie: value i is `bytes[ends[i-1] ?? 0, ends[i])`. */
interface Values {
  readonly bytes: Buffer
  readonly ends: Uint32Array
}

/** The rows of one batch as messages. Reads the batch whenever it encodes. */
export class Messages {
  readonly rows: number
  /** Rows that the service never takes, by position, with the reason. */
  readonly refused: ReadonlyMap<number, DeliveryError>
  readonly #layout: Layout
  readonly #data: Values
  readonly #attributes: readonly (Values & { readonly name: Uint8Array; readonly nulls: Uint8Array })[]
  readonly #keys: Values | undefined
  /** Of each message, without tag and length. */
  readonly #sizes: Uint32Array

  constructor(batch: MessageBatch, layout: Layout) {
    this.rows = batch.rows
    this.#layout = layout
    this.#data = valuesOf(batch)
    this.#attributes = layout.attributes.map(({ column, name }) => {
      const texts = column === undefined ? batch.ids! : batch.columns![column]!
      return { ...valuesOf(texts), name, nulls: texts.nulls }
    })
    // NULL has no bytes, as the empty key, which Pub/Sub takes for none
    this.#keys = layout.orderingKey === undefined ? undefined : valuesOf(batch.columns![layout.orderingKey]!)
    const refused = new Map<number, DeliveryError>()
    this.#sizes = Uint32Array.from({ length: batch.rows }, (_, row) => this.#size(row, refused))
    this.refused = refused
  }

  /** What a request with this row alone comes to, without its topic. */
  bytesOf(row: number): number {
    return fieldBytes(this.#sizes[row]!)
  }

  /** Equal for equal ordering keys (32-bit FNV-1a); undefined without one. */
  keyHash(row: number): number | undefined {
    if (this.#keys === undefined || lengthOf(this.#keys, row) === 0) return undefined
    const { bytes, ends } = this.#keys
    let hash = 0x811c9dc5
    for (let at = startOf(ends, row); at < ends[row]!; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
    return hash >>> 0
  }

  /** A request with the rows at these positions, in this order. */
  encode(rows: readonly number[]): Buffer {
    const { head, fixed } = this.#layout
    const length = rows.reduce((sum, row) => sum + this.bytesOf(row), head.length)
    const target = Buffer.allocUnsafe(length)
    target.set(head)
    let at = head.length
    for (const row of rows) {
      at = writeHead(target, at, tagOf(MESSAGES), this.#sizes[row]!)
      at = writeValue(target, at, tagOf(DATA), this.#data, row)
      target.set(fixed, at)
      at += fixed.length
      for (const attribute of this.#attributes) {
        if (attribute.nulls[row] === 1) continue
        at = writeHead(target, at, tagOf(ATTRIBUTES), entryBytes(attribute, row))
        target.set(attribute.name, at)
        at = writeValue(target, at + attribute.name.length, tagOf(ENTRY_VALUE), attribute, row)
      }
      if (this.#keys && lengthOf(this.#keys, row) > 0) at = writeValue(target, at, tagOf(ORDERING_KEY), this.#keys, row)
    }
    return target
  }

  #size(row: number, refused: Map<number, DeliveryError>): number {
    const refuse = (reason: string): void => void refused.set(row, new DeliveryError(reason, { retryable: false }))
    let size = fieldBytes(lengthOf(this.#data, row)) + this.#layout.fixed.length
    for (const attribute of this.#attributes) {
      if (attribute.nulls[row] === 1) continue
      if (lengthOf(attribute, row) > LIMITS.attributeValue)
        refuse(`a row's attribute has ${lengthOf(attribute, row)} bytes, and Pub/Sub takes ${LIMITS.attributeValue}`)
      size += fieldBytes(entryBytes(attribute, row))
    }
    const keyBytes = this.#keys ? lengthOf(this.#keys, row) : 0
    if (keyBytes > LIMITS.orderingKey)
      refuse(`a row's ordering key has ${keyBytes} bytes, and Pub/Sub takes ${LIMITS.orderingKey}`)
    if (keyBytes > 0) size += fieldBytes(keyBytes)
    const request = this.#layout.head.length + fieldBytes(size)
    if (request > LIMITS.requestBytes)
      refuse(`a row makes a publish request of ${request} bytes, and Pub/Sub takes ${LIMITS.requestBytes}`)
    return size
  }
}

function valuesOf({ bytes, ends }: Pick<TextColumn, 'bytes' | 'ends'>): Values {
  return { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), ends }
}

function startOf(ends: Uint32Array, row: number): number {
  return row === 0 ? 0 : ends[row - 1]!
}

function lengthOf({ ends }: Values, row: number): number {
  return ends[row]! - startOf(ends, row)
}

function entryBytes(attribute: Values & { readonly name: Uint8Array }, row: number): number {
  return attribute.name.length + fieldBytes(lengthOf(attribute, row))
}

function writeValue(target: Buffer, at: number, tag: number, values: Values, row: number): number {
  const start = startOf(values.ends, row)
  const end = values.ends[row]!
  const content = writeHead(target, at, tag, end - start)
  values.bytes.copy(target, content, start, end)
  return content + end - start
}

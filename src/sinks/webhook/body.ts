import { promisify } from 'node:util'
import { gzip, zstdCompress } from 'node:zlib'
import { framePayloads, type PlainEncoding, payloadAt } from '../../columnar/framing.ts'
import type { MessageBatch } from '../sink.ts'
import type { WebhookSettings } from './options.ts'

export const BODIES: Readonly<
  Record<WebhookSettings['body'], { readonly encoding: PlainEncoding; readonly type: string }>
> = {
  'json-array': { encoding: { kind: 'json-array' }, type: 'application/json' },
  ndjson: { encoding: { kind: 'ndjson' }, type: 'application/x-ndjson' },
  row: { encoding: { kind: 'rows' }, type: 'application/json' },
}

/** Rows of a batch, by position: `end` is not among them. */
export interface Rows {
  readonly start: number
  readonly end: number
}

/** The body of these rows of the batch, which is the batch's own if they are all of them. */
export function bodyOf(batch: MessageBatch, { start, end }: Rows, encoding: PlainEncoding): Uint8Array {
  if (end - start === batch.rows) return batch.bytes
  const payloads = Array.from({ length: end - start }, (_, row) => payloadAt(batch, start + row, encoding))
  return framePayloads(payloads, encoding).bytes
}

/** In the thread pool. */
export const COMPRESS: Readonly<
  Record<WebhookSettings['compression'], (body: Uint8Array) => Promise<Uint8Array> | Uint8Array>
> = {
  none: body => body,
  gzip: promisify<Uint8Array, Uint8Array>(gzip),
  zstd: promisify<Uint8Array, Uint8Array>(zstdCompress),
}

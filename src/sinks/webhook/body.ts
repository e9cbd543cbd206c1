import { promisify } from 'node:util'
import { gzip, zstdCompress } from 'node:zlib'
import { framePayloads, payloadAt } from '../../columnar/framing.ts'
import type { ArrowEncoding, PlainEncoding } from '../../columnar/read-plan.ts'
import type { MessageBatch, SinkContext } from '../sink.ts'
import type { WebhookSettings } from './options.ts'

export const BODIES: Readonly<
  Record<WebhookSettings['body'], { readonly encoding: PlainEncoding | ArrowEncoding; readonly type: string }>
> = {
  'json-array': { encoding: { kind: 'json-array' }, type: 'application/json' },
  ndjson: { encoding: { kind: 'ndjson' }, type: 'application/x-ndjson' },
  row: { encoding: { kind: 'rows' }, type: 'application/json' },
  arrow: { encoding: { kind: 'arrow-stream' }, type: 'application/vnd.apache.arrow.stream' },
}

/** Rows of a batch, by position: `end` is not among them. */
export interface Rows {
  readonly start: number
  readonly end: number
}

/** The body of these rows of the batch, which is the batch's own if they are all of them. */
export async function bodyOf(
  batch: MessageBatch,
  { start, end }: Rows,
  kind: WebhookSettings['body'],
  reframe: SinkContext['reframe'],
): Promise<Uint8Array> {
  if (end - start === batch.rows) return batch.bytes
  const { encoding } = BODIES[kind]
  const positions = Array.from({ length: end - start }, (_, row) => start + row)
  if (encoding.kind === 'arrow-stream') return (await reframe(batch, [positions]))[0]!.bytes
  return framePayloads(
    positions.map(row => payloadAt(batch, row, encoding)),
    encoding,
  ).bytes
}

/** In the thread pool. */
export const COMPRESS: Readonly<
  Record<WebhookSettings['compression'], (body: Uint8Array) => Promise<Uint8Array> | Uint8Array>
> = {
  none: body => body,
  gzip: promisify<Uint8Array, Uint8Array>(gzip),
  zstd: promisify<Uint8Array, Uint8Array>(zstdCompress),
}

/** Compression of Kafka record batches: of all that lies behind the header, as the attributes say (KIP-98, "Message Format"). */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { loadDriver } from '../core/driver.ts'
import { MillraceError } from '../core/errors.ts'
import type { Allocate } from './encoder.ts'
import type { Compression } from './read-plan.ts'
import { ATTRIBUTES_AT, HEADER_BYTES, LENGTH_AT, LENGTH_FROM } from './record-batch.ts'

interface Codec {
  compress(bytes: Buffer): Uint8Array
  decompress(bytes: Buffer): Uint8Array
}

/** In the order of their numbers in the attributes. */
const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const COMPRESSION_BITS = 0b111

const codecs = new Map<Compression, Codec>([
  ['gzip', { compress: bytes => gzipSync(bytes), decompress: bytes => gunzipSync(bytes) }],
  ['zstd', { compress: bytes => zstdCompressSync(bytes), decompress: bytes => zstdDecompressSync(bytes) }],
])

/**
 * Makes a compression ready for this thread, which the others in this file rely on: batches are compressed in between, where
 * nothing can be waited for. snappy and lz4 come with the Kafka client; a missing one is a `missing_driver` error.
 */
export async function loadCompression(compression: Compression): Promise<void> {
  if (compression === 'none' || codecs.has(compression)) return
  const { compressionsAlgorithms } = await loadDriver('@platformatic/kafka', () => import('@platformatic/kafka'))
  const { compressSync, decompressSync } = compressionsAlgorithms[compression]
  codecs.set(compression, { compress: compressSync, decompress: decompressSync })
}

/** A copy of the batch, compressed unless that would make it larger. Attributes and length are set, the CRC is not. */
export function compressBatch(
  batch: Uint8Array,
  compression: Compression,
  allocate: Allocate,
): Uint8Array<ArrayBuffer> {
  const records = compression === 'none' ? undefined : codecOf(compression).compress(asBuffer(batch, HEADER_BYTES))
  if (records === undefined || HEADER_BYTES + records.length >= batch.length) {
    const copy = allocate(batch.length)
    copy.set(batch)
    return copy
  }
  const compressed = allocate(HEADER_BYTES + records.length)
  compressed.set(batch.subarray(0, HEADER_BYTES))
  compressed.set(records, HEADER_BYTES)
  const header = asBuffer(compressed)
  header.writeInt32BE(compressed.length - LENGTH_FROM, LENGTH_AT)
  header.writeInt16BE(COMPRESSIONS.indexOf(compression), ATTRIBUTES_AT)
  return compressed
}

/** The records of a batch, whose attributes say how they are compressed. May be a view of it. */
export async function decompressRecords(batch: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const compression = COMPRESSIONS[asBuffer(batch).readInt16BE(ATTRIBUTES_AT) & COMPRESSION_BITS]!
  if (compression === 'none') return batch.subarray(HEADER_BYTES)
  await loadCompression(compression)
  return new Uint8Array(codecOf(compression).decompress(asBuffer(batch, HEADER_BYTES)))
}

function codecOf(compression: Compression): Codec {
  const codec = codecs.get(compression)
  if (!codec) throw new MillraceError('internal', `the compression ${compression} was not loaded`)
  return codec
}

function asBuffer(bytes: Uint8Array, from = 0): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.length - from)
}

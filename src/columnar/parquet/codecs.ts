/**
 * Compression of pages. Source: apache/parquet-format, Compression.md.
 *
 * LZ4 and Snappy are decompressed in the kernel, where their output is needed; ZSTD, GZIP and Brotli by Node's native
 * libraries, which cost a copy and still are faster. LZO, and LZ4 as Hadoop framed it, are left to parquet-wasm.
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Kernel } from '../kernel.ts'

/** What of the kernel's memory decompressing may use. `input`: where compressed bytes go that the kernel reads. */
export interface CodecMemory {
  readonly kernel: Kernel
  readonly memory: Uint8Array
  readonly input: number
}

/** Fills [to, toEnd) of the memory from `source`. Whether `source` made just that; may throw where it is damaged. */
export type Codec = (source: Uint8Array, memory: CodecMemory, to: number, toEnd: number) => boolean

/** By its number in `parquet.thrift`. */
export function codecOf(number: number): Codec | undefined {
  return CODECS[number]
}

const CODECS: Readonly<Record<number, Codec>> = {
  0: (source, { memory }, to, toEnd) => {
    if (source.length !== toEnd - to) return false
    memory.set(source, to)
    return true
  },
  1: inKernel('parquetSnappy'),
  2: native(gunzipSync),
  4: native(brotliDecompressSync),
  6: native(zstdDecompressSync),
  7: inKernel('parquetLz4'),
}

function inKernel(name: 'parquetSnappy' | 'parquetLz4'): Codec {
  return (source, { kernel, memory, input }, to, toEnd) => {
    memory.set(source, input)
    return kernel.exports[name](input, input + source.length, to, toEnd) === 1
  }
}

function native(decompress: (source: Uint8Array, options: NativeOptions) => Uint8Array): Codec {
  return (source, { memory }, to, toEnd) => {
    const bytes = toEnd - to
    // by default its output comes in pieces of 16 KiB, which are put together
    const found = decompress(source, { maxOutputLength: bytes, chunkSize: Math.max(MIN_CHUNK_BYTES, bytes) })
    if (found.length !== toEnd - to) return false
    memory.set(found, to)
    return true
  }
}

interface NativeOptions {
  readonly maxOutputLength: number
  readonly chunkSize: number
}

/** Node refuses less. */
const MIN_CHUNK_BYTES = 64

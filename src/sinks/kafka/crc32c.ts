import { createRequire } from 'node:module'
import type { Kafka } from './client.ts'

export type Checksum = (bytes: Uint8Array) => number

/**
 * CRC-32C by the processor's own instruction, from the package that comes with `@platformatic/kafka` where there are binaries of
 * it; else that client's own, in WebAssembly. The client would use the same binaries, but copies the bytes first, a megabyte a batch.
 */
export function loadChecksum({ crc32c }: Kafka): Checksum {
  try {
    // as the client would find it: it need not be installed where this file is
    const require = createRequire(import.meta.resolve('@platformatic/kafka'))
    return (require('@node-rs/crc32') as { crc32c: Checksum }).crc32c
  } catch {
    return bytes => crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }
}

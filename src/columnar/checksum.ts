/**
 * Checksums of rows, and sums of them. A row's checksum is the 64-bit XXH64 (https://xxhash.com) of its payload bytes without
 * framing, so that it is the same whatever the rows were framed as. Its seed is 0, or, of a row that is delivered with an id,
 * the XXH64 of the id (seed 0); and with a key, the XXH64 of the key with the seed so far. Sums are modulo 2^64: the order of
 * the rows does not matter, a row that came twice does. As text they are 16 hex digits, because sums cross threads and JSON.
 */
import xxhash from 'xxhash-wasm'

const { h64Raw } = await xxhash()

/** What a row is delivered with, beside its payload. */
export interface Delivered {
  readonly id?: Uint8Array | null | undefined
  readonly key?: Uint8Array | null | undefined
}

/** The sum of no rows. */
export const ZERO_CHECKSUM = formatChecksum(0n)

export function rowChecksum(payload: Uint8Array, delivered?: Delivered): string {
  return formatChecksum(hashRow(payload, delivered))
}

export function addChecksums(a: string, b: string): string {
  return formatChecksum(readChecksum(a) + readChecksum(b))
}

/** Takes the rows of `b` out of the sum `a`. */
export function subtractChecksums(a: string, b: string): string {
  return formatChecksum(readChecksum(a) - readChecksum(b))
}

/** A row's checksum as a number, for sums that grow row by row. */
export function hashRow(payload: Uint8Array, { id, key }: Delivered = {}): bigint {
  const withId = id ? h64Raw(id) : 0n
  return h64Raw(payload, key ? h64Raw(key, withId) : withId)
}

/** The 128 bits of two XXH64, with the seeds 0 and 1: 32 hex digits. */
export function wideHash(bytes: Uint8Array): string {
  return formatChecksum(h64Raw(bytes, 0n)) + formatChecksum(h64Raw(bytes, 1n))
}

/** Any sum or difference of checksums, modulo 2^64. */
export function formatChecksum(sum: bigint): string {
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
}

function readChecksum(text: string): bigint {
  return BigInt(`0x${text}`)
}

/**
 * Checksums of rows, and sums of them. A row's checksum is the 64-bit XXH64 (https://xxhash.com, seed 0) of its payload
 * bytes without framing, so that it is the same whatever the rows were framed as. Sums are modulo 2^64: the order of the
 * rows does not matter, a row that came twice does. As text they are 16 hex digits, because sums cross threads and JSON.
 */
import xxhash from 'xxhash-wasm'

const { h64Raw } = await xxhash()

/** The sum of no rows. */
export const ZERO_CHECKSUM = formatChecksum(0n)

export function rowChecksum(payload: Uint8Array): string {
  return formatChecksum(hashRow(payload))
}

export function addChecksums(a: string, b: string): string {
  return formatChecksum(readChecksum(a) + readChecksum(b))
}

/** Takes the rows of `b` out of the sum `a`. */
export function subtractChecksums(a: string, b: string): string {
  return formatChecksum(readChecksum(a) - readChecksum(b))
}

/** A row's checksum as a number, for sums that grow row by row. */
export function hashRow(payload: Uint8Array): bigint {
  return h64Raw(payload)
}

/** Any sum or difference of checksums, modulo 2^64. */
export function formatChecksum(sum: bigint): string {
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
}

function readChecksum(text: string): bigint {
  return BigInt(`0x${text}`)
}

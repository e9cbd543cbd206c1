/** Strings and binary values. */
import type { Data } from 'apache-arrow'
import type { ColumnRenderer } from '../render.ts'
import { blockReader } from './blocks.ts'
import { asBuffer, type Offsets, offsetsOf, viewAt } from './buffers.ts'

/** Strings that are decoded at once. */
const BLOCK_ROWS = 256
/** Larger blocks are not worth it, and would hold their memory as long as any row's text lives. */
const BLOCK_BYTES = 1 << 18

/**
 * Strings, escaped as `JSON.stringify` escapes. Ill-formed UTF-8 becomes U+FFFD (a surrogate in UTF-8 three of them: WHATWG
 * Encoding, "UTF-8 decode without BOM").
 */
export function utf8Column(data: Data): ColumnRenderer {
  const bytes = asBuffer(data.values)
  const offsets = offsetsOf(data)
  const plain = plainText(bytes, offsets, data.length)
  const decode = (row: number): string => bytes.toString('utf8', offsets[row], offsets[row + 1])
  return {
    text: row => plain(row) ?? decode(row),
    json(row) {
      const text = plain(row)
      return text === undefined ? JSON.stringify(decode(row)) : `"${text}"`
    },
  }
}

/**
 * The text of a row whose neighbourhood is plain: printable ASCII without quotes and backslashes, the same between quotes
 * as without. A block of rows is decoded as one string and cut up, which copies nothing.
 */
function plainText(bytes: Buffer, offsets: Offsets, length: number): (row: number) => string | undefined {
  const isPlain = plainTest(bytes)
  const blockAt = blockReader(length, BLOCK_ROWS, (from, to) => {
    const [start, end] = [offsets[from]!, offsets[to]!]
    const decodes = end - start <= BLOCK_BYTES && isPlain(start, end)
    return { start, text: decodes ? bytes.toString('latin1', start, end) : undefined }
  })
  return row => {
    const block = blockAt(row)
    return block?.text?.slice(offsets[row]! - block.start, offsets[row + 1]! - block.start)
  }
}

/** Whether no byte of [start, end) needs escaping or is beyond ASCII: four bytes a step, all tests on a word at once. */
function plainTest(bytes: Buffer): (start: number, end: number) => boolean {
  const all = new Int32Array(bytes.buffer, 0, Math.floor(bytes.buffer.byteLength / 4))
  return (start, end) => {
    let at = start
    for (; at < end && (bytes.byteOffset + at) % 4 !== 0; at++) if (!isPlainByte(bytes[at]!)) return false
    const stop = at + ((end - at) & ~3)
    for (let word = (bytes.byteOffset + at) / 4; at < stop; word++, at += 4) if (!isPlainWord(all[word]!)) return false
    for (; at < end; at++) if (!isPlainByte(bytes[at]!)) return false
    return true
  }
}

function isPlainByte(byte: number): boolean {
  return byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c
}

/** As {@link isPlainByte} for each of four bytes. Source: Sean Eron Anderson, "Bit Twiddling Hacks", haszero and hasless. */
function isPlainWord(word: number): boolean {
  const quote = word ^ 0x22222222
  const backslash = word ^ 0x5c5c5c5c
  const bad = word | (word - 0x20202020) | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash)
  return (bad & 0x80808080) === 0
}

/** Utf8View: rarely met, so without the fast path. */
export function utf8ViewColumn(data: Data): ColumnRenderer {
  const text = (row: number): string => viewText(data, row, 'utf8')
  return { text, json: row => JSON.stringify(text(row)) }
}

/** Base64 with padding (RFC 4648, section 4). */
export function binaryText(data: Data): (row: number) => string {
  const bytes = asBuffer(data.values)
  const offsets = offsetsOf(data)
  return row => bytes.toString('base64', offsets[row], offsets[row + 1])
}

export function fixedBinaryText(data: Data): (row: number) => string {
  const bytes = asBuffer(data.values)
  const { stride } = data
  return row => bytes.toString('base64', row * stride, (row + 1) * stride)
}

export function binaryViewText(data: Data): (row: number) => string {
  return row => viewText(data, row, 'base64')
}

function viewText(data: Data, row: number, encoding: 'utf8' | 'base64'): string {
  const view = viewAt(data, row)
  return view ? asBuffer(view.bytes).toString(encoding, view.start, view.end) : ''
}

/**
 * LZ4 frames, as buffers of Arrow IPC have them. Blocks are decompressed in plain JavaScript: a buffer is some hundred kilobytes, and not
 * every thread has the kernel. Checksums are passed over, since Arrow's readers do not rely on them either.
 *
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md.
 */

const MAGIC = 0x184d2204
const VERSION = 0b01
/** Of the frame descriptor's first byte. */
const FLAGS = { blockChecksums: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 }
/** Of a block's length: it is not compressed. */
const STORED = 0x80000000

/** Throws a RangeError where the frame is damaged, or would become longer than `mostBytes`. */
export function decompressLz4Frame(frame: Uint8Array, mostBytes: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const flags = view.getUint8(4)
  if (view.getUint32(0, true) !== MAGIC || flags >> 6 !== VERSION) throw new RangeError('not an LZ4 frame')
  if (flags & FLAGS.dictionary) throw new RangeError('an LZ4 frame with a dictionary')
  const size = flags & FLAGS.contentSize ? Number(view.getBigUint64(6, true)) : undefined
  if (size !== undefined && size > mostBytes) throw tooLong(mostBytes)
  const out = new Output(size ?? Math.min(mostBytes, 4 * frame.length), mostBytes)
  // magic, flags, block size, content size, header checksum
  let at = 4 + 2 + (size === undefined ? 0 : 8) + 1
  for (;;) {
    const length = view.getUint32(at, true)
    at += 4
    if (length === 0) break
    const bytes = length & ~STORED
    if (at + bytes > frame.length) throw new RangeError('an LZ4 block that is cut short')
    if (length >>> 31) out.append(frame.subarray(at, at + bytes))
    else decompressBlock(frame, at, at + bytes, out)
    at += bytes + (flags & FLAGS.blockChecksums ? 4 : 0)
  }
  if (size !== undefined && out.length !== size) throw new RangeError('an LZ4 frame of another size than it says')
  return out.bytes.subarray(0, out.length)
}

/** Grows as it is written to: blocks may refer to what earlier ones of the frame became. */
class Output {
  readonly #most: number
  bytes: Uint8Array
  length = 0

  constructor(bytes: number, most: number) {
    this.#most = most
    this.bytes = new Uint8Array(bytes)
  }

  reserve(bytes: number): void {
    const needed = this.length + bytes
    if (needed <= this.bytes.length) return
    if (needed > this.#most) throw tooLong(this.#most)
    const larger = new Uint8Array(Math.min(this.#most, Math.max(needed, 2 * this.bytes.length)))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Repeats what was written `distance` bytes ago; where that is less than `bytes`, what is being written too. */
  repeat(distance: number, bytes: number): void {
    if (distance === 0 || distance > this.length)
      throw new RangeError('an LZ4 block that refers to before its beginning')
    this.reserve(bytes)
    const { bytes: all, length } = this
    if (distance >= bytes) all.copyWithin(length, length - distance, length - distance + bytes)
    else for (let at = length; at < length + bytes; at++) all[at] = all[at - distance]!
    this.length += bytes
  }
}

/** Sequences of literals and a match each; the last one has no match. */
function decompressBlock(source: Uint8Array, start: number, end: number, out: Output): void {
  let at = start
  const next = (): number => {
    if (at >= end) throw new RangeError('an LZ4 block that is cut short')
    return source[at++]!
  }
  const lengthFrom = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) for (let more = 255; more === 255; length += more) more = next()
    return length
  }
  while (at < end) {
    const token = next()
    const literals = lengthFrom(token >> 4)
    if (at + literals > end) throw new RangeError('an LZ4 block that is cut short')
    out.append(source.subarray(at, at + literals))
    at += literals
    if (at === end) return
    const distance = next() | (next() << 8)
    out.repeat(distance, lengthFrom(token & 15) + LEAST_MATCH)
  }
}

const LEAST_MATCH = 4

function tooLong(most: number): RangeError {
  return new RangeError(`an LZ4 frame of more than ${most} bytes`)
}

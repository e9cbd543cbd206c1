/** Bytes written one behind the other, in memory that grows and is used again. */
export class GrowingBytes {
  /** What is not written yet holds anything. */
  bytes = ownBytes(FIRST_BYTES)
  length = 0

  /** Makes room for this many bytes behind those that there are. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const larger = ownBytes(Math.max(this.length + count, 2 * this.bytes.length))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Returns how many bytes the text came to. */
  appendText(text: string): number {
    this.reserve(UTF8_BYTES_PER_UNIT * text.length)
    const written = this.bytes.write(text, this.length, 'utf8')
    this.length += written
    return written
  }

  /** Takes away the first bytes. */
  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length)
    this.length -= count
  }
}

const FIRST_BYTES = 4096
const UTF8_BYTES_PER_UNIT = 3

/** Not zeroed, and of a buffer of its own: Node's pool would hand out parts of a shared one, which cannot be transferred. */
export function ownBytes(length: number): Buffer<ArrayBuffer> {
  return Buffer.allocUnsafeSlow(length)
}

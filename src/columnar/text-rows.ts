/** Text of row after row, as UTF-8 in one buffer that grows and is used again; the first rows are taken out as a copy. */
import type { TextColumn } from './read-plan.ts'

/** What was taken out. Both buffers are just as long as they need to be, and belong to the receiver. */
export type TakenRows = Pick<TextColumn, 'bytes' | 'ends'>

export class TextRows {
  #bytes = ownBytes(FIRST_BYTES)
  #length = 0
  #ends: number[] = []

  get rows(): number {
    return this.#ends.length
  }

  /** Bytes of all rows. */
  get length(): number {
    return this.#length
  }

  /** `before`, `after`: ASCII characters that belong to the row. Returns a view of the text between them, good until the next call. */
  append(text: string, before?: number, after?: number): Uint8Array {
    this.#reserve(UTF8_BYTES_PER_UNIT * text.length + 2)
    if (before !== undefined) this.#bytes[this.#length++] = before
    const start = this.#length
    this.#length += this.#bytes.write(text, start, 'utf8')
    const view = new Uint8Array(this.#bytes.buffer, start, this.#length - start)
    if (after !== undefined) this.#bytes[this.#length++] = after
    this.#ends.push(this.#length)
    return view
  }

  /** `tail`: bytes to leave behind the taken rows in their copy. */
  take(rows: number, tail = 0): TakenRows {
    const ends = Uint32Array.from(this.#ends.splice(0, rows))
    const taken = ends.at(-1) ?? 0
    const bytes = ownBytes(taken + tail)
    bytes.set(this.#bytes.subarray(0, taken))
    this.#bytes.copyWithin(0, taken, this.#length)
    this.#length -= taken
    this.#ends = this.#ends.map(end => end - taken)
    return { bytes: new Uint8Array(bytes.buffer), ends }
  }

  /** Puts another character in the place of the first row's `before`. */
  reframeFirst(before: number): void {
    this.#bytes[0] = before
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = ownBytes(Math.max(this.#length + bytes, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

export class TextColumnRows {
  readonly #text = new TextRows()
  #nulls: number[] = []

  append(text: string | null): void {
    this.#text.append(text ?? '')
    this.#nulls.push(text === null ? 1 : 0)
  }

  take(rows: number): TextColumn {
    return { ...this.#text.take(rows), nulls: Uint8Array.from(this.#nulls.splice(0, rows)) }
  }
}

const FIRST_BYTES = 4096
const UTF8_BYTES_PER_UNIT = 3

/** Not zeroed, and of a buffer of its own: Node's pool would hand out parts of a shared one, which cannot be transferred. */
function ownBytes(length: number): Buffer<ArrayBuffer> {
  return Buffer.allocUnsafeSlow(length)
}

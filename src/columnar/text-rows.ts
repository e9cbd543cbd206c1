/** Text of row after row, as UTF-8 in one buffer; the first rows are taken out as a copy. */
import type { Allocate } from './encoder.ts'
import { GrowingBytes, ownBytes } from './growing-bytes.ts'
import type { TextColumn } from './read-plan.ts'

/** What was taken out; it belongs to the receiver. */
export type TakenRows = Pick<TextColumn, 'bytes' | 'ends'>

export class TextRows {
  readonly #text = new GrowingBytes()
  #ends: number[] = []

  get rows(): number {
    return this.#ends.length
  }

  /** Bytes of all rows. */
  get length(): number {
    return this.#text.length
  }

  /** `before`, `after`: ASCII characters that belong to the row. Returns a view of the text between them, good until the next call. */
  append(text: string, before?: number, after?: number): Uint8Array {
    if (before !== undefined) this.#appendByte(before)
    const start = this.#text.length
    const bytes = this.#text.appendText(text)
    if (after !== undefined) this.#appendByte(after)
    this.#ends.push(this.#text.length)
    return new Uint8Array(this.#text.bytes.buffer, start, bytes)
  }

  /** `tail`: bytes to leave behind the taken rows in their copy. */
  take(rows: number, allocate: Allocate, tail = 0): TakenRows {
    const ends = Uint32Array.from(this.#ends.splice(0, rows))
    const taken = ends.at(-1) ?? 0
    const bytes = allocate(taken + tail)
    bytes.set(this.#text.bytes.subarray(0, taken))
    this.#text.drop(taken)
    this.#ends = this.#ends.map(end => end - taken)
    return { bytes, ends }
  }

  /** Puts another character in the place of the first row's `before`. */
  reframeFirst(before: number): void {
    this.#text.bytes[0] = before
  }

  #appendByte(byte: number): void {
    this.#text.reserve(1)
    this.#text.bytes[this.#text.length++] = byte
  }
}

export class TextColumnRows {
  readonly #text = new TextRows()
  #nulls: number[] = []

  append(text: string | null): void {
    this.#text.append(text ?? '')
    this.#nulls.push(text === null ? 1 : 0)
  }

  /** All buffers are as long as they need to be: unlike those of batches they come from no pool. */
  take(rows: number): TextColumn {
    const text = this.#text.take(rows, length => new Uint8Array(ownBytes(length).buffer))
    return { ...text, nulls: Uint8Array.from(this.#nulls.splice(0, rows)) }
  }
}

/**
 * Reads Thrift's compact protocol (apache/thrift, `thrift-compact-protocol.md`), in which Parquet writes its metadata.
 *
 * The caller says per field what it wants, and the rest is skipped without a trace. The input may be damaged: a
 * reader never goes back, no number has more bytes than it can have, nothing is allocated for what a length merely claims,
 * and nesting ends at a depth. So it takes time in proportion to the bytes, and always ends.
 */

export class ThriftError extends Error {}

export class ThriftReader {
  readonly #view: DataView
  #at = 0
  #depth = 0

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Bytes that have been read. */
  get position(): number {
    return this.#at
  }

  /** `field` reads the value of the field and returns true, or leaves it alone and returns false. */
  struct(type: number, field: (id: number, type: number) => boolean): void {
    if (type !== STRUCT) throw new ThriftError('has something else where a structure should be')
    if (++this.#depth > MOST_DEPTH) throw new ThriftError('is nested too deeply')
    let id = 0
    for (;;) {
      const head = this.#byte()
      if (head === 0) break
      id = head >> 4 === 0 ? this.integer(I16) : id + (head >> 4)
      if (!field(id, head & 15)) this.#skip(head & 15)
    }
    this.#depth--
  }

  /** A value of any of the integer types, if it is one that a double holds exactly. */
  integer(type: number): number {
    if (type === I8) return (this.#byte() << 24) >> 24
    if (type !== I16 && type !== I32 && type !== I64)
      throw new ThriftError('has something else where a number should be')
    const zigzag = this.#varint()
    if (!Number.isSafeInteger(zigzag)) throw new ThriftError('has a number that is too large')
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }

  boolean(type: number): boolean {
    if (type !== TRUE && type !== FALSE) throw new ThriftError('has something else where true or false should be')
    return type === TRUE
  }

  /** A view of the input. */
  bytes(type: number): Uint8Array {
    if (type !== BINARY) throw new ThriftError('has something else where bytes should be')
    const length = this.#length()
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#at, length)
    this.#at += length
    return bytes
  }

  text(type: number): string {
    const { buffer, byteOffset, length } = this.bytes(type)
    return Buffer.from(buffer, byteOffset, length).toString()
  }

  /** `item` reads one item of the type that it is given. */
  list<T>(type: number, item: (type: number) => T): T[] {
    const items: T[] = []
    this.#items(type, type => items.push(item(type)))
    return items
  }

  #items(type: number, item: (type: number) => void): void {
    if (type !== LIST && type !== SET) throw new ThriftError('has something else where a list should be')
    const head = this.#byte()
    // every item has a byte at least, so that a list ends where the input does
    const count = head >> 4 === 15 ? this.#length() : head >> 4
    for (let i = 0; i < count; i++) item(head & 15)
  }

  #skip(type: number): void {
    switch (type) {
      case TRUE:
      case FALSE:
        return
      case DOUBLE:
        this.#at += 8
        return
      case BINARY:
        this.bytes(type)
        return
      case LIST:
      case SET:
        // in a list, a boolean is a byte
        this.#nested(() => this.#items(type, item => (item <= FALSE ? this.#byte() : this.#skip(item))))
        return
      case STRUCT:
        this.struct(type, () => false)
        return
      case I8:
        this.#byte()
        return
      case I16:
      case I32:
      case I64:
        this.#varint()
        return
      default:
        // maps and UUIDs do not occur in Parquet
        throw new ThriftError(`has a field of type ${type}`)
    }
  }

  #nested(read: () => void): void {
    if (++this.#depth > MOST_DEPTH) throw new ThriftError('is nested too deeply')
    read()
    this.#depth--
  }

  /** Of what follows: never more than there is. */
  #length(): number {
    const length = this.#varint()
    if (length > this.#view.byteLength - this.#at) throw new ThriftError('refers to bytes behind its end')
    return length
  }

  /** Exact as far as a double is. */
  #varint(): number {
    let value = 0
    for (let count = 0; count < MOST_VARINT_BYTES; count++) {
      const byte = this.#byte()
      value += (byte & 127) * 128 ** count
      if (byte < 128) return value
    }
    throw new ThriftError('has a number that is too long')
  }

  #byte(): number {
    if (this.#at >= this.#view.byteLength) throw new ThriftError('ends too early')
    return this.#view.getUint8(this.#at++)
  }
}

/** A struct's fields by their numbers, as far as there are readers for them. */
export function fieldsOf<F extends Readonly<Record<number, unknown>>>(
  r: ThriftReader,
  type: number,
  readers: { readonly [N in keyof F]: (type: number) => F[N] },
): { [N in keyof F]?: F[N] } {
  const fields: { [N in keyof F]?: F[N] } = {}
  r.struct(type, (id, type) => {
    const read = readers[id]
    if (read) fields[id as keyof F] = read(type)
    return read !== undefined
  })
  return fields
}

/** Of 64-bit numbers. */
const MOST_VARINT_BYTES = 10
/** Parquet's own structures have at most seven levels. */
const MOST_DEPTH = 32

const TRUE = 1
const FALSE = 2
const I8 = 3
const I16 = 4
const I32 = 5
const I64 = 6
const DOUBLE = 7
const BINARY = 8
const LIST = 9
const SET = 10
/** The type of the whole, which nothing stands in front of. */
export const STRUCT = 12

/** The little of the protobuf encoding that is needed: https://protobuf.dev/programming-guides/encoding */

const VARINT = 0
const FIXED_64 = 1
const BYTES = 2
const FIXED_32 = 5

export interface Field {
  readonly number: number
  /** A varint, as far as a double is exact. 0 for others. */
  readonly value: number
  /** Of a string, bytes or a message; a view. Empty for others. */
  readonly bytes: Uint8Array
}

/** The tag of a string, bytes or message field, for field numbers up to 15. */
export function tagOf(field: number): number {
  return (field << 3) | BYTES
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

/** Bytes of a field of up to 15 with so many bytes of content. */
export function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length
}

/** Writes tag and length; answers where the content goes. */
export function writeHead(target: Uint8Array, at: number, tag: number, length: number): number {
  target[at++] = tag
  let rest = length
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at++] = rest
  return at
}

/** A whole field. */
export function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content)
  const target = Buffer.allocUnsafe(fieldBytes(bytes.length))
  target.set(bytes, writeHead(target, 0, tagOf(number), bytes.length))
  return target
}

/** Throws a `RangeError` where the message ends too early. */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('a protobuf message ends too early')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  const take = (length: number): Uint8Array => {
    at += length
    if (at > message.length) throw new RangeError('a protobuf message ends too early')
    return message.subarray(at - length, at)
  }
  const none = new Uint8Array(0)
  while (at < message.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    const type = tag % 8
    if (type === VARINT) yield { number, value: varint(), bytes: none }
    else if (type === BYTES) yield { number, value: 0, bytes: take(varint()) }
    else if (type === FIXED_64 || type === FIXED_32) {
      take(type === FIXED_64 ? 8 : 4)
      yield { number, value: 0, bytes: none }
    } else throw new RangeError(`a protobuf message has a field of type ${type}`)
  }
}

/**
 * The messages of Arrow IPC files and streams, found without reading their bodies.
 * Source: https://arrow.apache.org/docs/format/Columnar.html, "Serialization and Interprocess Communication (IPC)".
 */

import { Message, type Schema } from 'apache-arrow'
import { type FileBlock, Footer } from 'apache-arrow/ipc/metadata/file'
import { messageOf } from '../core/errors.ts'
import type { FileBytes } from './file-bytes.ts'
import { corrupt } from './file-errors.ts'
import type { PlannedChunk } from './read-plan.ts'

export interface ArrowMessage {
  readonly message: Message
  /** The message as it lies in the file, up to its body. */
  readonly head: Uint8Array
  readonly bodyBytes: number
  body(): Promise<Uint8Array>
}

/** The schema first, then dictionaries and record batches; of a file all dictionaries before the first record batch. */
export function arrowMessages(chunk: PlannedChunk, file: FileBytes): AsyncGenerator<ArrowMessage> {
  return (chunk.format === 'arrow-file' ? fileMessages : streamMessages)(chunk.name, inFewReads(file))
}

async function* streamMessages(name: string, file: FileBytes): AsyncGenerator<ArrowMessage> {
  let at = 0
  while (at < file.size) {
    file.ahead?.([{ start: at, end: file.size }])
    const found = await messageAt(name, file, at)
    if (!found) break
    if (at === 0 && !found.message.isSchema()) throw corrupt(name, 'does not begin with a schema')
    yield found
    at = found.end
  }
  if (at === 0) throw corrupt(name, 'holds no Arrow IPC stream')
  if (at + PREFIX_BYTES < file.size)
    throw corrupt(name, `is an Arrow IPC stream that ends at byte ${at} of ${file.size}`)
}

/**
 * By the footer, and not one behind the other as in a stream: a file may have its dictionaries anywhere, and some writers
 * (apache-arrow is one) put the schema into the footer alone.
 */
async function* fileMessages(name: string, file: FileBytes): AsyncGenerator<ArrowMessage> {
  const { schema, blocks } = await readFooter(name, file)
  const nothing = new Uint8Array(0)
  yield { message: Message.from(schema), head: nothing, bodyBytes: 0, body: async () => nothing }
  for (const { offset } of blocks) {
    file.ahead?.([{ start: offset, end: file.size }])
    const found = await messageAt(name, file, offset)
    if (!found) throw corrupt(name, `has no message at byte ${offset}`)
    yield found
  }
}

/** The continuation marker and the length of a message's metadata; with a length of 0, the end of a stream. */
const PREFIX_BYTES = 8
const MAGIC = 'ARROW1'
/** The magic, padded. */
const FILE_HEAD_BYTES = 8
/** The length of the footer, and the magic again. */
const FILE_TAIL_BYTES = 10

async function readFooter(name: string, file: FileBytes): Promise<{ schema: Schema; blocks: FileBlock[] }> {
  const end = file.size - FILE_TAIL_BYTES
  if (end < FILE_HEAD_BYTES) throw corrupt(name, 'is too short for an Arrow IPC file')
  const tail = Buffer.from(await file.read(end, file.size))
  if (tail.toString('latin1', 4) !== MAGIC) throw corrupt(name, 'does not end as an Arrow IPC file does')
  const bytes = await file.read(end - tail.readInt32LE(), end)
  return decoding(name, () => {
    const footer = Footer.decode(bytes)
    return { schema: footer.schema, blocks: [...footer.dictionaryBatches(), ...footer.recordBatches()] }
  })
}

/** Undefined at the end of a stream. */
async function messageAt(
  name: string,
  file: FileBytes,
  start: number,
): Promise<(ArrowMessage & { end: number }) | undefined> {
  const prefix = Buffer.from(await file.read(start, Math.min(start + PREFIX_BYTES, file.size)))
  const { prefixBytes, headBytes } = decoding(name, () => {
    // files from before Arrow 0.15 have no continuation marker
    const prefixBytes = prefix.readInt32LE() === -1 ? PREFIX_BYTES : 4
    return { prefixBytes, headBytes: prefix.readInt32LE(prefixBytes - 4) }
  })
  if (headBytes === 0) return undefined
  const bodyStart = start + prefixBytes + headBytes
  const head = await file.read(start, bodyStart)
  const message = decoding(name, () => Message.decode(head.subarray(prefixBytes)))
  const { bodyLength: bodyBytes } = message
  const end = bodyStart + bodyBytes
  if (!(bodyBytes >= 0 && end <= file.size)) throw corrupt(name, `has a message of ${bodyBytes} bytes at byte ${start}`)
  return { message, head, bodyBytes, end, body: () => file.read(bodyStart, end) }
}

/** apache-arrow does not check what it decodes; whatever it stumbles over is damage. */
export function decoding<T>(name: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    const reason = messageOf(error)
    throw corrupt(name, `is no Arrow IPC data that can be decoded (${reason})`, error)
  }
}

/** Far more than the head of a message; little beside a body. */
const AHEAD_BYTES = 16_384

/** Reads a little further where little is read, so that the small pieces of a message cost one read and not three. */
function inFewReads(file: FileBytes): FileBytes {
  let ahead: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  let from = 0
  return {
    size: file.size,
    async read(start, end) {
      if (start < from || end > from + ahead.length) {
        if (end - start >= AHEAD_BYTES) return file.read(start, end)
        ahead = await file.read(start, Math.max(end, Math.min(start + AHEAD_BYTES, file.size)))
        from = start
      }
      return ahead.subarray(start - from, end - from)
    },
    ...(file.ahead ? { ahead: ranges => file.ahead!(ranges) } : {}),
    close: () => file.close(),
  }
}

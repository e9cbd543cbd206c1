/** Reads the files of a job back: those of the delivery, in the order of their units, a piece of a file at a time. */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import type { DeliveredJob, HeldRow, ReadBack } from '../sink.ts'
import { filePrefix, readName } from './names.ts'

const PIECE_BYTES = 256 << 10
const LINE_FEED = 0x0a

export async function* readFilesBack(dir: string, job: DeliveredJob, signal: AbortSignal): AsyncGenerator<ReadBack> {
  for (const file of await filesOf(dir, filePrefix(job))) {
    for await (const rows of readRows(file, signal)) yield { unit: file.unit, rows }
  }
}

interface File extends NonNullable<ReturnType<typeof readName>> {
  readonly path: string
}

async function filesOf(dir: string, prefix: string): Promise<readonly File[]> {
  const names = await readdir(dir).catch(cause => {
    throw unreadable(dir, cause)
  })
  return names
    .filter(name => name.startsWith(prefix))
    .flatMap(name => {
      const known = readName(name.slice(prefix.length))
      return known ? [{ ...known, path: join(dir, name) }] : []
    })
    .sort((a, b) => a.unit - b.unit || (a.path < b.path ? -1 : 1))
}

async function* readRows(file: File, signal: AbortSignal): AsyncGenerator<readonly HeldRow[]> {
  let begun: readonly Buffer[] = []
  try {
    for await (const piece of openFile(file, signal) as AsyncIterable<Buffer>) {
      const end = piece.lastIndexOf(LINE_FEED) + 1
      if (end > 0) yield linesOf(Buffer.concat([...begun, piece.subarray(0, end)]))
      begun = end > 0 ? [piece.subarray(end)] : [...begun, piece]
    }
  } catch (error) {
    signal.throwIfAborted()
    throw unreadable(file.path, error)
  }
  const rest = Buffer.concat(begun)
  if (rest.length > 0) yield [rowOf(rest)]
}

function openFile({ path, compression }: File, signal: AbortSignal): Readable {
  const file = createReadStream(path, { highWaterMark: PIECE_BYTES, signal })
  if (compression === 'none') return file
  const decompress = compression === 'gzip' ? createGunzip : createZstdDecompress
  // an error of the file ends the other stream with it
  return pipeline(file, decompress({ chunkSize: PIECE_BYTES }), () => {})
}

/** `text` ends with a line feed. */
function linesOf(text: Buffer): HeldRow[] {
  const rows: HeldRow[] = []
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf(LINE_FEED, start)
    rows.push(rowOf(text.subarray(start, end)))
    start = end + 1
  }
  return rows
}

function rowOf(payload: Uint8Array): HeldRow {
  return { payload, key: null, id: null, proven: true }
}

function unreadable(path: string, cause: unknown): DeliveryError {
  const reason = messageOf(cause)
  return new DeliveryError(`cannot read ${path}: ${reason}`, { code: 'destination_misconfigured', cause })
}

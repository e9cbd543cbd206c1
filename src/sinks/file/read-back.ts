/** Reads the files of a job back: those of the delivery, in the order of their units, a piece of a file at a time. */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import type { DeliveredJob, HeldRow, ReadBack } from '../sink.ts'
import { filePrefix } from './names.ts'

const PIECE_BYTES = 256 << 10
const LINE_FEED = 0x0a
const NAME = /^(\d{6,})(?:_\d{10,})?\.jsonl$/

export async function* readFilesBack(dir: string, job: DeliveredJob, signal: AbortSignal): AsyncGenerator<ReadBack> {
  for (const { name, unit } of await filesOf(dir, filePrefix(job))) {
    for await (const rows of readRows(join(dir, name), signal)) yield { unit, rows }
  }
}

async function filesOf(dir: string, prefix: string): Promise<readonly { name: string; unit: number }[]> {
  const names = await readdir(dir).catch(cause => {
    throw unreadable(dir, cause)
  })
  return names
    .filter(name => name.startsWith(prefix))
    .flatMap(name => {
      const [, number] = NAME.exec(name.slice(prefix.length)) ?? []
      return number === undefined ? [] : [{ name, unit: Number(number) }]
    })
    .sort((a, b) => a.unit - b.unit || (a.name < b.name ? -1 : 1))
}

async function* readRows(path: string, signal: AbortSignal): AsyncGenerator<readonly HeldRow[]> {
  let begun: readonly Buffer[] = []
  try {
    for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES, signal }) as AsyncIterable<Buffer>) {
      const end = piece.lastIndexOf(LINE_FEED) + 1
      if (end > 0) yield linesOf(Buffer.concat([...begun, piece.subarray(0, end)]))
      begun = end > 0 ? [piece.subarray(end)] : [...begun, piece]
    }
  } catch (error) {
    signal.throwIfAborted()
    throw unreadable(path, error)
  }
  const rest = Buffer.concat(begun)
  if (rest.length > 0) yield [rowOf(rest)]
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

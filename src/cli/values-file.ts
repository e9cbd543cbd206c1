import { open } from 'node:fs/promises'
import type { Engine } from '../core/engine.ts'
import { RequestError } from '../core/errors.ts'
import type { BackfillRequest } from '../core/request.ts'

/** Up to this many values go into the request itself; more are stored as a value set. */
const INLINE = 10_000

type Filter = NonNullable<BackfillRequest['filter']>

/**
 * The filter `column IN (lines of the file)`. One value per line, taken as it is; blank lines do not count. A long file is
 * streamed into a value set, so that its size does not matter.
 */
export async function filterFromFile(column: string, path: string, engine: Pick<Engine, 'putValues'>): Promise<Filter> {
  const pieces = readValues(path)
  const first = await pieces.next()
  if (first.done) throw new RequestError([{ path: '--filter-file', message: `${path} holds no values` }])
  const second = await pieces.next()
  if (second.done) return { column, values: [...first.value] }
  const { ref } = await engine.putValues(chain([first.value, second.value], pieces))
  return { column, values_ref: ref }
}

async function* chain<T>(first: Iterable<T>, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield* first
  yield* rest
}

async function* readValues(path: string): AsyncGenerator<readonly string[]> {
  const file = await open(path)
  try {
    let piece: string[] = []
    let first = true
    for await (const text of file.readLines({ encoding: 'utf8', autoClose: false })) {
      const line = first ? text.replace(/^\ufeff/, '') : text
      first = false
      if (line.trim() === '') continue
      piece.push(line)
      if (piece.length === INLINE) {
        yield piece
        piece = []
      }
    }
    if (piece.length > 0) yield piece
  } finally {
    await file.close()
  }
}

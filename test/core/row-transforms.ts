/** Transforms that lanes import for the tests. */

interface NumberRow {
  readonly id: bigint
  readonly word: string
}

/** Leaves out every third row, refuses 7 and 8, and returns something that is no row for 10. */
export function pick({ id, word }: NumberRow): unknown {
  if (id % 3n === 0n) return null
  if (id === 7n || id === 8n) throw new RangeError('seven and eight are not wanted')
  if (id === 10n) return undefined
  return { word: word.toUpperCase(), big: id + 2n ** 60n, nested: { id, list: [id] }, gone: undefined }
}

export function keep(row: unknown): unknown {
  return row
}

export async function late(row: unknown): Promise<unknown> {
  return row
}

export const notAFunction = 1

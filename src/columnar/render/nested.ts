/** Lists, structs, maps, unions and dictionaries: columns made of the columns inside them. */
import type { Data, Union } from 'apache-arrow'
import { FormatError } from '../../core/errors.ts'
import type { ColumnRenderer } from '../render.ts'
import { offsetsOf } from './buffers.ts'

type Render = (row: number) => string

/** `items`: of all rows; row i has those from offset i to offset i + 1. */
export function listText(data: Data, items: ColumnRenderer): Render {
  const offsets = offsetsOf(data)
  return row => joined('[', offsets[row]!, offsets[row + 1]!, item => items.json(item), ']')
}

export function fixedListText(data: Data, items: ColumnRenderer): Render {
  const size = data.stride
  return row => joined('[', row * size, (row + 1) * size, item => items.json(item), ']')
}

/** Also a whole row: a record batch is a struct. apache-arrow's IPC readers have null for an empty name. */
export function objectText(fields: readonly { name: string | null }[], columns: readonly ColumnRenderer[]): Render {
  const leads = fields.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name ?? '')}:`)
  if (columns.length === 0) return () => '{}'
  return row => {
    let text = ''
    for (let i = 0; i < columns.length; i++) text += leads[i]! + columns[i]!.json(row)
    return `${text}}`
  }
}

/** A JSON object; repeated keys are kept. Arrow does not allow a NULL as a key, and there is no JSON for it. */
export function stringMapText(column: string, data: Data, keys: ColumnRenderer, values: ColumnRenderer): Render {
  const offsets = offsetsOf(data)
  const entry = (at: number): string => {
    const key = keys.json(at)
    if (key === 'null')
      throw new FormatError(
        'file_corrupt',
        `column ${JSON.stringify(column)}: a key of a map is NULL; stage the file again`,
      )
    return `${key}:${values.json(at)}`
  }
  return row => joined('{', offsets[row]!, offsets[row + 1]!, entry, '}')
}

/** Keys that are not strings: an array of `[key, value]`. */
export function pairMapText(data: Data, keys: ColumnRenderer, values: ColumnRenderer): Render {
  const offsets = offsetsOf(data)
  const pair = (at: number): string => `[${keys.json(at)},${values.json(at)}]`
  return row => joined('[', offsets[row]!, offsets[row + 1]!, pair, ']')
}

function joined(open: string, start: number, end: number, item: Render, close: string): string {
  let text = open
  for (let at = start; at < end; at++) text += at === start ? item(at) : `,${item(at)}`
  return text + close
}

/** The value of the member that the row names; which member that was is not told. */
export function unionColumn(data: Data, type: Union, members: readonly ColumnRenderer[]): ColumnRenderer {
  const typeIds: Int8Array = data.typeIds
  const valueOffsets: Int32Array | undefined = data.valueOffsets
  const member = (row: number): ColumnRenderer => members[type.typeIdToChildIndex[typeIds[row]!]!]!
  const at = (row: number): number => (valueOffsets ? valueOffsets[row]! : row)
  return { json: row => member(row).json(at(row)), text: row => member(row).text(at(row)) }
}

/**
 * `parts`: the renderers of the dictionary's pieces, which follow one another (Arrow IPC can append to a dictionary). What a
 * value looks like is remembered: few values for many rows is what dictionaries are for.
 */
export function dictionaryColumn(data: Data, parts: readonly ColumnRenderer[]): ColumnRenderer {
  const values: ArrayLike<number | bigint> = data.values
  const pieces = data.dictionary?.data ?? []
  const known: (string | undefined)[] = []
  const find = (index: number): { part: ColumnRenderer; at: number } => {
    let piece = 0
    for (; index >= pieces[piece]!.length; piece++) index -= pieces[piece]!.length
    return { part: parts[piece]!, at: index }
  }
  return {
    json(row) {
      const index = Number(values[row])
      let text = known[index]
      if (text === undefined) {
        const { part, at } = find(index)
        text = known[index] = part.json(at)
      }
      return text
    },
    text(row) {
      const { part, at } = find(Number(values[row]))
      return part.text(at)
    },
  }
}

/**
 * The members of a row that is JSON text already. They are found in the text rather than by `JSON.parse`, which loses digits of
 * long numbers and the order of keys. Only for text that millrace wrote: nothing is checked.
 */
import { MillraceError } from '../core/errors.ts'

/** The value of a column as `ColumnRenderer.text` has it: its JSON form without quotes, null for `null` and where there is none. */
export function memberText(row: string, column: string): string | null {
  for (const [name, json] of members(row)) if (name === column) return textOf(json)
  return null
}

/** The JSON of each member's value, by name. */
export function membersOf(row: string): ReadonlyMap<string, string> {
  return new Map(members(row))
}

function* members(row: string): Generator<readonly [name: string, json: string]> {
  for (let at = 1; row[at] !== '}'; ) {
    const nameEnd = stringEnd(row, at)
    const valueEnd = endOfValue(row, nameEnd + 1)
    yield [JSON.parse(row.slice(at, nameEnd)), row.slice(nameEnd + 1, valueEnd)]
    at = row[valueEnd] === ',' ? valueEnd + 1 : valueEnd
  }
}

function textOf(json: string): string | null {
  if (json === 'null') return null
  return json.startsWith('"') ? JSON.parse(json) : json
}

/** Behind the value that begins at `from`. */
function endOfValue(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const char = text[at]!
    if (char === '"') at = stringEnd(text, at) - 1
    else if (char === '{' || char === '[') depth++
    else if ((char === '}' || char === ']' || char === ',') && depth === 0) return at
    else if (char === '}' || char === ']') depth--
  }
  throw brokenRow()
}

/** Behind the closing quote of the string that begins at `from`. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; ; ) {
    const quote = text.indexOf('"', at)
    if (quote < 0) throw brokenRow()
    let backslashes = 0
    while (text[quote - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return quote + 1
    at = quote + 1
  }
}

function brokenRow(): MillraceError {
  return new MillraceError('internal', 'a row ends inside of a value')
}

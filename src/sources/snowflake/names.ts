/** Snowflake's rules for names: unquoted ones are stored in capitals, quoted ones as they are written. */
import { ConfigError } from '../../core/errors.ts'

const PART = /^(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_$]*))/

/** The parts of `table`, `schema.table` or `database.schema.table` as Snowflake stores them, and what follows. Throws a `ConfigError`. */
export function readNames(text: string): { readonly parts: readonly string[]; readonly rest: string } {
  const parts: string[] = []
  let rest = text
  for (;;) {
    const [matched, quoted, plain] = PART.exec(rest) ?? []
    if (matched === undefined)
      throw new ConfigError(`${JSON.stringify(text)} is not a name: put parts with other characters in double quotes`)
    parts.push(quoted === undefined ? plain!.toUpperCase() : quoted.replaceAll('""', '"'))
    rest = rest.slice(matched.length)
    if (!rest.startsWith('.')) break
    rest = rest.slice(1)
  }
  if (parts.length > 3) throw new ConfigError(`${JSON.stringify(text)} has more parts than database.schema.name`)
  return { parts, rest }
}

export function readRelation(text: string): readonly string[] {
  const { parts, rest } = readNames(text)
  if (rest !== '')
    throw new ConfigError(`${JSON.stringify(text)} is not a name: put parts with other characters in double quotes`)
  return parts
}

/** Throws a `ConfigError` for a name that is empty or has a NUL character. */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0')) throw new ConfigError('a name is empty or has a NUL character')
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteNames(parts: readonly string[]): string {
  return parts.map(quoteIdentifier).join('.')
}

/**
 * What a stored column is called outside. Names that were made without quotes are stored in capitals, which nobody wants in
 * JSON: they become small, unless another column is called that already.
 */
export function deliveredNames(stored: readonly string[], keep: boolean): ReadonlyMap<string, string> {
  const taken = new Set(stored)
  return new Map(
    stored.map(name => {
      const small = name.toLowerCase()
      const plain = /^[A-Z_][A-Z0-9_$]*$/.test(name)
      return [name, keep || !plain || taken.has(small) ? name : small]
    }),
  )
}

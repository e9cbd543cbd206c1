/** Snowflake's SQL as DuckDB's, with Snowflake's rules for names, which DuckDB does not have. */
import { quoteIdentifier, quoteLiteral } from '../../../src/sources/sql.ts'
import { invalidIdentifier, missingObject, Refusal } from './errors.ts'
import { type Token, tokensOf } from './tokens.ts'
import type { Table } from './warehouse.ts'

export interface Names {
  /** A table by its parts as stored; throws a refusal. Columns undefined: not checked. */
  table(parts: readonly string[]): Pick<Table, 'relation'> & Partial<Pick<Table, 'columns'>>
}

const MOST_LISTED = 16_384

/** `binds`: for the question marks, in order. */
export function toDuckdb(sql: string, names: Names, binds: readonly (string | null)[] = []): string {
  const flattened = sql.replace(
    /TABLE\(FLATTEN\(INPUT => PARSE_JSON\((\?|'(?:[^'\\]|''|\\.)*')\)\)\)/g,
    `(SELECT unnest(from_json($1, '["VARCHAR"]')) AS VALUE)`,
  )
  const tokens = tokensOf(flattened)
  checkLists(tokens)
  const aliases = aliasesOf(tokens, names)
  const out: string[] = []
  let bind = 0
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    const reference = referenceAt(tokens, at)
    if (reference && isTablePlace(tokens, at)) {
      out.push(names.table(reference.parts).relation)
      at = reference.end - 1
    } else if (reference && reference.parts.length === 2 && aliases.has(reference.parts[0]!)) {
      const [alias, column] = reference.parts as [string, string]
      const columns = aliases.get(alias)
      if (columns && !columns.some(({ name }) => name === column)) throw invalidIdentifier(`${alias}."${column}"`)
      out.push(`${alias}.${quoteIdentifier(column)}`)
      at = reference.end - 1
    } else if (token.kind === 'mark' && token.value === '?') {
      const value = binds[bind++]
      out.push(value === null || value === undefined ? 'NULL' : quoteLiteral(value))
    } else out.push(written(token))
  }
  return out
    .join('')
    .replaceAll(/::TIMESTAMP_NTZ\(\d\)/g, '::TIMESTAMP')
    .replaceAll('::VARIANT', '::JSON')
    .replaceAll('::ARRAY', '')
    .replaceAll(/TO_NUMBER\(([^(),]+), (\d+), (\d+)\)/g, 'CAST($1 AS DECIMAL($2, $3))')
}

function written({ kind, value }: Token): string {
  if (kind === 'text') return quoteLiteral(value)
  return kind === 'quoted' ? quoteIdentifier(value) : value
}

interface Reference {
  readonly parts: readonly string[]
  readonly end: number
}

/** `a.b."c"` from here on; unquoted parts in capitals, as Snowflake takes them. */
function referenceAt(tokens: readonly Token[], start: number): Reference | undefined {
  const parts: string[] = []
  for (let at = start; ; at += 2) {
    const token = tokens[at]
    if (token?.kind !== 'quoted' && token?.kind !== 'word') return undefined
    parts.push(token.kind === 'word' ? token.value.toUpperCase() : token.value)
    const next = tokens[at + 1]
    if (next?.kind !== 'mark' || next.value !== '.') return { parts, end: at + 1 }
  }
}

/** Behind FROM and INTO stands a table. */
function isTablePlace(tokens: readonly Token[], at: number): boolean {
  const before = tokens.slice(0, at).findLast(({ kind }) => kind !== 'space')
  return before?.kind === 'word' && /^(FROM|INTO)$/i.test(before.value)
}

function aliasesOf(tokens: readonly Token[], names: Names): Map<string, Table['columns'] | undefined> {
  const aliases = new Map<string, Table['columns'] | undefined>()
  tokens.forEach((_, at) => {
    if (!isTablePlace(tokens, at)) return
    const table = referenceAt(tokens, at)
    if (!table) return
    const rest = tokens.slice(table.end).filter(({ kind }) => kind !== 'space')
    if (rest[0]?.value === 'AS' && rest[1]) aliases.set(rest[1].value.toUpperCase(), names.table(table.parts).columns)
  })
  return aliases
}

function checkLists(tokens: readonly Token[]): void {
  for (let at = 0; at < tokens.length; at++) {
    if (tokens[at]!.value !== 'IN') continue
    let depth = 0
    let count = 0
    for (const { kind, value } of tokens.slice(at + 1)) {
      if (kind === 'mark' && value === '(') depth++
      if (kind === 'mark' && value === ')' && --depth === 0) break
      if (kind === 'mark' && value === ',' && depth === 1) count++
    }
    if (count + 1 > MOST_LISTED)
      throw new Refusal(
        '001795',
        '42601',
        `SQL compilation error: error line 1 at position 0\nmaximum number of expressions in a list exceeded, expected at most 16,384, got ${count + 1}`,
      )
  }
}

export function requireTable(table: Table | undefined, parts: readonly string[]): Table {
  if (!table)
    throw missingObject('Object', parts.map(part => (/^[A-Z_0-9$]+$/.test(part) ? part : `"${part}"`)).join('.'))
  return table
}

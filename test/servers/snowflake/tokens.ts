/** Snowflake's SQL in pieces, as far as the source writes it. */
import { syntaxError } from './errors.ts'

export interface Token {
  readonly kind: 'text' | 'quoted' | 'word' | 'number' | 'mark' | 'space'
  /** Of a text or a quoted name: what it stands for. */
  readonly value: string
}

const PATTERNS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['space', /^(?:\s+|\/\*[\s\S]*?\*\/)/],
  ['text', /^'(?:[^'\\]|''|\\[\s\S])*'/],
  ['quoted', /^"(?:[^"]|"")+"/],
  ['number', /^\d+(?:\.\d+)?/],
  ['word', /^[A-Za-z_][A-Za-z0-9_$]*/],
  ['mark', /^(?:::|\|\||=>|<=|>=|<>|[\s\S])/],
]

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = []
  for (let rest = sql; rest !== ''; ) {
    const found = PATTERNS.map(([kind, pattern]) => ({ kind, text: pattern.exec(rest)?.[0] })).find(({ text }) => text)
    if (!found?.text) throw syntaxError(rest.slice(0, 10))
    tokens.push({ kind: found.kind, value: meaningOf(found.kind, found.text) })
    rest = rest.slice(found.text.length)
  }
  return tokens
}

function meaningOf(kind: Token['kind'], text: string): string {
  if (kind === 'quoted') return text.slice(1, -1).replaceAll('""', '"')
  if (kind !== 'text') return kind === 'space' ? ' ' : text
  return text.slice(1, -1).replace(/''|\\([\s\S])/g, (_, escaped?: string) => {
    if (escaped === undefined) return "'"
    return { '0': '\0', n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }[escaped] ?? escaped
  })
}

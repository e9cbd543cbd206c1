/** Subjects made of columns, and which subjects a pattern takes (https://docs.nats.io/nats-concepts/subjects). */
import type { TextColumn } from '../sink.ts'

export interface SubjectTemplate {
  /** As it was given. */
  readonly text: string
  /** Before, between and behind the columns: one more than these. */
  readonly literals: readonly string[]
  readonly columns: readonly string[]
  /** With `*` for each token that holds a column: what a stream has to take. */
  readonly pattern: string
}

/** Why a row has no subject. */
export interface Refusal {
  readonly refusal: string
}

/** A server closes a connection over whose control line is longer than 4,096 bytes, with the subject of the answer and two lengths. */
const MOST_SUBJECT_BYTES = 2_048

const UNFIT = /[\s\p{Cc}.*>]/u
const ESCAPED = /[\s\p{Cc}.*>%]/gu

/** Undefined where it is none. */
export function parseSubject(text: string): SubjectTemplate | undefined {
  const parts = text.split(/\{([^{}]+)\}/)
  const literals = parts.filter((_, index) => index % 2 === 0)
  const columns = parts.filter((_, index) => index % 2 === 1)
  if (literals.some(literal => /[\s\p{Cc}*>{}]/u.test(literal))) return undefined
  const tokens = literals.join('*').split('.')
  // a row's value must not lead to the server's own subjects: no stream that acknowledges may take them
  if (tokens[0]!.includes('*') || tokens.includes('') || Buffer.byteLength(text) > MOST_SUBJECT_BYTES) return undefined
  return { text, literals, columns, pattern: tokens.map(token => (token.includes('*') ? '*' : token)).join('.') }
}

/** The subject of each row, by position in its batch. `columns`: those of the template. */
export function subjectsOf(
  { text, literals, columns: names }: SubjectTemplate,
  columns: Readonly<Record<string, TextColumn>> | undefined,
  values: 'refuse' | 'escape',
): (row: number) => string | Refusal {
  if (names.length === 0) return () => text
  const texts = names.map(name => textOf(columns![name]!))
  return row => {
    let subject = literals[0]!
    for (const [index, name] of names.entries()) {
      const value = texts[index]!(row)
      const refusal = refusalOf(value, values)
      if (refusal !== undefined) return { refusal: `column "${name}" ${refusal}, and stands in the subject ${text}` }
      subject += (values === 'escape' ? escapeValue(value!) : value!) + literals[index + 1]!
    }
    if (Buffer.byteLength(subject) <= MOST_SUBJECT_BYTES) return subject
    return { refusal: `the subject ${text} would be longer than ${MOST_SUBJECT_BYTES} bytes` }
  }
}

function refusalOf(value: string | null, values: 'refuse' | 'escape'): string | undefined {
  if (value === null) return 'is NULL'
  if (value === '') return 'is empty'
  if (values === 'refuse' && UNFIT.test(value)) return 'holds white space, a control character, ".", "*" or ">"'
  return undefined
}

function escapeValue(value: string): string {
  return value.replace(ESCAPED, character => Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '%$&'))
}

/** Value by value, as strings. */
export function textOf({ bytes, ends, nulls }: TextColumn): (index: number) => string | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return index => (nulls[index] === 1 ? null : buffer.toString('utf8', ends[index - 1] ?? 0, ends[index]))
}

/** Whether every subject that `inner` takes is one that `outer` takes. Both may hold `*` and end in `>`. */
export function covers(outer: string, inner: string): boolean {
  const [wide, narrow] = [outer.split('.'), inner.split('.')]
  for (const [index, token] of wide.entries()) {
    if (token === '>') return narrow.length > index
    const other = narrow[index]
    if (other === undefined || other === '>' || (token !== '*' && token !== other)) return false
  }
  return wide.length === narrow.length
}

/** Whether there is a subject that both take. */
export function overlaps(one: string, other: string): boolean {
  const [left, right] = [one.split('.'), other.split('.')]
  for (let index = 0; ; index++) {
    const [a, b] = [left[index], right[index]]
    if (a === undefined || b === undefined) return a === b
    if (a === '>' || b === '>') return true
    if (a !== b && a !== '*' && b !== '*') return false
  }
}

/** What a sink's destination holds, compared with what it was sent. */
import assert from 'node:assert/strict'
import type { TestRow } from './sink-driver.ts'

export function assertSameRows(
  actual: readonly string[],
  rows: readonly TestRow[],
  how: 'once' | 'at least once',
): void {
  const { missing, unexpected } = difference(how === 'once' ? actual : [...new Set(actual)], rows)
  const example = (texts: readonly string[]) => (texts.length > 0 ? `, such as ${texts[0]!.slice(0, 200)}` : '')
  assert.ok(
    missing.length === 0 && unexpected.length === 0,
    `of ${rows.length} rows ${missing.length} did not arrive${example(missing)}; ` +
      `${unexpected.length} arrived that should not have, or twice${example(unexpected)}`,
  )
}

/** Rows may be missing, and may have come twice. */
export function assertOnlyRows(actual: readonly string[], rows: readonly TestRow[]): void {
  const { unexpected } = difference([...new Set(actual)], rows)
  assert.deepEqual(unexpected, [], 'rows arrived that were never sent')
}

/** `actual`: in the order of arrival. What was sent again counts where it came first: a row must not overtake one of its key. */
export function assertKeyOrder(actual: readonly string[], rows: readonly TestRow[]): void {
  const places = new Map(rows.map(row => [row.json, row]))
  const last = new Map<string, number>()
  for (const text of new Set(actual)) {
    const row = places.get(text)
    const key = row?.columns['key']
    if (!row || typeof key !== 'string') continue
    const before = last.get(key) ?? -1
    assert.ok(before < row.id, `of key ${key} row ${before} arrived before row ${row.id}`)
    last.set(key, row.id)
  }
}

function difference(actual: readonly string[], rows: readonly TestRow[]): { missing: string[]; unexpected: string[] } {
  const left = new Map<string, number>()
  for (const { json } of rows) left.set(json, (left.get(json) ?? 0) + 1)
  const unexpected = actual.filter(text => {
    const count = left.get(text) ?? 0
    left.set(text, count - 1)
    return count <= 0
  })
  return { missing: [...left].filter(([, count]) => count > 0).map(([text]) => text), unexpected }
}

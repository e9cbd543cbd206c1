/** Files in the order of a column, by the bounds in their footers. */
import { SourceError } from '../../core/errors.ts'
import type { StagedFile } from '../source.ts'
import type { Selected } from './table.ts'

/** `sortedBy`: the column in whose order the rows of each file lie. Throws a `SourceError` where an order cannot be had. */
export function orderFiles(
  selected: readonly Selected[],
  column: string,
  sortedBy: string | undefined,
): readonly StagedFile[] {
  if (sortedBy !== column) {
    const problem = `the order of the rows by ${column} was asked for, and files are not sorted here`
    throw refused(`${problem}: if each file is sorted by it, say so by the table's \`sortedBy\``)
  }
  const bounded = selected.map(({ file, range }) => {
    if (!range || range.values === 'none') throw refused(`the file ${quoted(file)} has no bounds of ${column}`)
    return { file, ...range.values }
  })
  bounded.sort((one, other) => Buffer.compare(one.min, other.min) || Buffer.compare(one.max, other.max))
  for (const [index, { file, min }] of bounded.entries()) {
    const before = bounded[index - 1]
    if (before && Buffer.compare(before.max, min) > 0)
      throw refused(`the files ${quoted(before.file)} and ${quoted(file)} overlap in ${column}, so they have no order`)
  }
  return bounded.map(({ file }) => file)
}

function quoted({ name }: StagedFile): string {
  return JSON.stringify(name)
}

function refused(message: string): SourceError {
  return new SourceError(message, { retryable: false })
}

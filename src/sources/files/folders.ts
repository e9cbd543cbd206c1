/** Partition folders as Hive has them, `year=2001/month=01/`: each is a column that has one value for all rows of its files. */
import { readDate } from '../../columnar/calendar.ts'
import type { Column, ColumnType } from '../../columnar/column-type.ts'
import { textOf } from '../../columnar/file-columns.ts'
import { readLiteral } from '../../columnar/literal.ts'
import { SourceError } from '../../core/errors.ts'

export type FolderType = 'string' | 'integer' | 'date'

/** By column, as the folder has it; null for a missing value. */
export type FolderValues = Readonly<Record<string, string | null>>

/** Hive's name for NULL. */
const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__'

export function folderValues(name: string): FolderValues {
  const folders = name.split('/').slice(0, -1)
  return Object.fromEntries(
    folders.flatMap(folder => {
      const at = folder.indexOf('=')
      if (at <= 0) return []
      const value = decoded(folder.slice(at + 1))
      return [[decoded(folder.slice(0, at)), value === NULL_FOLDER || value === '' ? null : value]]
    }),
  )
}

/**
 * The columns of all folders, in the order in which they come. Where nothing else is said, one whose values are all plain
 * integers is of integers, of dates likewise, and all others are of strings: `01` would not come back as it was.
 */
export function folderColumns(
  files: readonly FolderValues[],
  types: Readonly<Record<string, FolderType>>,
): readonly Column[] {
  const values = new Map<string, Set<string>>()
  for (const file of files) {
    for (const [name, value] of Object.entries(file)) {
      const known = values.get(name) ?? new Set()
      values.set(name, known)
      if (value !== null) known.add(value)
    }
  }
  return [...values].map(([name, found]) => {
    const type = TYPES[Object.hasOwn(types, name) ? types[name]! : inferredType([...found])]
    return { name, type, native: textOf(type), nullable: true }
  })
}

const TYPES: Readonly<Record<FolderType, ColumnType>> = {
  string: { kind: 'string' },
  integer: { kind: 'integer', bits: 64, signed: true },
  date: { kind: 'date' },
}

function inferredType(values: readonly string[]): FolderType {
  if (values.length === 0) return 'string'
  if (values.every(value => /^(0|-?[1-9]\d{0,17})$/.test(value))) return 'integer'
  return values.every(value => readDate(value) !== undefined) ? 'date' : 'string'
}

/** As canonical text of the columns' types; NULL where the file has no such folder. `file`: its name, for errors. */
export function canonicalValues(file: string, values: FolderValues, columns: readonly Column[]): FolderValues {
  return Object.fromEntries(
    columns.map(({ name, type, native }) => {
      const value = Object.hasOwn(values, name) ? values[name]! : null
      const literal = value === null ? null : readLiteral(value, type)
      if (literal !== null && typeof literal === 'object') {
        const problem = `the folder ${JSON.stringify(name)} of the file ${JSON.stringify(file)} ${literal.problem}`
        throw new SourceError(`${problem} (${name} is ${native}): name its type in the table's \`folders\``, {
          retryable: false,
        })
      }
      return [name, literal]
    }),
  )
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

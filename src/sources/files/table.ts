/** A table that is a set of files: which there are, what columns they have together, and which of them a request needs. */
import pLimit from 'p-limit'
import type { ByteSet } from '../../columnar/byte-set.ts'
import { NO_TYPE } from '../../columnar/file-columns.ts'
import { pruneBy } from '../../columnar/prune.ts'
import type { PlannedChunk } from '../../columnar/read-plan.ts'
import type { ColumnRange, Part } from '../../columnar/spans.ts'
import { changedType } from '../../columnar/table-columns.ts'
import { keyOf } from '../../columnar/value-keys.ts'
import { loadSet } from '../../columnar/value-sets.ts'
import { ConfigError } from '../../core/errors.ts'
import type { Column, StagedFile, StageFilter, StageRequest } from '../source.ts'
import { canonicalValues, type FolderValues, folderColumns, folderValues } from './folders.ts'
import { type Inspected, inspectFile } from './inspect.ts'
import type { TableSettings } from './options.ts'
import type { FoundFile } from './storage.ts'
import { placesOf, type Storages } from './storages.ts'

export interface TableFiles {
  readonly settings: TableSettings
  readonly storages: Storages
  readonly inspectFiles: number
  readonly inspected: InspectedFiles
}

/** By name and fingerprint: a table is described again when it is staged. */
export type InspectedFiles = Map<string, Inspected>

/** Sorted by name, each once. */
export async function listFiles(
  { settings, storages }: TableFiles,
  signal: AbortSignal,
): Promise<readonly FoundFile[]> {
  const found = new Map<string, FoundFile>()
  for (const place of placesOf(settings))
    for (const file of await storages.of(place).list(place, signal)) found.set(file.name, file)
  return [...found.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** The columns of all files together, in the order in which they come, and behind them those of the folders. */
export async function describeFiles(
  table: TableFiles,
  files: readonly FoundFile[],
  signal: AbortSignal,
): Promise<readonly Column[]> {
  const inspected = await inspectFiles(table, sample(files, table.inspectFiles), signal)
  const columns = new Map<string, Column>()
  for (const [{ name: file }, { columns: found }] of inspected) {
    const names = new Set<string>()
    for (const column of found) {
      const { name, native } = column
      if (names.has(name)) throw twice(file, name)
      names.add(name)
      const known = columns.get(name)
      if (!known || known.native === NO_TYPE) columns.set(name, { ...column, nullable: true })
      else if (native !== NO_TYPE && native !== known.native) throw changedType(file, name, native, known.native)
    }
  }
  return [...columns.values(), ...columnsOfFolders(table, files).filter(({ name }) => !columns.has(name))]
}

export interface Selected {
  readonly file: StagedFile
  /** Of the window's column. */
  readonly range: ColumnRange | undefined
}

/** The files that may have rows of the request, in the order of their names. */
export async function selectFiles(
  table: TableFiles,
  files: readonly FoundFile[],
  request: StageRequest,
  signal: AbortSignal,
): Promise<readonly Selected[]> {
  const { window, filter } = request
  const { columns } = request.schema
  const set = filter && (await inlineSet(filter))
  const excludes = pruneBy({ window, ...(filter && set ? { filter: { ...filter, values: filter.list } } : {}) }, set)
  const folders = columnsOfFolders(table, files).map(({ name }) => columns.find(column => column.name === name)!)
  const candidates = files.flatMap(file => {
    const values = canonicalValues(file.name, folderValues(file.name), folders)
    const range = (name: string): ColumnRange | undefined => folderRange(values, folders, name)
    return excludes(partOf(range)) ? [] : [{ file, values, range }]
  })
  const looked = sample(candidates, table.inspectFiles)
  const inspected = new Map(
    await inspectFiles(
      table,
      looked.map(({ file }) => file),
      signal,
    ),
  )
  return candidates.flatMap(({ file, values, range }) => {
    const found = inspected.get(file)
    if (found) checkColumns(file, found, columns)
    const own = new Set(found?.columns.map(({ name }) => name))
    const wholeRange = (name: string): ColumnRange | undefined =>
      own.has(name) ? found?.ranges.get(name) : (range(name) ?? missingRange(found, columns, name))
    if (found?.rows === 0 || excludes(partOf(wholeRange))) return []
    return [{ file: stagedFile(table, file, values, found), range: wholeRange(window.column) }]
  })
}

function stagedFile(
  { settings }: TableFiles,
  { name, bytes, fingerprint }: FoundFile,
  values: FolderValues,
  found: Inspected | undefined,
): StagedFile {
  return {
    name,
    bytes,
    ...(found?.rows === undefined ? {} : { rows: found.rows }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    format: settings.format ?? formatOf(name),
    ...(Object.keys(values).length > 0 ? { values } : {}),
  }
}

function formatOf(name: string): PlannedChunk['format'] {
  if (/\.(arrow|feather|ipc)$/.test(name)) return 'arrow-file'
  return name.endsWith('.arrows') ? 'arrow-stream' : 'parquet'
}

/** Of files or of where they lie: columns with the values of folders, unless these are to be just folders. */
function columnsOfFolders({ settings: { folders } }: TableFiles, files: readonly FoundFile[]): readonly Column[] {
  if (folders === false) return []
  return folderColumns(
    files.map(({ name }) => folderValues(name)),
    folders,
  )
}

function folderRange(values: FolderValues, folders: readonly Column[], name: string): ColumnRange | undefined {
  const column = folders.find(each => each.name === name)
  if (!column) return undefined
  const value = values[name]
  if (value === null || value === undefined) return { type: column.type, values: 'none' }
  const key = keyOf(value, column.type)
  return key && { type: column.type, values: { min: key, max: key } }
}

/** Of a column that the file is known to lack. */
function missingRange(found: Inspected | undefined, columns: readonly Column[], name: string): ColumnRange | undefined {
  const column = found && columns.find(each => each.name === name)
  return column && { type: column.type, values: 'none' }
}

function partOf(range: (column: string) => ColumnRange | undefined): Part {
  return {
    rows: 1,
    range,
    decode() {
      throw new Error('a file that is only looked at is not decoded')
    },
  }
}

/** Undefined for long lists, and those that lie in the store: the lanes have those. */
async function inlineSet({ list, type }: StageFilter): Promise<ByteSet | undefined> {
  const isShort = 'inline' in list && list.count <= MOST_VALUES
  return isShort ? loadSet({ count: list.count, type }, [list.inline]) : undefined
}

/** Of a filter that whole files are left out by, in the host's thread. */
const MOST_VALUES = 4_096

/** A file may have been written, or looked into, since the table was described. */
function checkColumns({ name: file }: FoundFile, { columns: found }: Inspected, columns: readonly Column[]): void {
  for (const { name, native } of found) {
    const expected = columns.find(column => column.name === name)
    if (expected && native !== NO_TYPE && native !== expected.native)
      throw changedType(file, name, native, expected.native)
  }
}

/** Those that lie evenly among all, the first and the last included. */
function sample<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all
  if (most === 1) return all.slice(-1)
  return Array.from({ length: most }, (_, index) => all[Math.floor((index * (all.length - 1)) / (most - 1))]!)
}

/** Footers are small and far away: latency counts, and not bandwidth. */
const INSPECTED_AT_ONCE = 16

async function inspectFiles(
  { settings, storages, inspected, inspectFiles: most }: TableFiles,
  files: readonly FoundFile[],
  signal: AbortSignal,
): Promise<readonly (readonly [FoundFile, Inspected])[]> {
  const limit = pLimit(INSPECTED_AT_ONCE)
  const inspect = async (file: FoundFile): Promise<readonly [FoundFile, Inspected]> => {
    signal.throwIfAborted()
    const key = JSON.stringify([file.name, file.bytes, file.fingerprint])
    const known = inspected.get(key)
    if (known) return [file, known]
    const { name, bytes } = file
    const format = settings.format ?? formatOf(name)
    const open = () => storages.access([settings], file, signal)
    const chunk = { chunk: 0, name, format, bytes, fromRow: 0 }
    const found = await inspectFile(chunk, open, settings.partitionKeys, signal)
    // the oldest first; those that are asked for again and again are few
    for (const old of inspected.keys()) if (inspected.size >= 2 * most) inspected.delete(old)
    inspected.set(key, found)
    return [file, found]
  }
  try {
    return await Promise.all(files.map(file => limit(inspect, file)))
  } finally {
    limit.clearQueue()
  }
}

function twice(file: string, column: string): ConfigError {
  return new ConfigError(`the file ${JSON.stringify(file)} has two columns ${JSON.stringify(column)}`)
}

/** A request from a file, from flags, or from both: flags stand over what the file says. */
import { access, constants, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Problem } from '../core/errors.ts'

export interface RequestFlags {
  readonly table?: string
  readonly partitionKey?: string
  readonly start?: string
  readonly end?: string
  readonly filter?: readonly string[]
  readonly filterFile?: readonly string[]
  readonly jobName?: string
}

/** As far as it can be known without an engine, which then checks all of it. */
export interface RequestDraft {
  readonly request: Readonly<Record<string, unknown>>
  /** The filter's values are in this file. */
  readonly values?: ColumnPath
}

export interface ColumnPath {
  readonly column: string
  readonly path: string
}

/** Adds to `problems` what is missing and what cannot be read. */
export async function draftRequest(
  file: string | undefined,
  flags: RequestFlags,
  resuming: boolean,
  problems: Problem[],
): Promise<RequestDraft> {
  const base = file === undefined ? {} : await readRequestFile(file, problems)
  if (file === undefined && !resuming)
    for (const name of ['table', 'start', 'end'] as const)
      if (flags[name] === undefined) problems.push({ path: `--${name}`, message: 'is required without a request file' })
  const { filter, values } = await readFilter(flags, problems)
  const window = given({ partition_key: flags.partitionKey, start: flags.start, end: flags.end })
  const request = {
    ...base,
    ...given({ job_name: flags.jobName, table: flags.table, filter }),
    ...(Object.keys(window).length > 0 ? { backfill_window: { ...asObject(base['backfill_window']), ...window } } : {}),
  }
  return { request, ...(values ? { values } : {}) }
}

const FLAGS_OF_PATHS: readonly (readonly [path: string, name: keyof RequestFlags, flag: string])[] = [
  ['table', 'table', '--table'],
  ['backfill_window.partition_key', 'partitionKey', '--partition-key'],
  ['backfill_window.start', 'start', '--start'],
  ['backfill_window.end', 'end', '--end'],
  ['job_name', 'jobName', '--job-name'],
]

/** Problems that the engine found, named by the flags that caused them. */
export function toFlags(problems: readonly Problem[], flags: RequestFlags): Problem[] {
  return problems.map(({ path, message }) => {
    const [, , flag] = FLAGS_OF_PATHS.find(([known, name]) => known === path && flags[name] !== undefined) ?? []
    if (flag !== undefined) return { path: flag, message }
    if (!path.startsWith('filter')) return { path, message }
    if (flags.filter?.length) return { path: '--filter', message }
    return { path: flags.filterFile?.length ? '--filter-file' : path, message }
  })
}

async function readRequestFile(file: string, problems: Problem[]): Promise<Readonly<Record<string, unknown>>> {
  const where = file === '-' ? 'standard input' : file
  let content: string
  try {
    content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  } catch (error) {
    problems.push({ path: where, message: `cannot be read: ${(error as Error).message}` })
    return {}
  }
  try {
    const request: unknown = JSON.parse(content)
    if (typeof request === 'object' && request !== null && !Array.isArray(request)) return asObject(request)
    problems.push({ path: where, message: 'must be a JSON object' })
  } catch (error) {
    // the parser's own message quotes the text
    const place = /\(line \d+ column \d+\)/.exec((error as Error).message)?.[0] ?? ''
    problems.push({ path: where, message: `is not valid JSON ${place}`.trimEnd() })
  }
  return {}
}

async function readFilter(
  { filter: lists = [], filterFile: files = [] }: RequestFlags,
  problems: Problem[],
): Promise<{ filter?: { column: string; values: string[] }; values?: ColumnPath }> {
  if (lists.length + files.length > 1) {
    problems.push({ path: '--filter', message: 'only one filter is possible, from --filter or from --filter-file' })
    return {}
  }
  const [list] = lists
  if (list !== undefined) {
    const [column, values] = splitAt(list)
    if (column && values) return { filter: { column, values: values.split(',') } }
    problems.push({ path: '--filter', message: 'must be COLUMN=VALUE[,VALUE...]' })
  }
  const [file] = files
  if (file !== undefined) {
    const [column, path] = splitAt(file)
    if (!column || !path) problems.push({ path: '--filter-file', message: 'must be COLUMN=PATH' })
    else if (!(await isReadable(path))) problems.push({ path: '--filter-file', message: `${path} cannot be read` })
    else return { values: { column, path } }
  }
  return {}
}

/** At the first `=`. */
function splitAt(argument: string): [string, string] | [] {
  const at = argument.indexOf('=')
  return at < 0 ? [] : [argument.slice(0, at), argument.slice(at + 1)]
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}

/** Without what is undefined. */
function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

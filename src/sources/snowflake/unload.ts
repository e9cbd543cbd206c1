/** Staging: one COPY, followed to its end, wherever and however often this process or its session ends. */
import { CancelledError, SourceError } from '../../core/errors.ts'
import type { Json, SaveState } from '../../core/json.ts'
import type { StagedFile, StageRequest } from '../source.ts'
import { mayPass } from './failures.ts'
import { quoteLiteral } from './literals.ts'
import { type StageLocation, stagingPath } from './location.ts'
import { quoteIdentifier } from './names.ts'
import { copyStatement, literals, MOST_INLINE_VALUES, rowsQuery } from './query.ts'
import type { Sessions } from './sessions.ts'
import { cancel, execute, type Row, resultOf, submit } from './statements.ts'
import { readColumns } from './table.ts'
import { dropTable, loadValues } from './values.ts'

export interface Unload {
  readonly sessions: Sessions
  readonly location: StageLocation
  readonly relation: readonly string[]
  readonly keepNames: boolean
  readonly request: StageRequest
}

/** What is saved: by `attempt` the statement can be found before its id is known. */
interface SavedUnload {
  readonly attempt: number
  readonly jobId: string
  readonly queryId?: string
}

/** A statement that fails for a reason that may pass is run again, each time into a directory of its own: what a failed one left behind is not read. */
const MOST_ATTEMPTS = 3

export async function unload(
  work: Unload,
  saved: Json | undefined,
  save: SaveState,
  signal: AbortSignal,
): Promise<readonly StagedFile[]> {
  const { sessions, request } = work
  const doing = `cannot stage ${request.schema.table}`
  let state = await takeUp(work, saved)
  for (let failures = 0; ; ) {
    const next = attemptOf(saved) + failures + 1
    const begun = state
    try {
      state ??= await begin(work, next, save, signal)
      const { attempt, queryId } = state
      const rows = await resultOf(sessions, doing, queryId, signal)
      await dropValues(work, attempt)
      return stagedFiles(rows, request.stagingId, attempt)
    } catch (error) {
      if (signal.aborted) {
        if (state && signal.reason instanceof CancelledError) await stop(sessions, state.queryId)
        throw signal.reason
      }
      failures++
      if (!mayPass(error) || failures >= MOST_ATTEMPTS) throw error
      // what was submitted may run all the same, although nobody said so
      const isUnknown = begun === undefined && state === undefined
      state = isUnknown ? await takeUp(work, { attempt: next, jobId: request.jobId }) : undefined
    }
  }
}

interface Running {
  readonly attempt: number
  readonly queryId: string
}

/** The statement that an earlier process began. */
async function takeUp(work: Unload, saved: Json | undefined): Promise<Running | undefined> {
  const state = readSaved(saved)
  if (!state) return undefined
  const { attempt } = state
  const queryId = state.queryId ?? (await find(work.sessions, work.location, tagOf(work.request, attempt)))[0]
  return queryId === undefined ? undefined : { attempt, queryId }
}

async function begin(work: Unload, attempt: number, save: SaveState, signal: AbortSignal): Promise<Running> {
  const { sessions, location, relation, keepNames, request } = work
  const { jobId, stagingId, filter, schema } = request
  signal.throwIfAborted()
  await save({ attempt, jobId })
  let submitted = false
  const queryId = await sessions.use(async connection => {
    // the session ended over it: the statement may run all the same, and two must not write to the same place
    if (submitted) throw new SourceError(`cannot stage ${schema.table}: the submission was not answered`)
    const columns = await readColumns(connection, relation, keepNames)
    signal.throwIfAborted()
    const list = !filter
      ? undefined
      : filter.list.count <= MOST_INLINE_VALUES
        ? await literals(filter)
        : await loadValues(connection, filter, { schema: schemaOf(location), id: `${stagingId}_${attempt}` }, signal)
    const query = rowsQuery(request, { relation, columns }, list)
    const directory = `${stagingPath(location, stagingId)}${attempt}/`
    const copy = copyStatement(location.stage, directory, query, request)
    signal.throwIfAborted()
    submitted = true
    return submit(connection, `cannot stage ${schema.table}`, copy, tagOf(request, attempt))
  })
  await save({ attempt, jobId, queryId })
  return { attempt, queryId }
}

/** Where the session is still the same; else the table goes with its session. */
async function dropValues({ sessions, location, request }: Unload, attempt: number): Promise<void> {
  if ((request.filter?.list.count ?? 0) <= MOST_INLINE_VALUES) return
  const place = { schema: schemaOf(location), id: `${request.stagingId}_${attempt}` }
  await sessions.use(connection => dropTable(connection, place)).catch(() => {})
}

function schemaOf({ names }: StageLocation): readonly string[] {
  return names?.slice(0, -1) ?? []
}

function tagOf({ jobId, stagingId }: { readonly jobId: string; readonly stagingId: string }, attempt: number): string {
  return `millrace:${jobId}:${stagingId}:${attempt}`
}

/** Statements with this tag that run or have run, the latest first. */
async function find({ use }: Sessions, { names }: StageLocation, tag: string): Promise<readonly string[]> {
  const database = names?.length === 3 ? `${quoteIdentifier(names[0]!)}.` : ''
  const history = `TABLE(${database}INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(RESULT_LIMIT => 10000))`
  const sql = `SELECT QUERY_ID FROM ${history} WHERE QUERY_TAG = ${quoteLiteral(tag)} AND QUERY_TYPE = 'UNLOAD' ORDER BY START_TIME DESC`
  const rows = await use(connection => execute(connection, 'cannot look for the unload', sql))
  return rows.map(row => String(row['QUERY_ID']))
}

const STOP_MS = 30_000

async function stop(sessions: Sessions, queryId: string): Promise<void> {
  // what is left of it, discarding deals with
  await cancel(sessions, queryId, AbortSignal.timeout(STOP_MS)).catch(() => {})
}

/** Stops what still writes under the staging, and removes all of its files, those of failed attempts too. */
export async function discard(
  { sessions, location }: Pick<Unload, 'sessions' | 'location'>,
  stagingId: string,
  saved: Json | undefined,
  signal: AbortSignal,
): Promise<void> {
  const state = readSaved(saved)
  if (state) {
    const { jobId, attempt, queryId } = state
    const found =
      queryId === undefined ? await find(sessions, location, tagOf({ jobId, stagingId }, attempt)) : [queryId]
    for (const id of found) await cancel(sessions, id, signal)
  }
  signal.throwIfAborted()
  const remove = `REMOVE ${location.stage}/${stagingPath(location, stagingId)}`
  await sessions.use(connection => execute(connection, 'cannot remove the staged files', remove))
}

function readSaved(saved: Json | undefined): SavedUnload | undefined {
  const state = (saved ?? undefined) as SavedUnload | undefined
  if (state === undefined || (Number.isInteger(state.attempt) && typeof state.jobId === 'string')) return state
  throw new SourceError('what was saved of the staging is not of this source', { retryable: false })
}

function attemptOf(saved: Json | undefined): number {
  return readSaved(saved)?.attempt ?? 0
}

/** Without rows there is no file, and no output row that names one. The directory is flat, whatever the name begins with. */
export function stagedFiles(rows: readonly Row[], stagingId: string, attempt: number): readonly StagedFile[] {
  return rows
    .map(row => ({
      name: `${stagingId}/${attempt}/${String(row['FILE_NAME']).split('/').at(-1)}`,
      bytes: Number(row['FILE_SIZE']),
      rows: Number(row['ROW_COUNT']),
    }))
    .filter(({ rows }) => rows > 0)
    .toSorted((left, right) => left.name.localeCompare(right.name, 'en', { numeric: true }))
}

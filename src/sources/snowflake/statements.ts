/** Statements over `snowflake-sdk`, as promises. `doing` begins the message of a failure: what the statement was for. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Bind, Connection, StatementOption } from 'snowflake-sdk'
import { SourceError } from '../../core/errors.ts'
import { isSessionGone, snowflakeError } from './failures.ts'
import { quoteLiteral } from './literals.ts'
import type { Sessions } from './sessions.ts'

export type Row = Readonly<Record<string, unknown>>

/** Runs a statement to its end. Small results only. */
export function execute(
  connection: Connection,
  doing: string,
  sqlText: string,
  options: { readonly binds?: readonly Bind[] } = {},
): Promise<readonly Row[]> {
  return completed(doing, complete => connection.execute({ sqlText, complete, ...options }))
}

/**
 * Begins a statement and answers its query id, by which any session of the user finds it. The client calls back at once and without
 * the error where it is to run asynchronously, unless results are to be streamed.
 */
export function submit(connection: Connection, doing: string, sqlText: string, queryTag: string): Promise<string> {
  return new Promise((resolve, reject) => {
    connection.execute({
      sqlText,
      asyncExec: true,
      streamResult: true,
      parameters: { QUERY_TAG: queryTag },
      complete: (error, statement) => {
        if (error) reject(snowflakeError(doing, error))
        else resolve(statement.getQueryId())
      },
    } as StatementOption)
  })
}

/** The rows of a statement that was submitted, once it has ended. Rejects with `signal.reason` when that aborts; the statement goes on. */
export async function resultOf(
  sessions: Sessions,
  doing: string,
  queryId: string,
  signal: AbortSignal,
): Promise<readonly Row[]> {
  requireQueryId(queryId)
  await untilEnded(sessions, doing, queryId, signal)
  signal.throwIfAborted()
  return sessions.use(connection => completed(doing, complete => connection.fetchResult({ queryId, complete })))
}

/** Of asking how a statement stands, all in a row; the statement itself does not mind. */
const MOST_SILENCE_MS = 300_000
const POLL_MS = { first: 100, most: 2_000 }

async function untilEnded(sessions: Sessions, doing: string, queryId: string, signal: AbortSignal): Promise<void> {
  let silentSince: number | undefined
  for (let waitMs = POLL_MS.first; ; waitMs = Math.min(POLL_MS.most, waitMs * 1.5)) {
    signal.throwIfAborted()
    try {
      if (!(await isRunning(sessions, queryId))) return
      silentSince = undefined
    } catch (error) {
      silentSince ??= performance.now()
      if (performance.now() - silentSince > MOST_SILENCE_MS) throw snowflakeError(doing, error)
    }
    await pause(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

const RUNNING = new Set([
  'RUNNING',
  'QUEUED',
  'RESUMING_WAREHOUSE',
  'QUEUED_REPARING_WAREHOUSE',
  'NO_DATA',
  'BLOCKED',
  'ABORTING',
])

async function isRunning(sessions: Sessions, queryId: string): Promise<boolean> {
  return sessions.use(async connection => {
    try {
      return RUNNING.has(await connection.getQueryStatus(queryId))
    } catch (error) {
      // this question, unlike statements, does not renew a session's token: a heartbeat does
      if (!(await connection.isValidAsync())) throw isSessionGone(error) ? error : sessionGone()
      return RUNNING.has(await connection.getQueryStatus(queryId))
    }
  })
}

function sessionGone(): Error {
  return Object.assign(new Error('the session has ended'), { code: '407002' })
}

/** Asks Snowflake to stop a statement, of whichever session of the user, and waits until it has. One that has ended is no error. */
export async function cancel(sessions: Sessions, queryId: string, signal: AbortSignal): Promise<void> {
  requireQueryId(queryId)
  const doing = 'cannot cancel the unload'
  await sessions.use(connection =>
    execute(connection, doing, `SELECT SYSTEM$CANCEL_QUERY(${quoteLiteral(queryId)})`).catch(() => []),
  )
  await untilEnded(sessions, doing, queryId, signal)
}

function requireQueryId(queryId: string): void {
  if (/^[0-9a-f-]{36}$/i.test(queryId)) return
  throw new SourceError('what was saved of the staging holds no query id', { retryable: false })
}

type Complete = NonNullable<StatementOption['complete']>

async function completed(doing: string, begin: (complete: Complete) => unknown): Promise<readonly Row[]> {
  try {
    return await new Promise((resolve, reject) => {
      begin((error, _, rows) => (error ? reject(error) : resolve((rows ?? []) as Row[])))
    })
  } catch (error) {
    throw snowflakeError(doing, error)
  }
}

/** What Snowflake and its client say when something fails, without the values that they may quote. */
import { isMillraceError, SourceError } from '../../core/errors.ts'

interface Known {
  readonly retryable?: boolean
  /** What the message says is about names, rights and limits. Any other message may quote a value. */
  readonly speaks?: boolean
  readonly advice?: string
}

const RENEW = 'check user and credentials, and that the user may log in from here'

/** By Snowflake's own code. */
const KNOWN: Readonly<Record<string, Known>> = {
  '000603': { retryable: true },
  '000604': { advice: 'somebody or something cancelled the statement: retry the job' },
  '000605': { advice: 'somebody or something cancelled the statement: retry the job' },
  '000606': { speaks: true, advice: 'name a running warehouse in the connection, and grant USAGE on it to the role' },
  '000609': {
    speaks: true,
    advice: 'resume the warehouse, or let it resume by itself: ALTER WAREHOUSE ... SET AUTO_RESUME = TRUE',
  },
  '000630': { speaks: true, advice: 'raise STATEMENT_TIMEOUT_IN_SECONDS, take a larger warehouse or a smaller window' },
  '000904': { speaks: true, advice: 'the table has changed: create the backfill again' },
  '001003': { advice: 'this is a fault of millrace or of a relation in the configuration' },
  '002003': {
    speaks: true,
    advice: 'correct the name, or grant the role SELECT on the table and USAGE on its database and schema',
  },
  '002043': { speaks: true, advice: 'correct the name, or grant the role USAGE on it' },
  '003001': { speaks: true, advice: 'grant the role what is missing; "millrace doctor" says which grants that are' },
  '090073': {
    speaks: true,
    advice: 'raise the quota of the resource monitor, wait for its next period, or use another warehouse',
  },
  '090105': { speaks: true, advice: 'name the database and the schema in the configuration' },
  '390100': { advice: RENEW },
  '390144': { advice: 'the public key of the user is not that of the private key, or the account or user is misspelt' },
  '390189': { speaks: true, advice: 'grant the role to the user, or name another' },
  '390201': { speaks: true, advice: 'correct the name, or grant the role USAGE on it' },
  '390422': { advice: 'a network policy keeps this address away' },
}

/** Of the client: what it could not send, or what came back and was no answer. The message names hosts at most. */
const NOT_REACHED = new Set(['401001', '401002', '402001', '402002'])

/** The session has ended, on one side or the other: a new one can do the same. */
const SESSION_GONE = new Set(['390104', '390111', '390112', '390114', '405503', '407001', '407002', '405506', '401003'])

export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' || typeof code === 'number' ? String(code) : ''
}

export function isSessionGone(error: unknown): boolean {
  return SESSION_GONE.has(codeOf(error)) || SESSION_GONE.has(codeOf((error as { cause?: unknown } | null)?.cause))
}

/** Where trying the same again, in a session of its own, may well succeed. */
export function mayPass(error: unknown): boolean {
  return isMillraceError(error) && error.code === 'source_failed' && error.retryable
}

/**
 * A `SourceError` with Snowflake's code and, where it quotes no values, what it said. The client's own error is not kept as the cause: it
 * holds the statement's text. `doing`: what the statement was for.
 */
export function snowflakeError(doing: string, error: unknown): Error {
  if (isMillraceError(error)) return error
  const code = codeOf(error)
  const { message = '', sqlState } = (error ?? {}) as { message?: string; sqlState?: string }
  if (NOT_REACHED.has(code) || SESSION_GONE.has(code)) {
    const reason = SESSION_GONE.has(code) ? 'the session has ended' : 'Snowflake could not be reached'
    return new SourceError(`${doing}: ${reason} (${code})`, { retryable: true, cause: new SessionError(code) })
  }
  const { retryable = false, speaks = false, advice } = KNOWN[code] ?? {}
  const state = sqlState ? ` (${sqlState})` : ''
  const said = speaks ? `: ${firstLine(message)}` : ' (its message is withheld, as it may quote values)'
  const what = code === '' ? `the client failed${said}` : `Snowflake reports ${code}${state}${said}`
  return new SourceError(`${doing}: ${what}${advice === undefined ? '' : `; ${advice}`}`, {
    retryable,
    cause: new SessionError(code),
  })
}

/** Keeps the code, and nothing else of what the client threw. */
class SessionError extends Error {
  readonly code: string
  constructor(code: string) {
    super(`Snowflake ${code || 'client'} error`)
    this.code = code
  }
}

/** Snowflake breaks its lines within sentences. */
function firstLine(message: string): string {
  const text = message.replace(/^SQL (compilation|access control|execution) error:\s*/i, '').replace(/\s+/g, ' ')
  return text.trim().replace(/\.$/, '').slice(0, 300)
}

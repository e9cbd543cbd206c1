import type { Proof } from './unit.ts'

/**
 * The one place that decides what an error means outside: its HTTP status, the CLI's exit code, and whether
 * trying the same again can help unless the error itself says otherwise.
 */
export const ERRORS = {
  invalid_request: { status: 422, exit: 2, retryable: false },
  malformed_request: { status: 400, exit: 2, retryable: false },
  unauthenticated: { status: 401, exit: 2, retryable: false },
  forbidden: { status: 403, exit: 2, retryable: false },
  method_not_allowed: { status: 405, exit: 2, retryable: false },
  too_large: { status: 413, exit: 2, retryable: false },
  unsupported_media_type: { status: 415, exit: 2, retryable: false },
  too_many_requests: { status: 429, exit: 2, retryable: true },
  invalid_config: { status: 500, exit: 2, retryable: false },
  missing_driver: { status: 500, exit: 2, retryable: false },
  not_found: { status: 404, exit: 3, retryable: false },
  conflict: { status: 409, exit: 4, retryable: false },
  source_failed: { status: 502, exit: 5, retryable: true },
  file_missing: { status: 500, exit: 5, retryable: false },
  file_corrupt: { status: 500, exit: 5, retryable: false },
  unsupported_type: { status: 422, exit: 5, retryable: false },
  over_budget: { status: 500, exit: 5, retryable: false },
  destination_unavailable: { status: 502, exit: 6, retryable: true },
  destination_misconfigured: { status: 502, exit: 6, retryable: false },
  delivery_failed: { status: 502, exit: 6, retryable: false },
  store_failed: { status: 503, exit: 7, retryable: true },
  lane_lost: { status: 500, exit: 1, retryable: true },
  lease_lost: { status: 409, exit: 7, retryable: false },
  cancelled: { status: 409, exit: 130, retryable: false },
  internal: { status: 500, exit: 1, retryable: false },
} as const satisfies Record<string, { status: number; exit: number; retryable: boolean }>

export type ErrorCode = keyof typeof ERRORS

/** One broken rule of a request or a configuration: where, as `backfill_window.start`, and what. */
export interface Problem {
  readonly path: string
  readonly message: string
}

export interface ErrorOptions {
  readonly cause?: unknown
  /** Overrides the table's default. */
  readonly retryable?: boolean
  /** How long the other side asked to be left alone. */
  readonly retryAfterMs?: number
  readonly problems?: readonly Problem[]
}

const BRAND = Symbol.for('millrace.error')

/**
 * Base of every error that millrace throws on purpose. Branded by a registered symbol rather than by class
 * identity, so that two installed copies of the package recognise each other's: test with {@link isMillraceError}.
 * Messages say what was wrong, where, and what to do; they never hold a secret, a key or a row's content.
 */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined
  readonly problems: readonly Problem[]

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? ERRORS[code].retryable
    this.retryAfterMs = options.retryAfterMs
    this.problems = options.problems ?? []
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** The request breaks a rule; `problems` lists every broken one with its path. */
export class RequestError extends MillraceError {
  constructor(problems: readonly Problem[]) {
    super('invalid_request', problems.map(problem => `${problem.path}: ${problem.message}`).join('\n'), { problems })
  }
}

/** The host's set-up is wrong: an option, a missing driver, an unknown table in a catalogue. */
export class ConfigError extends MillraceError {
  constructor(message: string, options?: ErrorOptions & { code?: 'invalid_config' | 'missing_driver' }) {
    super(options?.code ?? 'invalid_config', message, options)
  }
}

/** The warehouse could not describe, stage or hand out what was asked for. */
export class SourceError extends MillraceError {
  constructor(message: string, options?: ErrorOptions) {
    super('source_failed', message, options)
  }
}

/** A staged file cannot be read: it is missing, damaged, of an unsupported type, or over the memory budget. */
export class FormatError extends MillraceError {
  constructor(
    code: 'file_missing' | 'file_corrupt' | 'unsupported_type' | 'over_budget',
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options)
  }
}

/** What a sink knows about a write that failed. */
export interface DeliveryFailure extends ErrorOptions {
  /**
   * The rows of the batch that were refused, by position in the batch, each with its own cause. A cause that is a
   * {@link MillraceError} says by `retryable` whether that row may be tried again; any other counts as permanent.
   */
  readonly failed?: ReadonlyMap<number, unknown>
  /** What became of the rows not in `failed`. Default `not delivered`; ignored without `failed`. */
  readonly rest?: 'delivered' | 'not delivered'
  /** Of the rows that were delivered, if any were. */
  readonly proof?: Proof
  /** Default `delivery_failed`, which is for good unless `retryable` says otherwise; `destination_unavailable` may pass unless it says so. */
  readonly code?: 'delivery_failed' | 'destination_unavailable' | 'destination_misconfigured'
}

/**
 * A write that did not, or not wholly, arrive. Thrown by sinks; see `SinkSession.write` for what the engine makes of it.
 * Without `failed` it speaks of the whole batch: retried if `retryable`, else every row of it is refused for good.
 */
export class DeliveryError extends MillraceError {
  readonly failed: ReadonlyMap<number, unknown> | undefined
  readonly rest: 'delivered' | 'not delivered'
  readonly proof: Proof

  constructor(message: string, failure: DeliveryFailure = {}) {
    super(failure.code ?? 'delivery_failed', message, failure)
    this.failed = failure.failed
    this.rest = failure.rest ?? 'not delivered'
    this.proof = failure.proof ?? []
  }
}

/** The job store could not be read or written, or the writer no longer owns the job. */
export class StoreError extends MillraceError {
  constructor(message: string, options?: ErrorOptions & { code?: 'store_failed' | 'lease_lost' }) {
    super(options?.code ?? 'store_failed', message, options)
  }
}

/** Work was stopped because somebody asked for it. */
export class CancelledError extends MillraceError {
  constructor(message = 'cancelled', options?: ErrorOptions) {
    super('cancelled', message, options)
  }
}

export function isMillraceError(error: unknown): error is MillraceError {
  return typeof error === 'object' && error !== null && BRAND in error
}

/** What it says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The error itself if it is one of millrace's, else an `internal` one around it: an unknown error is a failure with its cause. */
export function asMillraceError(error: unknown, context: string): MillraceError {
  if (isMillraceError(error)) return error
  return new MillraceError('internal', `${context}: ${messageOf(error)}`, { cause: error })
}

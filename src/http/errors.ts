/** Errors as clients see them: one shape, with the status of the error table. */
import { z } from 'zod'
import { asMillraceError, ERRORS, type ErrorCode, MillraceError } from '../core/errors.ts'

export const errorSchema = z
  .object({
    error: z.object({
      code: z.string().describe('Stable, for programs: `invalid_request`, `not_found`, ...'),
      message: z.string().describe('For people.'),
      details: z
        .array(z.object({ path: z.string(), message: z.string() }))
        .describe('Every broken rule of a request, where there are any.'),
    }),
  })
  .meta({ id: 'Error' })

export type ErrorBody = z.infer<typeof errorSchema>

/** A path that there is, asked with a method that it has not. */
export class MethodError extends MillraceError {
  /** The header Allow. */
  readonly allowed: string

  constructor(allowed: string) {
    super('method_not_allowed', `the methods of this path are ${allowed}`)
    this.allowed = allowed
  }
}

/** Answers what went wrong as far as the client may know it: what the server failed with is for its log alone. */
export function errorResponse(thrown: unknown, requestId: string): Response {
  const error = asMillraceError(thrown, 'unexpected error')
  const { status } = ERRORS[error.code]
  return Response.json(bodyOf(error, status, requestId), { status, headers: headersOf(error) })
}

function bodyOf({ code, message, problems }: MillraceError, status: number, requestId: string): ErrorBody {
  if (status < 500) return { error: { code, message, details: [...problems] } }
  const says = `${SERVER_SIDE[code] ?? 'the server failed'}; its log says more, under request ${requestId}`
  return { error: { code, message: says, details: [] } }
}

/** In place of messages that may name paths, hosts or SQL. */
const SERVER_SIDE: Partial<Record<ErrorCode, string>> = {
  source_failed: 'the source failed',
  destination_unavailable: 'the destination cannot be reached',
  destination_misconfigured: 'the destination is not set up as it must be',
  delivery_failed: 'the destination refused what was sent',
  store_failed: 'the job store failed: try again later',
}

function headersOf(error: MillraceError): Record<string, string> {
  const { code, retryAfterMs = code === 'store_failed' ? DEFAULT_RETRY_MS : undefined } = error
  return {
    ...(retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) }),
    ...(code === 'unauthenticated' ? { 'www-authenticate': 'X-API-Key' } : {}),
    ...(error instanceof MethodError ? { allow: error.allowed } : {}),
  }
}

const DEFAULT_RETRY_MS = 5_000

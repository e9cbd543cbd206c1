import type { ErrorBody } from '../errors.ts'

/** What the server answered in place of what was asked for. */
export class ApiError extends Error {
  readonly status: number
  /** As `ERRORS` has them; `unknown` where the answer is not of this API. */
  readonly code: string
  readonly details: readonly { readonly path: string; readonly message: string }[]
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, { code, message, details }: ErrorBody['error'], retryAfterMs: number | undefined) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.details = details
    this.retryAfterMs = retryAfterMs
  }
}

const MOST_TEXT = 500

export async function apiError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '')
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined
  const { error } = (parse(text) ?? {}) as Partial<ErrorBody>
  if (typeof error?.message === 'string')
    return new ApiError(
      response.status,
      { code: error.code, message: error.message, details: error.details ?? [] },
      retryAfterMs,
    )
  const message = `HTTP ${response.status}: ${text.slice(0, MOST_TEXT) || response.statusText}`
  return new ApiError(response.status, { code: 'unknown', message, details: [] }, retryAfterMs)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

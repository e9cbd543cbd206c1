/**
 * A staged file behind a URL, read by HTTP range requests (RFC 9110, section 14). A request that fails, or breaks off, is made again
 * for what is missing; an access that has expired is asked for anew.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { ExponentialBackoff, fullJitterGenerator, type IBackoff } from 'cockatiel'
import { isMillraceError, SourceError } from '../core/errors.ts'
import { readRetryAfter } from '../core/retry-after.ts'
import type { FileBytes } from './file-bytes.ts'
import { corrupt, missing, rewritten, sizeProblem } from './file-errors.ts'
import { newBuffer } from './memory.ts'
import type { FileAccess, PlannedChunk } from './read-plan.ts'

type UrlAccess = Extract<FileAccess, { url: string }>

export interface UrlRetries {
  /** Requests in a row that brought nothing, before reading fails. */
  readonly maxAttempts: number
  /** How long a server may be silent: before it answers, and within an answer. */
  readonly silenceMs: number
  readonly backoff: ExponentialBackoff<unknown>
}

/** A server that is away for half a minute is waited for. */
export const URL_RETRIES: UrlRetries = {
  maxAttempts: 10,
  silenceMs: 30_000,
  backoff: new ExponentialBackoff({ generator: fullJitterGenerator, initialDelay: 100, maxDelay: 15_000 }),
}

/** `renew`: gives the access that takes the place of an expired one. No error names the URL, which may be a secret. */
export function urlBytes(
  chunk: PlannedChunk,
  access: UrlAccess,
  renew: () => Promise<FileAccess>,
  signal: AbortSignal,
  retries: UrlRetries = URL_RETRIES,
): Pick<FileBytes, 'read' | 'close'> {
  let current: Promise<UrlAccess> = Promise.resolve(access)

  /** Reads that run side by side, and were refused the same access, renew it once. */
  function renewed(refused: UrlAccess): Promise<UrlAccess> {
    const before = current
    const next = before.then(async now => (now === refused ? asUrl(chunk, await renew()) : now))
    current = next
    // a renewal that failed fails who asked for it, and leaves what there was to the next
    next.catch(() => {
      if (current === next) current = before
    })
    return next
  }

  /** One attempt at what is missing, and a second where the access had expired. */
  async function fetchRest(range: Range, bytes: Uint8Array, progress: Progress): Promise<void> {
    const watch = new Watch(signal, retries.silenceMs)
    const rest = { start: range.start + progress.bytes, end: range.end }
    try {
      let used = await current
      let response = await request(chunk, used, rest, watch)
      if (isRefusal(response) && used.expiresAt !== undefined) {
        await response.body?.cancel()
        used = await renewed(used)
        response = await request(chunk, used, rest, watch)
      }
      await fill(chunk, used, response, rest, { bytes, progress, watch })
    } finally {
      watch.close()
    }
  }

  return {
    async read(start, end, spare) {
      const range = { start, end }
      const length = end - start
      const progress = { bytes: 0 }
      const bytes = spare && spare.length >= length ? spare.subarray(0, length) : new Uint8Array(newBuffer(length))
      let failures = 0
      let backoff: IBackoff<unknown> = retries.backoff.next()
      while (progress.bytes < length) {
        const before = progress.bytes
        try {
          await fetchRest(range, bytes, progress)
        } catch (error) {
          signal.throwIfAborted()
          if (!(isMillraceError(error) && error.retryable)) throw error
          if (progress.bytes > before) {
            failures = 0
            backoff = retries.backoff.next()
          }
          if (++failures >= retries.maxAttempts) throw error
          await pause(Math.max(backoff.duration, error.retryAfterMs ?? 0), undefined, { signal }).catch(() => {})
          signal.throwIfAborted()
          backoff = backoff.next(undefined)
        }
      }
      return bytes
    },
    async close() {},
  }
}

interface Range {
  readonly start: number
  readonly end: number
}

/** How many bytes of a range are there. */
interface Progress {
  bytes: number
}

/** Aborts with the parent, and when nothing was heard for too long. */
class Watch {
  readonly #abort = new AbortController()
  readonly #parent: AbortSignal
  readonly #timer: NodeJS.Timeout
  readonly #onAbort = (): void => this.#abort.abort(this.#parent.reason)
  silent = false

  constructor(parent: AbortSignal, silenceMs: number) {
    parent.throwIfAborted()
    this.#parent = parent
    parent.addEventListener('abort', this.#onAbort, { once: true })
    this.#timer = setTimeout(() => {
      this.silent = true
      this.#abort.abort()
    }, silenceMs)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  heard(): void {
    this.#timer.refresh()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#parent.removeEventListener('abort', this.#onAbort)
    // ends what is left of an answer that nobody reads on
    this.#abort.abort()
  }
}

async function request(chunk: PlannedChunk, access: UrlAccess, rest: Range, watch: Watch): Promise<Response> {
  const headers = { ...access.headers, range: `bytes=${rest.start}-${rest.end - 1}` }
  const response = await received(chunk, fetch(access.url, { headers, signal: watch.signal }), watch)
  watch.heard()
  return response
}

/** Reads the answer for `rest` into `bytes`, behind what is there already. */
async function fill(
  chunk: PlannedChunk,
  used: UrlAccess,
  response: Response,
  rest: Range,
  { bytes, progress, watch }: { readonly bytes: Uint8Array; readonly progress: Progress; readonly watch: Watch },
): Promise<void> {
  const problem = problemOf(chunk, used, response, rest)
  if (problem) throw problem
  const reader = response.body!.getReader()
  for (;;) {
    const { done, value } = await received(chunk, reader.read(), watch)
    if (done) break
    watch.heard()
    if (value.length > bytes.length - progress.bytes)
      throw failed(chunk, 'came with more bytes than were asked for', false)
    bytes.set(value, progress.bytes)
    progress.bytes += value.length
  }
  if (progress.bytes < bytes.length)
    throw failed(chunk, `came with ${progress.bytes} bytes where ${bytes.length} were asked for`, true)
}

async function received<T>(chunk: PlannedChunk, work: Promise<T>, watch: Watch): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (watch.silent) throw failed(chunk, 'could not be fetched (the server went silent)', true)
    // what `fetch` itself says may name the URL; the system's error behind it does not
    const { cause } = error as { cause?: { code?: unknown } }
    const code = typeof cause?.code === 'string' ? ` (${cause.code})` : ''
    throw failed(chunk, `could not be fetched${code}`, true, { cause })
  }
}

function isRefusal({ status }: Response): boolean {
  // 400: that of S3 for temporary credentials that have expired
  return status === 400 || status === 401 || status === 403 || status === 410
}

function asUrl(chunk: PlannedChunk, access: FileAccess): UrlAccess {
  if ('url' in access) return access
  throw failed(chunk, 'was behind a URL that expired, and no longer is behind one', false)
}

function problemOf(
  chunk: PlannedChunk,
  { headers: sent }: UrlAccess,
  response: Response,
  rest: Range,
): Error | undefined {
  const { status, headers } = response
  if (status === 200 || status === 206) {
    for (const [condition, state] of CONDITIONS) {
      const [expected, found] = [sent?.[condition], headers.get(state)]
      if (expected !== undefined && found !== null && found !== expected) return rewritten(chunk.name)
    }
  }
  if (status === 206) return rangeProblem(chunk, headers.get('content-range'), rest)
  if (status === 200 && rest.start === 0 && rest.end === chunk.bytes) return undefined
  if (status === 200)
    return failed(chunk, 'lies on a server that ignores range requests: serve it from one that answers 206', false)
  if (status === 404) return missing(chunk.name, 'is not there (HTTP 404)')
  if (status === 412) return rewritten(chunk.name)
  if (status === 416) return corrupt(chunk.name, `has fewer bytes than the ${chunk.bytes} that were staged`)
  const mayPass = status >= 500 || status === 408 || status === 425 || status === 429
  const retryAfterMs = readRetryAfter(headers.get('retry-after') ?? undefined)
  return failed(chunk, `could not be fetched (HTTP ${status})`, mayPass, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.min(retryAfterMs, MOST_RETRY_AFTER_MS) }),
  })
}

/** Conditions of a request, and what a server that does not heed them says of the file all the same. */
const CONDITIONS = [
  ['if-match', 'etag'],
  ['if-unmodified-since', 'last-modified'],
  ['x-goog-if-generation-match', 'x-goog-generation'],
] as const

/** Of what a server may ask for; a unit that waits holds memory. */
const MOST_RETRY_AFTER_MS = 60_000

function rangeProblem(chunk: PlannedChunk, header: string | null, { start, end }: Range): Error | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header ?? '')
  if (!match) return failed(chunk, 'came without a Content-Range', false)
  if (Number(match[1]) !== start || Number(match[2]) !== end - 1)
    return failed(chunk, 'came with another range than was asked for', false)
  return match[3] === '*' ? undefined : sizeProblem(chunk, Number(match[3]))
}

function failed(
  chunk: PlannedChunk,
  problem: string,
  retryable: boolean,
  options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
): SourceError {
  return new SourceError(`the staged file ${JSON.stringify(chunk.name)} ${problem}`, { retryable, ...options })
}

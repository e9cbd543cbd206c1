/**
 * A staged file behind a URL, read by HTTP range requests (RFC 9110, section 14). A request that fails, or breaks off, is made again
 * for what is missing; an access that has expired is asked for anew.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { ExponentialBackoff, fullJitterGenerator, type IBackoff } from 'cockatiel'
import { Agent, type Dispatcher, interceptors } from 'undici'
import { isMillraceError, SourceError } from '../core/errors.ts'
import { readRetryAfter } from '../core/retry-after.ts'
import type { FileBytes, Range } from './file-bytes.ts'
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
    const rest = { start: range.start + progress.bytes, end: range.end }
    const attempt = (used: UrlAccess): Promise<number> =>
      new Fetching(chunk, used, rest, { bytes, progress }).run(signal, retries.silenceMs)
    let used = await current
    let status = await attempt(used)
    if (isRefusal(status) && used.expiresAt !== undefined) {
      used = await renewed(used)
      status = await attempt(used)
    }
    if (isRefusal(status)) throw failed(chunk, `could not be fetched (HTTP ${status})`, false)
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

/** How many bytes of a range are there. */
interface Progress {
  bytes: number
}

/** Not `fetch`, whose streams would cost a lane more than its decoding: bytes go from the socket to where they belong. */
const client: Dispatcher = new Agent().compose(interceptors.redirect({ maxRedirections: 5 }))

/** One request for `rest`, whose bytes go into `bytes` behind what is there already. */
class Fetching implements Dispatcher.DispatchHandler {
  readonly #chunk: PlannedChunk
  readonly #access: UrlAccess
  readonly #rest: Range
  readonly #into: { readonly bytes: Uint8Array; readonly progress: Progress }
  readonly #ended: PromiseWithResolvers<number> = Promise.withResolvers()
  #controller: Dispatcher.DispatchController | undefined
  #timer: NodeJS.Timeout | undefined
  #status = 0
  #over = false

  constructor(
    chunk: PlannedChunk,
    access: UrlAccess,
    rest: Range,
    into: { readonly bytes: Uint8Array; readonly progress: Progress },
  ) {
    this.#chunk = chunk
    this.#access = access
    this.#rest = rest
    this.#into = into
  }

  /** Resolves with the status: all is there, or the request was refused. Rejects with a `MillraceError` or the signal's reason. */
  async run(signal: AbortSignal, silenceMs: number): Promise<number> {
    signal.throwIfAborted()
    const onAbort = (): void => this.#end(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#timer = setTimeout(
      () => this.#end(failed(this.#chunk, 'could not be fetched (the server went silent)', true)),
      silenceMs,
    )
    try {
      const { origin, pathname, search } = new URL(this.#access.url)
      const range = `bytes=${this.#rest.start}-${this.#rest.end - 1}`
      const headers = { ...this.#access.headers, range, 'accept-encoding': 'identity' }
      client.dispatch(
        { origin, path: pathname + search, method: 'GET', headers, headersTimeout: 0, bodyTimeout: 0 },
        this,
      )
      return await this.#ended.promise
    } finally {
      clearTimeout(this.#timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#timer?.refresh()
    this.#status = status
    const problem = problemOf(this.#chunk, this.#access, { status, headers }, this.#rest)
    if (problem) this.#end(problem)
  }

  onResponseData(_: Dispatcher.DispatchController, data: Buffer): void {
    if (this.#over || isRefusal(this.#status)) return
    this.#timer?.refresh()
    const { bytes, progress } = this.#into
    if (data.length > bytes.length - progress.bytes) {
      this.#end(failed(this.#chunk, 'came with more bytes than were asked for', false))
      return
    }
    bytes.set(data, progress.bytes)
    progress.bytes += data.length
  }

  onResponseEnd(): void {
    const { bytes, progress } = this.#into
    const isShort = !isRefusal(this.#status) && progress.bytes < bytes.length
    const problem = `came with ${progress.bytes} bytes where ${bytes.length} were asked for`
    if (isShort) this.#ended.reject(failed(this.#chunk, problem, true))
    else this.#ended.resolve(this.#status)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error & { readonly code?: unknown }): void {
    const code = typeof error.code === 'string' ? ` (${error.code})` : ''
    this.#ended.reject(failed(this.#chunk, `could not be fetched${code}`, true, { cause: error }))
  }

  /** Before its time: the connection is given up with what is left of the answer. */
  #end(error: unknown): void {
    this.#over = true
    this.#ended.reject(error)
    this.#controller?.abort(new Error('the request was ended'))
  }
}

function isRefusal(status: number): boolean {
  // 400: that of S3 for temporary credentials that have expired
  return status === 400 || status === 401 || status === 403 || status === 410
}

function asUrl(chunk: PlannedChunk, access: FileAccess): UrlAccess {
  if ('url' in access) return access
  throw failed(chunk, 'was behind a URL that expired, and no longer is behind one', false)
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

/** Of an answer that is neither the bytes nor a refusal. */
function problemOf(
  chunk: PlannedChunk,
  { headers: sent }: UrlAccess,
  { status, headers }: Answer,
  rest: Range,
): Error | undefined {
  if (isRefusal(status)) return undefined
  if (status === 200 || status === 206) {
    for (const [condition, state] of CONDITIONS) {
      const [expected, found] = [sent?.[condition], headers[state]]
      if (expected !== undefined && found !== undefined && found !== expected) return rewritten(chunk.name)
    }
  }
  if (status === 206) return rangeProblem(chunk, headers['content-range'], rest)
  if (status === 200 && rest.start === 0 && rest.end === chunk.bytes) return undefined
  if (status === 200)
    return failed(chunk, 'lies on a server that ignores range requests: serve it from one that answers 206', false)
  if (status === 404) return missing(chunk.name, 'is not there (HTTP 404)')
  if (status === 412) return rewritten(chunk.name)
  if (status === 416) return corrupt(chunk.name, `has fewer bytes than the ${chunk.bytes} that were staged`)
  const mayPass = status >= 500 || status === 408 || status === 425 || status === 429
  const retryAfterMs = readRetryAfter(headers['retry-after'])
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

function rangeProblem(chunk: PlannedChunk, header: string | undefined, { start, end }: Range): Error | undefined {
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

/** A staged file behind a URL, read by HTTP range requests (RFC 9110, section 14). */
import { SourceError } from '../core/errors.ts'
import type { FileBytes } from './file-bytes.ts'
import { corrupt, missing, sizeProblem } from './file-errors.ts'
import type { FileAccess, PlannedChunk } from './read-plan.ts'

type UrlAccess = Extract<FileAccess, { url: string }>

/** `renew`: gives the access that takes the place of an expired one. No error names the URL, which may be a secret. */
export function urlBytes(
  chunk: PlannedChunk,
  access: UrlAccess,
  renew: () => Promise<FileAccess>,
  signal: AbortSignal,
): Pick<FileBytes, 'read' | 'close'> {
  return {
    async read(start, end) {
      if (start === end) return new Uint8Array(0)
      const range = { start, end }
      let response = await request(chunk, access, range, signal)
      if (isRefusal(response) && hasExpired(access)) {
        await response.body?.cancel()
        access = await renewed(chunk, renew)
        response = await request(chunk, access, range, signal)
      }
      return bodyOf(chunk, response, range, signal)
    },
    async close() {},
  }
}

interface Range {
  readonly start: number
  readonly end: number
}

async function request(chunk: PlannedChunk, access: UrlAccess, range: Range, signal: AbortSignal): Promise<Response> {
  const headers = { ...access.headers, range: `bytes=${range.start}-${range.end - 1}` }
  return received(chunk, fetch(access.url, { headers, signal }), signal)
}

async function bodyOf(
  chunk: PlannedChunk,
  response: Response,
  range: Range,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const problem = problemOf(chunk, response, range)
  if (problem) {
    await response.body?.cancel()
    throw problem
  }
  const bytes = new Uint8Array(await received(chunk, response.arrayBuffer(), signal))
  const expected = range.end - range.start
  if (bytes.length !== expected)
    throw failed(chunk, `came with ${bytes.length} bytes where ${expected} were asked for`, true)
  return bytes
}

async function received<T>(chunk: PlannedChunk, work: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await work
  } catch (error) {
    signal.throwIfAborted()
    throw failed(chunk, 'could not be fetched', true, error)
  }
}

function isRefusal({ status }: Response): boolean {
  return status === 401 || status === 403 || status === 410
}

function hasExpired({ expiresAt }: UrlAccess): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= Date.now()
}

async function renewed(chunk: PlannedChunk, renew: () => Promise<FileAccess>): Promise<UrlAccess> {
  const access = await renew()
  if ('url' in access) return access
  throw failed(chunk, 'was behind a URL that expired, and no longer is behind one', false)
}

function problemOf(chunk: PlannedChunk, { status, headers }: Response, range: Range): Error | undefined {
  const isWhole = range.start === 0 && range.end === chunk.bytes
  if (status === 206) return rangeProblem(chunk, headers.get('content-range'), range)
  if (status === 200 && isWhole) return undefined
  if (status === 200)
    return failed(chunk, 'lies on a server that ignores range requests: serve it from one that answers 206', false)
  if (status === 404) return missing(chunk.name, 'is not there (HTTP 404)')
  if (status === 416) return corrupt(chunk.name, `has fewer bytes than the ${chunk.bytes} that were staged`)
  return failed(chunk, `could not be fetched (HTTP ${status})`, status >= 500 || status === 408 || status === 429)
}

function rangeProblem(chunk: PlannedChunk, header: string | null, { start, end }: Range): Error | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header ?? '')
  if (!match) return failed(chunk, 'came without a Content-Range', false)
  if (Number(match[1]) !== start || Number(match[2]) !== end - 1) {
    return failed(chunk, 'came with another range than was asked for', false)
  }
  return match[3] === '*' ? undefined : sizeProblem(chunk, Number(match[3]))
}

function failed(chunk: PlannedChunk, problem: string, retryable: boolean, cause?: unknown): SourceError {
  return new SourceError(`the staged file ${JSON.stringify(chunk.name)} ${problem}`, { retryable, cause })
}

/** Single files behind http and https URLs. What a URL says is the configuration's, and so trusted; but it may hold a secret. */
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel'
import { isMillraceError, SourceError } from '../../core/errors.ts'
import type { FoundFile, Place, Storage } from './storage.ts'

export function isUrl(pattern: string): boolean {
  return /^https?:\/\//i.test(pattern)
}

/** What is wrong with URLs, without repeating them; undefined of those that can be. */
export function urlProblems(patterns: readonly string[]): readonly (string | undefined)[] {
  const names = new Set<string>()
  return patterns.map(pattern => {
    if (!isUrl(pattern)) return undefined
    if (!URL.canParse(pattern)) return 'must be an http or https URL'
    const name = publicName(pattern)
    if (names.has(name)) return 'differs from another URL by no more than its query, by which files are not told apart'
    names.add(name)
    return undefined
  })
}

export const httpStorage: Storage = {
  owns({ pattern }, name) {
    return publicName(pattern) === name
  },

  async list(place, signal) {
    return [await attempts.execute(() => probe(place, signal), signal)]
  },

  async access(place, { fingerprint }) {
    const { url, headers } = requestOf(place)
    return { url, headers: { ...headers, ...conditionOf(fingerprint) } }
  },
}

const attempts = retry(
  handleWhen(error => isMillraceError(error) && error.retryable),
  { maxAttempts: 4, backoff: new ExponentialBackoff({ initialDelay: 200, maxDelay: 5_000 }) },
)

const PROBE_MS = 30_000

/**
 * One byte of the file, for its length and its state. Not HEAD: a URL that is signed for reading is not for that, and a server that
 * ignores ranges shows it now.
 */
async function probe(place: Place, signal: AbortSignal): Promise<FoundFile> {
  const name = publicName(place.pattern)
  const { url, headers } = requestOf(place)
  const either = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)])
  let response: Response
  try {
    response = await fetch(url, { headers: { ...headers, range: 'bytes=0-0' }, signal: either })
    await response.body?.cancel()
  } catch (error) {
    signal.throwIfAborted()
    const { cause } = error as { cause?: { code?: unknown } }
    const reason = typeof cause?.code === 'string' ? cause.code : either.aborted ? 'no answer' : 'no connection'
    throw failed(name, `cannot be fetched (${reason})`, true, cause)
  }
  const { status } = response
  const bytes = /^bytes 0-0\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
  if (status === 200)
    throw failed(name, 'lies on a server that ignores range requests: serve it from one that answers 206', false)
  if (status !== 206 || bytes === undefined)
    throw failed(name, `cannot be fetched (HTTP ${status})`, status >= 500 || status === 408 || status === 429)
  const fingerprint = fingerprintOf(response.headers)
  return { name, bytes: Number(bytes), ...(fingerprint === undefined ? {} : { fingerprint }) }
}

/** A strong entity tag, or else the time of the last change, as the server writes it. */
function fingerprintOf(headers: Headers): string | undefined {
  const etag = headers.get('etag')
  if (etag?.startsWith('"')) return etag
  return headers.get('last-modified') ?? undefined
}

/** A server that does not heed it may show all the same that the file is another one: the lane looks at both. */
function conditionOf(fingerprint: string | undefined): Readonly<Record<string, string>> {
  if (fingerprint === undefined) return {}
  return fingerprint.startsWith('"') ? { 'if-match': fingerprint } : { 'if-unmodified-since': fingerprint }
}

/** A login in the URL, which `fetch` refuses, becomes a header. */
function requestOf({ pattern, headers }: Place): { url: string; headers: Readonly<Record<string, string>> } {
  const url = new URL(pattern)
  const { username, password } = url
  if (username === '' && password === '') return { url: url.href, headers }
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  url.username = ''
  url.password = ''
  return { url: url.href, headers: { authorization: `Basic ${login}`, ...headers } }
}

/** Without login and query, which may be secrets. */
function publicName(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

function failed(name: string, problem: string, retryable: boolean, cause?: unknown): SourceError {
  return new SourceError(`the file ${JSON.stringify(name)} ${problem}`, { retryable, cause })
}

/** Bodies of requests: bounded while they are read, whatever their headers say, and strict about what is JSON. */
import { MillraceError, RequestError } from '../core/errors.ts'

/** The body as JSON. Throws `unsupported_media_type`, `too_large` or `malformed_request`. */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  requireType(request, ['application/json'])
  return parseStrictly(decodeUtf8(await readAll(request, maxBytes)))
}

/** The same where it may be left out. */
export async function readOptionalJson(request: Request, maxBytes: number): Promise<unknown> {
  // whether there is one only its end tells: some clients announce a length of 0, others nothing
  const bytes = await readAll(request, maxBytes)
  if (bytes.length === 0) return undefined
  requireType(request, ['application/json'])
  return parseStrictly(decodeUtf8(bytes))
}

async function readAll(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of boundedBody(request, maxBytes)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function requireType(request: Request, allowed: readonly string[]): void {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (!allowed.includes(type))
    throw new MillraceError('unsupported_media_type', `the body must be ${allowed.join(' or ')} (Content-Type)`)
  const encoding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'identity')
    throw new MillraceError('unsupported_media_type', 'the body must not be compressed (Content-Encoding)')
}

/** Bytes as they come in; throws `too_large` as soon as there are too many. */
async function* boundedBody(request: Request, maxBytes: number): AsyncGenerator<Uint8Array> {
  const tooLarge = (): MillraceError =>
    new MillraceError(
      'too_large',
      `the body is larger than ${maxBytes} bytes: send long lists of values as a value set`,
    )
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge()
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw tooLarge()
    yield chunk
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new MillraceError('malformed_request', 'the body is not UTF-8')
  }
}

/**
 * Refuses what other readers may understand otherwise: a proxy that checks the first of two equal keys is deceived by a server that
 * believes the last one (RFC 8259, section 4).
 */
function parseStrictly(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new MillraceError('malformed_request', 'the body is not JSON')
  }
  requirePlain(text)
  return value
}

const MAX_DEPTH = 64
// of JSON that is known to be well-formed; without alternation inside strings, which would take a stack as long as the string
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g

/** Throws `malformed_request` for a key that is there twice, and for nesting that no request needs. */
function requirePlain(text: string): void {
  const open: (Set<string> | undefined)[] = []
  let last = ''
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined)
      if (open.length > MAX_DEPTH)
        throw new MillraceError('malformed_request', `the body is nested deeper than ${MAX_DEPTH} levels`)
    } else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const keys = open.at(-1)!
      const key = JSON.parse(last) as string
      if (keys.has(key)) throw new MillraceError('malformed_request', 'the body has a key twice in one object')
      keys.add(key)
    }
    last = token
  }
}

const MAX_LINE_CHARS = 1 << 20
const PIECE_VALUES = 4_096

/**
 * Values of a filter, one JSON string, number or boolean to a line, in pieces. Numbers keep every digit. Blank lines do not count.
 * Throws `malformed_request` or `invalid_request` with the line's number, never with what it says.
 */
export async function* readValues(request: Request, limits: ValueLimits): AsyncGenerator<readonly string[]> {
  requireType(request, ['application/x-ndjson', 'application/ndjson', 'application/jsonl'])
  let piece: string[] = []
  let count = 0
  let number = 0
  for await (const line of linesOf(boundedBody(request, limits.maxBytes))) {
    number++
    const text = line.trim()
    if (text === '') continue
    if (++count > limits.maxValues)
      throw new MillraceError('too_large', `a value set has at most ${limits.maxValues} values`)
    piece.push(readValue(text, number))
    if (piece.length === PIECE_VALUES) {
      yield piece
      piece = []
    }
  }
  if (count === 0) throw new RequestError([{ path: '(request)', message: 'must have at least one value' }])
  if (piece.length > 0) yield piece
}

export interface ValueLimits {
  readonly maxBytes: number
  readonly maxValues: number
}

function readValue(text: string, line: number): string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new MillraceError('malformed_request', `line ${line} is not JSON`)
  }
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return text
  throw new RequestError([{ path: `line ${line}`, message: 'must be a string, a number or a boolean' }])
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = (chunk?: Uint8Array): string => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw new MillraceError('malformed_request', 'the body is not UTF-8')
    }
  }
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decode(chunk)).split('\n')
    rest = lines.pop()!
    if (rest.length > MAX_LINE_CHARS)
      throw new MillraceError('malformed_request', `a line is longer than ${MAX_LINE_CHARS} characters`)
    yield* lines
  }
  yield rest + decode()
}

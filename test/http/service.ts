/** The API over the table `numbers`, for two organizations. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { type Answer, type Api, type ApiOptions, backfillApi, hashedKeys } from '../../src/http/api.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { arrowSource } from '../core/arrow-source.ts'

export const BASE = '/api/v1/beam/backfills'
export const KEYS = { one: 'key of one', two: 'key of two' } as const

const authenticate = hashedKeys([
  { organization: 'one', sha256: sha256(KEYS.one) },
  { organization: 'two', sha256: sha256(KEYS.two) },
])

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export const numbersRequest = {
  table: 'numbers',
  backfill_window: { start: 0, end: 1_000_000 },
  destinations: [{ type: 'memory', name: 'out' }],
}

export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
  readonly key?: string | null
}

export interface Service extends AsyncDisposable {
  readonly engine: Engine
  readonly api: Api
  /** What was told of answers. */
  readonly answers: Answer[]
  /** Asks as organization `one` unless told otherwise; the path is behind that of backfills unless it begins with `//`. */
  ask(path: string, asking?: Asking): Promise<Response>
}

export async function startService(
  options: Partial<EngineOptions> = {},
  apiOptions: Partial<ApiOptions> = {},
): Promise<Service> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-http-'))
  const store = options.store ?? memoryStore()
  const engine = createEngine({
    source: arrowSource({ dir, files: [3, 20_000, 1] }),
    sinks: [memorySink({ name: 'out' })],
    lanes: 1,
    cancelGraceMs: 200,
    leaseMs: 300,
    ...options,
    store,
  })
  const answers: Answer[] = []
  const api = backfillApi(engine, { authenticate, onAnswer: answer => answers.push(answer), ...apiOptions })
  return {
    engine,
    api,
    answers,
    ask: (path, asking) => api(requestOf(path, asking)),
    async [Symbol.asyncDispose]() {
      await engine.close()
      await store.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

function requestOf(path: string, { method, headers = {}, json, body, key = KEYS.one }: Asking = {}): Request {
  const url = `http://host${path.startsWith('//') ? path.slice(1) : BASE + path}`
  const content = json === undefined ? body : JSON.stringify(json)
  return new Request(url, {
    method: method ?? (content === undefined ? 'GET' : 'POST'),
    headers: {
      ...(key === null ? {} : { 'x-api-key': key }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(content === undefined ? {} : { body: content, duplex: 'half' }),
  } as RequestInit)
}

/** An answer that must have this status. */
export async function bodyOf<T>(response: Response | Promise<Response>, status = 200): Promise<T> {
  const answer = await response
  const text = await answer.text()
  if (answer.status !== status) throw new Error(`expected ${status}, not ${answer.status}: ${text}`)
  return JSON.parse(text) as T
}

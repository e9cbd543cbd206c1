/**
 * A client of the API on `fetch`, without dependencies. `create`, `list` and `cancel` are the hosted API's, and do the same against it;
 * the rest is of this server.
 */
import type { StoredDeadLetter } from '../core/dead-letters.ts'
import type { DestinationName } from '../core/destination-name.ts'
import type { Job, JobStatus } from '../core/job.ts'
import type { Receipt } from '../core/receipt.ts'
import type { RedriveResult } from '../core/redrive.ts'
import type { BackfillRequest } from '../core/request.ts'
import { apiError } from './client/error.ts'
import { jsonLines, serverEvents } from './client/lines.ts'
import type { ApiEstimate, Created, PaceChange, UploadedValues } from './schemas.ts'

export { ApiError } from './client/error.ts'

export interface ClientOptions {
  /** Of the server, with whatever the API is mounted under: `https://backfills.example.com`. */
  readonly baseUrl: string
  readonly apiKey: string
  /** Default: the global one. */
  readonly fetch?: typeof fetch
}

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface ListOptions extends CallOptions {
  readonly status?: JobStatus
  readonly table?: string
  /** Jobs asked for at a time, 1 to 1,000. Default 100. */
  readonly pageSize?: number
}

export interface RedeliveryOptions extends DestinationName {
  readonly chunks?: { readonly from: number; readonly to: number }
}

/** Every method rejects with an {@link ApiError} where the server answers with one, else with what `fetch` rejects with. */
export interface Client {
  /** With a key, a repeated call makes one job, however often it is repeated. */
  create(request: BackfillRequest, options?: CallOptions & { readonly idempotencyKey?: string }): Promise<Created>
  /** Newest first, page by page as they are taken. */
  list(options?: ListOptions): AsyncGenerator<Job>
  cancel(jobId: string, options?: CallOptions): Promise<Job>
  get(jobId: string, options?: CallOptions): Promise<Job>
  estimate(request: BackfillRequest, options?: CallOptions): Promise<ApiEstimate>
  /** Uploads as it reads; names the set for `filter.values_ref`. */
  putValues(values: AsyncIterable<Value> | Iterable<Value>, options?: CallOptions): Promise<UploadedValues>
  /** The job whenever it has changed, up to its end; lost connections are made again. */
  watch(jobId: string, options?: CallOptions): AsyncGenerator<Job>
  receipt(jobId: string, options?: CallOptions): Promise<Receipt>
  deadLetters(jobId: string, destination?: DestinationName, options?: CallOptions): AsyncGenerator<StoredDeadLetter>
  redrive(jobId: string, destination: DestinationName, options?: CallOptions): Promise<RedriveResult>
  retry(jobId: string, options?: CallOptions): Promise<Job>
  pause(jobId: string, options?: CallOptions): Promise<Job>
  resume(jobId: string, options?: CallOptions): Promise<Job>
  redeliver(jobId: string, redelivery: RedeliveryOptions, options?: CallOptions): Promise<Job>
  setPace(jobId: string, destination: DestinationName, pace: PaceChange['pace'], options?: CallOptions): Promise<Job>
}

export type Value = string | number | boolean

export function createClient({ baseUrl, apiKey, fetch: send = fetch }: ClientOptions): Client {
  const backfills = `${baseUrl.replace(/\/+$/, '')}/api/v1/beam/backfills`

  async function call(url: string, init: RequestInit): Promise<Response> {
    const headers = { 'x-api-key': apiKey, ...(init.headers as Record<string, string>) }
    // to another place the key must not go
    const response = await send(url, { ...init, headers, redirect: 'error' })
    if (response.ok) return response
    throw await apiError(response)
  }

  async function json<T>(method: string, path: string, body: unknown, { signal }: CallOptions = {}): Promise<T> {
    const content =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await call(backfills + path, { method, ...content, ...(signal ? { signal } : {}) })
    return (await response.json()) as T
  }

  const at = (jobId: string, rest = ''): string => `/${encodeURIComponent(jobId)}${rest}`
  const post = (verb: string) => (jobId: string, options?: CallOptions) =>
    json<Job>('POST', at(jobId, verb), undefined, options)

  return {
    async create(request, { idempotencyKey, signal } = {}) {
      const headers = {
        'content-type': 'application/json',
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      }
      const init = { method: 'POST', body: JSON.stringify(request), headers, ...(signal ? { signal } : {}) }
      return (await (await call(backfills, init)).json()) as Created
    },
    async *list({ status, table, pageSize = 100, signal } = {}) {
      const query = new URLSearchParams({
        limit: String(pageSize),
        ...(status ? { status } : {}),
        ...(table === undefined ? {} : { table }),
      })
      for (let url: string | undefined = `${backfills}?${query}`; url !== undefined; ) {
        const response: Response = await call(url, signal ? { signal } : {})
        const jobs = (await response.json()) as Job[]
        // again here: a server that knows no filters answers all
        yield* jobs.filter(
          job => (status === undefined || job.status === status) && (table === undefined || job.table === table),
        )
        url = nextPage(response, url)
      }
    },
    get: (jobId, options) => json('GET', at(jobId), undefined, options),
    cancel: post('/cancel'),
    retry: post('/retry'),
    pause: post('/pause'),
    resume: post('/resume'),
    estimate: (request, options) => json('POST', '/estimate', request, options),
    async putValues(values, { signal } = {}) {
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: ReadableStream.from(valueLines(values)),
        duplex: 'half',
        ...(signal ? { signal } : {}),
      }
      return (await (await call(`${backfills}/value-sets`, init as RequestInit)).json()) as UploadedValues
    },
    async *watch(jobId, { signal } = {}) {
      const headers: Record<string, string> = { accept: 'text/event-stream' }
      const open = () => call(backfills + at(jobId, '/events'), { headers, ...(signal ? { signal } : {}) })
      yield* serverEvents<Job>(open, headers, job => FINAL.has(job.status), signal)
    },
    receipt: (jobId, options) => json('GET', at(jobId, '/receipt'), undefined, options),
    async *deadLetters(jobId, destination, { signal } = {}) {
      const query = destination ? `?${new URLSearchParams({ type: destination.type, name: destination.name })}` : ''
      const response = await call(backfills + at(jobId, `/dead-letters${query}`), signal ? { signal } : {})
      yield* jsonLines<StoredDeadLetter>(response.body!)
    },
    redrive: (jobId, { type, name }, options) =>
      json('POST', at(jobId, '/dead-letters/redrive'), { type, name }, options),
    redeliver: (jobId, { type, name, chunks }, options) =>
      json('POST', at(jobId, '/redeliver'), { type, name, chunks }, options),
    setPace: (jobId, { type, name }, pace, options) =>
      json(
        'PATCH',
        at(jobId, `/destinations/${encodeURIComponent(type)}/${encodeURIComponent(name)}`),
        { pace },
        options,
      ),
  }
}

const FINAL: ReadonlySet<JobStatus> = new Set(['completed', 'failed', 'cancelled'])

/** Of the same server only, since the key goes there. */
function nextPage({ headers }: Response, current: string): string | undefined {
  const [, target] = /<([^>]*)>\s*;\s*rel="?next"?/.exec(headers.get('link') ?? '') ?? []
  if (target === undefined) return undefined
  const next = new URL(target, current)
  return next.origin === new URL(current).origin ? next.href : undefined
}

async function* valueLines(values: AsyncIterable<Value> | Iterable<Value>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  let part = ''
  for await (const value of values) {
    part += `${JSON.stringify(value)}\n`
    if (part.length < 65_536) continue
    yield encoder.encode(part)
    part = ''
  }
  yield encoder.encode(part)
}

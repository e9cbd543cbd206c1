/** The HTTP API: one function from Request to Response, for any host. */
import { randomUUID } from 'node:crypto'
import { OpenAPIHono } from '@hono/zod-openapi'
import { publish } from '../core/diagnostics.ts'
import type { Engine } from '../core/engine.ts'
import { MillraceError } from '../core/errors.ts'
import { type Authenticate, sha256Of } from './auth.ts'
import { BACKFILLS, document, documentKeys, documentOf } from './document.ts'
import { errorResponse, MethodError } from './errors.ts'
import { OPERATIONS, type Operation } from './operations.ts'
import { type RateLimit, RateLimiter } from './rate-limit.ts'

export { type Authenticate, type HashedKey, hashedKeys } from './auth.ts'
export type { RateLimit } from './rate-limit.ts'

export interface ApiOptions {
  /**
   * Answers the organization of an API key (the header `X-API-Key`), or null; see {@link hashedKeys}. `false`: nobody is asked, and all is
   * the organization `default`'s; then let only this machine reach it.
   */
  readonly authenticate: Authenticate | false
  /** Where the host mounts the routes, if it does not take that off the URL itself, as `/millrace`. Default: nowhere. */
  readonly basePath?: string
  /** Most bytes of a request's body. Default 64 MiB. */
  readonly maxBodyBytes?: number
  /** The same of a value set, which is read as it comes in. Default 1 GiB. */
  readonly maxValueSetBytes?: number
  /** Of each key, in this process. Default: 500 requests a second, 1,000 at once. */
  readonly rateLimit?: RateLimit
  /** Told of every answer when its headers are there, and once more of one that breaks off. Must not throw. */
  readonly onAnswer?: (answer: Answer) => void
}

export interface Answer {
  /** Answered as `X-Request-Id`. */
  readonly request_id: string
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly status: number
  readonly ms: number
  readonly organization_id: string | undefined
  /** What the server failed with, or what broke the answer off: for logs, never for clients. */
  readonly error?: unknown
}

/** Answers; never rejects. */
export type Api = (request: Request) => Promise<Response>

const MEBIBYTE = 1 << 20

/**
 * The routes of the hosted API under `/api/v1/beam/backfills`, and beside them `/openapi.json` and `/healthz`. The engine stays the
 * host's: it is not closed here.
 */
export function backfillApi(engine: Engine, options: ApiOptions): Api {
  const { authenticate, basePath = '', onAnswer = tellFailure } = options
  const limits = {
    maxBodyBytes: options.maxBodyBytes ?? 64 * MEBIBYTE,
    maxValueSetBytes: options.maxValueSetBytes ?? 1_024 * MEBIBYTE,
  }
  const limiter = new RateLimiter(options.rateLimit ?? { perSecond: 500, burst: 1_000 })
  const app = new OpenAPIHono<Environment>()
  const backfills = basePath + BACKFILLS
  documentKeys(app.openAPIRegistry)

  app.use(async (context, next) => {
    refuseKeyInUrl(new URL(context.req.url).searchParams)
    await next()
  })
  app.use(`${backfills}/*`, async ({ req, env }, next) => {
    env.state.organizationId = await organizationOf(req.raw, authenticate, limiter)
    await next()
  })
  for (const [path, operations] of Map.groupBy(OPERATIONS, ({ path }) => path)) {
    for (const operation of operations) {
      document(app.openAPIRegistry, operation)
      app.on(operation.method.toUpperCase(), honoPath(backfills + path), ({ req, env: { state } }) => {
        const scope = { organization_id: state.organizationId! }
        const params = req.param() as Record<string, string>
        return operation.handle({ engine, scope, request: req.raw, params, limits, onBroken: state.onBroken })
      })
    }
    app.all(honoPath(backfills + path), only(operations.map(({ method }) => method)))
  }
  app.get(`${basePath}/healthz`, async () => {
    // asks the store for something, of nobody
    await engine.list({ organization_id: '', limit: 1 })
    return Response.json({ status: 'ok' })
  })
  app.get(`${basePath}/openapi.json`, () => Response.json(documentOf(app)))
  app.all(`${basePath}/healthz`, only(['get']))
  app.all(`${basePath}/openapi.json`, only(['get']))
  app.notFound(() => {
    throw new MillraceError('not_found', 'there is no such path')
  })
  app.onError((error, { env: { state } }) => {
    state.error = error
    return errorResponse(error, state.requestId)
  })
  return request => answer(app, request, onAnswer)
}

/** Of one request. */
interface State {
  readonly requestId: string
  organizationId: string | undefined
  error: unknown
  readonly onBroken: (error: unknown) => void
}

interface Environment {
  Bindings: { readonly state: State }
}

async function answer(
  app: OpenAPIHono<Environment>,
  request: Request,
  onAnswer: (answer: Answer) => void,
): Promise<Response> {
  const start = performance.now()
  const { method } = request
  const path = new URL(request.url).pathname
  const tell = (status: number): void => {
    const { requestId: request_id, organizationId: organization_id, error } = state
    const failed = error === undefined || status < 500 ? {} : { error }
    onAnswer({ request_id, method, path, status, ms: performance.now() - start, organization_id, ...failed })
  }
  const state: State = {
    requestId: requestIdOf(request),
    organizationId: undefined,
    error: undefined,
    onBroken(error) {
      state.error = error
      tell(BROKEN)
    },
  }
  const response = await app.fetch(request, { state })
  response.headers.set('x-request-id', state.requestId)
  response.headers.set('cache-control', 'no-store')
  response.headers.set('x-content-type-options', 'nosniff')
  tell(response.status)
  return response
}

/** In place of a status, of an answer that broke off. As nginx has it for connections that are closed early. */
const BROKEN = 599

function requestIdOf(request: Request): string {
  const given = request.headers.get('x-request-id') ?? ''
  return /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
}

function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}

/** Of a path that there is, with another method. */
function only(methods: readonly Operation['method'][]): () => Response {
  const allowed = methods.flatMap(method => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()])).join(', ')
  return () => {
    throw new MethodError(allowed)
  }
}

async function organizationOf(
  request: Request,
  authenticate: Authenticate | false,
  limiter: RateLimiter,
): Promise<string> {
  if (authenticate === false) return 'default'
  const apiKey = request.headers.get('x-api-key') ?? ''
  const organization = apiKey === '' || apiKey.length > MAX_KEY_CHARS ? null : await authenticate(apiKey)
  if (organization === null)
    throw new MillraceError('unauthenticated', 'the header X-API-Key must have a key that is known here')
  // the key itself is kept nowhere
  limiter.take(sha256Of(apiKey).toString('base64'))
  return organization
}

const MAX_KEY_CHARS = 4_096
const KEY_NAMES = new Set(['apikey', 'xapikey', 'key', 'token', 'accesstoken', 'authorization'])

/** URLs end up in logs, histories and referrers. */
function refuseKeyInUrl(query: URLSearchParams): void {
  for (const name of query.keys())
    if (KEY_NAMES.has(name.toLowerCase().replaceAll(/[-_]/g, '')))
      throw new MillraceError('malformed_request', 'a key must not be in the URL: send it as the header X-API-Key')
}

function tellFailure({ error, request_id }: Answer): void {
  if (error !== undefined) publish('warning', { message: `request ${request_id} failed`, error })
}

/** The OpenAPI document, from the same schemas that requests are checked with. */
import { readFileSync } from 'node:fs'
import { type OpenAPIHono, z } from '@hono/zod-openapi'
import { errorSchema } from './errors.ts'
import type { Operation } from './operations.ts'

/** Where the hosted API has its backfills. */
export const BACKFILLS = '/api/v1/beam/backfills'

type Registry = OpenAPIHono['openAPIRegistry']

const manifest: { version: string } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** How operations are authenticated. */
export function documentKeys(registry: Registry): void {
  registry.registerComponent('securitySchemes', 'ApiKey', { type: 'apiKey', in: 'header', name: 'X-API-Key' })
}

/** Adds what the document says of an operation. */
export function document(registry: Registry, operation: Operation): void {
  const { method, path, summary, query, headers, body, answer } = operation
  const params = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name!, z.string().min(1)])
  const mine = [...COMMON_ERRORS, ...operation.errors, ...(params.length > 0 ? [404] : []), ...(body ? [413, 415] : [])]
  registry.registerPath({
    method,
    path: BACKFILLS + path,
    summary,
    security: [{ ApiKey: [] }],
    request: {
      ...(params.length > 0 ? { params: z.object(Object.fromEntries(params)) } : {}),
      ...(query ? { query } : {}),
      ...(headers ? { headers } : {}),
      ...(body ? { body: { content: { [body.type]: { schema: body.schema } }, required: !body.optional } } : {}),
    },
    responses: {
      200: { description: answer.description, content: { [answer.type]: { schema: answer.schema } } },
      ...(answer.type === 'text/event-stream' ? { 204: { description: 'Nothing is to come.' } } : {}),
      ...Object.fromEntries(mine.sort().map(status => [status, errorAnswer(ERRORS_BY_STATUS[status]!)])),
    },
  })
}

export function documentOf(app: Pick<OpenAPIHono, 'getOpenAPI31Document' | 'openAPIRegistry'>): object {
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'millrace',
      version: manifest.version,
      description: 'Backfills: a window of a warehouse table, delivered to one or more destinations.',
    },
    // beside this document, wherever that is
    servers: [{ url: '.' }],
  })
}

const COMMON_ERRORS = [400, 401, 405, 429, 500, 502, 503]

const ERRORS_BY_STATUS: Readonly<Record<number, string>> = {
  400: 'What was sent is not what it should be: JSON, for example.',
  401: 'There is no key, or nobody knows it.',
  404: 'The organization has no such job.',
  405: 'The path has other methods.',
  409: 'The job is not in a state for this.',
  413: 'The body is too large.',
  415: 'The body is of another type.',
  422: 'The request breaks rules, all of which are told.',
  429: 'Too many requests with this key.',
  500: 'The server failed.',
  502: 'The source or the destination failed.',
  503: 'The job store failed.',
}

function errorAnswer(description: string) {
  return { description, content: { 'application/json': { schema: errorSchema } } }
}

/** What clients can do: each operation with its path, its documentation and its work. */
import { z } from '@hono/zod-openapi'
import type { DestinationName } from '../core/destination-name.ts'
import type { Engine } from '../core/engine.ts'
import { type Problem, RequestError } from '../core/errors.ts'
import { jobSchema } from '../core/job.ts'
import { type BackfillRequest, backfillRequestSchema } from '../core/request.ts'
import { formatPath } from '../core/resolve.ts'
import type { Pace } from '../stores/store.ts'
import { readJson, readOptionalJson, readValues } from './body.ts'
import { jobEvents } from './events.ts'
import { listJobs } from './list.ts'
import * as schemas from './schemas.ts'
import { linesResponse } from './streaming.ts'

export interface Call {
  readonly engine: Engine
  /** The organization that asks. */
  readonly scope: { readonly organization_id: string }
  readonly request: Request
  readonly params: Readonly<Record<string, string>>
  readonly limits: { readonly maxBodyBytes: number; readonly maxValueSetBytes: number }
  /** Of streams that break when their answer has begun. */
  readonly onBroken: (error: unknown) => void
}

export interface Operation {
  readonly method: 'get' | 'post' | 'patch'
  /** Behind `/api/v1/beam/backfills`, as OpenAPI writes it. */
  readonly path: string
  readonly summary: string
  readonly query?: z.ZodObject
  readonly headers?: z.ZodObject
  readonly body?: { readonly type: string; readonly schema: z.ZodType; readonly optional?: boolean }
  readonly answer: { readonly type: string; readonly schema: z.ZodType; readonly description: string }
  /** Of the error table, beside those that every operation has. */
  readonly errors: readonly number[]
  handle(call: Call): Promise<Response>
}

const JSON_TYPE = 'application/json'
const LINES = 'application/x-ndjson'

const request = { type: JSON_TYPE, schema: backfillRequestSchema }
const answer = (description: string, schema: z.ZodType): Operation['answer'] => ({
  type: JSON_TYPE,
  schema,
  description,
})
const job = answer('The job as it now is.', jobSchema)

/** Makes a job of a key once, RFC draft-ietf-httpapi-idempotency-key-header. */
const idempotency = z.object({
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(255)
    .describe('A repeated request with the same key answers the job of the first one, for good.')
    .optional(),
})

export const OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: '',
    summary: 'Create a backfill.',
    headers: idempotency,
    body: request,
    answer: answer('The job was stored, and starts.', schemas.createdSchema),
    errors: [409, 422],
    async handle({ engine, scope, request, limits }) {
      const key = idempotencyKey(request)
      const input = (await readJson(request, limits.maxBodyBytes)) as BackfillRequest
      const created = await engine.create(input, { ...scope, ...(key === undefined ? {} : { idempotency_key: key }) })
      return Response.json({ job_id: created.job_id, workflow_id: created.workflow_id })
    },
  },
  {
    method: 'get',
    path: '',
    summary:
      'List the jobs of the organization, newest first: all of them, or with `limit` a page, of which the next is in the Link header (rel="next").',
    query: schemas.listQuerySchema,
    answer: answer('The jobs.', z.array(jobSchema)),
    errors: [422],
    handle: call => listJobs(call, parseQuery(schemas.listQuerySchema, call.request)),
  },
  {
    method: 'post',
    path: '/estimate',
    summary: 'What a request would come to; nothing is staged, and no job is made.',
    body: request,
    answer: answer('The estimate.', schemas.estimateSchema),
    errors: [409, 422],
    async handle({ engine, request, limits }) {
      const input = (await readJson(request, limits.maxBodyBytes)) as BackfillRequest
      return Response.json(schemas.toApiEstimate(await engine.estimate(input, { signal: request.signal })))
    },
  },
  {
    method: 'post',
    path: '/value-sets',
    summary: 'Upload values for `filter.values_ref`, one JSON string, number or boolean to a line, up to 10 million.',
    body: { type: LINES, schema: z.string() },
    answer: answer('The set is stored; the same values have the same reference.', schemas.valueSetSchema),
    errors: [422],
    async handle({ engine, request, limits }) {
      const values = readValues(request, { maxBytes: limits.maxValueSetBytes, maxValues: MAX_VALUES })
      const { ref, count } = await engine.putValues(values)
      return Response.json({ values_ref: ref, count } satisfies schemas.UploadedValues)
    },
  },
  {
    method: 'get',
    path: '/{id}',
    summary: 'One job.',
    answer: job,
    errors: [],
    handle: async ({ engine, scope, params }) => Response.json(await engine.get(params['id']!, scope)),
  },
  {
    method: 'get',
    path: '/{id}/events',
    summary:
      'The job whenever it has changed, as server-sent events of type `job`, up to its end. With Last-Event-ID the state of that event is not repeated; 204 where there is nothing to come.',
    headers: z.object({ 'Last-Event-ID': z.string().max(64).optional() }),
    answer: { type: 'text/event-stream', schema: z.string(), description: 'Events whose data is the job.' },
    errors: [],
    handle: jobEvents,
  },
  {
    method: 'get',
    path: '/{id}/receipt',
    summary: 'What became of every chunk, and what the destinations can show for it.',
    answer: answer('The receipt.', schemas.receiptSchema),
    errors: [],
    handle: async ({ engine, scope, params }) => Response.json(await engine.receipt(params['id']!, scope)),
  },
  {
    method: 'get',
    path: '/{id}/dead-letters',
    summary:
      'The rows that destinations refused for good, as lines of JSON; of one destination with `type` and `name`.',
    query: schemas.destinationSchema.partial(),
    answer: { type: LINES, schema: schemas.deadLetterSchema, description: 'One such object to a line.' },
    errors: [422],
    async handle({ engine, scope, params, request, onBroken }) {
      const { type, name } = parseQuery(schemas.destinationSchema.partial(), request)
      if ((type === undefined) !== (name === undefined))
        throw new RequestError([{ path: 'query', message: 'needs both type and name, or neither' }])
      const only = type === undefined || name === undefined ? undefined : { type, name }
      return linesResponse(engine.deadLetters(params['id']!, only, scope), LINES, onBroken)
    },
  },
  {
    method: 'post',
    path: '/{id}/dead-letters/redrive',
    summary: 'Send the dead letters of one destination of a job that has ended once more. Answers when that is done.',
    body: { type: JSON_TYPE, schema: schemas.destinationSchema },
    answer: answer('What became of them.', schemas.redriveResultSchema),
    errors: [409, 422],
    async handle({ engine, scope, params, request, limits }) {
      await engine.get(params['id']!, scope)
      const to = parse(schemas.destinationSchema, await readJson(request, limits.maxBodyBytes))
      return Response.json(await engine.redrive(params['id']!, to, scope))
    },
  },
  change('cancel', 'Ask for the job to stop; it ends once what is in flight has settled.', (engine, id, scope) =>
    engine.cancel(id, scope),
  ),
  change('retry', 'Let a failed job go on from its checkpoints.', (engine, id, scope) => engine.retry(id, scope)),
  change('pause', 'Send nothing more until the job is resumed.', (engine, id, scope) => engine.pause(id, scope)),
  change('resume', 'Let a paused job go on.', (engine, id, scope) => engine.resume(id, scope)),
  {
    method: 'post',
    path: '/{id}/redeliver',
    summary: 'Deliver the staged files of a job that has ended to a destination, once more or for the first time.',
    body: { type: JSON_TYPE, schema: schemas.redeliverySchema },
    answer: job,
    errors: [409, 422],
    async handle({ engine, scope, params, request, limits }) {
      await engine.get(params['id']!, scope)
      const { chunks, ...to } = parse(schemas.redeliverySchema, await readJson(request, limits.maxBodyBytes))
      return Response.json(await engine.redeliver(params['id']!, { ...to, ...(chunks ? { chunks } : {}) }, scope))
    },
  },
  {
    method: 'patch',
    path: '/{id}/destinations/{type}/{name}',
    summary: 'Limit how fast the job is delivered to one of its destinations, from now on.',
    body: { type: JSON_TYPE, schema: schemas.paceSchema },
    answer: job,
    errors: [409, 422],
    async handle({ engine, scope, params, request, limits }) {
      await engine.get(params['id']!, scope)
      const { pace } = parse(schemas.paceSchema, await readJson(request, limits.maxBodyBytes))
      const to: DestinationName = { type: params['type']!, name: params['name']! }
      return Response.json(await engine.setPace(params['id']!, to, pace && toPace(pace), scope))
    },
  },
]

const MAX_VALUES = 10_000_000

/** An operation without a body, for which an empty object will do too. */
function change(
  verb: string,
  summary: string,
  work: (engine: Engine, id: string, scope: Call['scope']) => Promise<unknown>,
): Operation {
  const nothing = z.strictObject({})
  return {
    method: 'post',
    path: `/{id}/${verb}`,
    summary,
    body: { type: JSON_TYPE, schema: nothing, optional: true },
    answer: job,
    errors: [409, 422],
    async handle({ engine, scope, params, request, limits }) {
      await engine.get(params['id']!, scope)
      parse(nothing, (await readOptionalJson(request, limits.maxBodyBytes)) ?? {})
      return Response.json(await work(engine, params['id']!, scope))
    },
  }
}

function idempotencyKey(request: Request): string | undefined {
  const key = request.headers.get('idempotency-key') ?? undefined
  if (key === undefined || (key.length > 0 && key.length <= 255)) return key
  throw new RequestError([{ path: 'Idempotency-Key', message: 'must have 1 to 255 characters' }])
}

function toPace({ rows_per_second: rows, bytes_per_second: bytes }: NonNullable<schemas.PaceChange['pace']>): Pace {
  return {
    ...(rows === undefined || rows === null ? {} : { rowsPerSecond: rows }),
    ...(bytes === undefined || bytes === null ? {} : { bytesPerSecond: bytes }),
  }
}

/** Throws `invalid_request` for whatever the schema does not allow. */
function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.infer<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new RequestError(result.error.issues.map(issue => ({ path: formatPath(issue.path), message: issue.message })))
}

function parseQuery<Schema extends z.ZodObject>(schema: Schema, request: Request): z.infer<Schema> {
  const { searchParams } = new URL(request.url)
  const twice: Problem[] = [...new Set(searchParams.keys())]
    .filter(name => searchParams.getAll(name).length > 1)
    .map(path => ({ path, message: 'is there twice' }))
  if (twice.length > 0) throw new RequestError(twice)
  return parse(schema, Object.fromEntries(searchParams))
}

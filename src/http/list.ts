import type { z } from 'zod'
import type { Engine, JobQuery } from '../core/engine.ts'
import { RequestError } from '../core/errors.ts'
import type { Job } from '../core/job.ts'
import type { Call } from './operations.ts'
import type { listQuerySchema } from './schemas.ts'
import { startingWith, textStream } from './streaming.ts'

type Before = NonNullable<JobQuery['before']>

/** With a limit a page and the way to the next one, else every job, read page by page as the client takes them. */
export async function listJobs(
  { engine, scope, onBroken }: Call,
  { limit, cursor, status, table }: z.infer<typeof listQuerySchema>,
): Promise<Response> {
  const filter = { ...scope, ...(status ? { status } : {}), ...(table === undefined ? {} : { table }) }
  const before = cursor === undefined ? undefined : readCursor(cursor)
  if (limit === undefined) {
    const texts = arrayTexts(pagesOf(engine, filter, before))
    // the first page while the answer can still be an error
    const body = textStream(startingWith(await texts.next(), texts), onBroken)
    return new Response(body, { headers: { 'content-type': 'application/json' } })
  }
  const jobs = await engine.list({ ...filter, ...(before ? { before } : {}), limit: limit + 1 })
  const page = jobs.slice(0, limit)
  const query = new URLSearchParams({
    limit: String(limit),
    ...(status ? { status } : {}),
    ...(table === undefined ? {} : { table }),
    ...(jobs.length > limit ? { cursor: writeCursor(page.at(-1)!) } : {}),
  })
  // relative to the request (RFC 8288, section 3.1), which holds wherever the routes are mounted
  return Response.json(page, jobs.length > limit ? { headers: { link: `<?${query}>; rel="next"` } } : {})
}

const PAGE_JOBS = 200

async function* pagesOf(engine: Engine, filter: JobQuery, start: Before | undefined): AsyncGenerator<readonly Job[]> {
  let before = start
  for (;;) {
    const jobs = await engine.list({ ...filter, ...(before ? { before } : {}), limit: PAGE_JOBS })
    yield jobs
    const last = jobs.at(-1)
    if (!last || jobs.length < PAGE_JOBS) return
    before = last
  }
}

async function* arrayTexts(pages: AsyncIterable<readonly Job[]>): AsyncGenerator<string> {
  let separator = '['
  for await (const jobs of pages) {
    if (jobs.length === 0) continue
    yield separator + jobs.map(job => JSON.stringify(job)).join(',')
    separator = ','
  }
  yield separator === '[' ? '[]' : ']'
}

/** Where a page ended. Opaque to clients; it opens nothing, since the organization is not in it. */
function writeCursor({ time_created, job_id }: Job): string {
  return Buffer.from(`${time_created} ${job_id}`).toString('base64url')
}

function readCursor(text: string): Before {
  const [, time_created, job_id] =
    /^(\d{4}-[\d:.TZ-]{1,40}) ([0-9a-f-]{36})$/.exec(Buffer.from(text, 'base64url').toString()) ?? []
  if (time_created === undefined || job_id === undefined)
    throw new RequestError([{ path: 'cursor', message: 'must be one that a Link header had' }])
  return { time_created, job_id }
}

import { createHash } from 'node:crypto'
import { isFinal, type Job } from '../core/job.ts'
import type { Call } from './operations.ts'
import { textStream } from './streaming.ts'

/** Silence that proxies take for a dead connection, with some room. */
const KEEP_ALIVE_MS = 15_000

/**
 * A job's states as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). An event's id is a hash of the
 * state, so that a client can come back to any process: it gets the state of now, unless it knows that already.
 */
export async function jobEvents({ engine, scope, params, request, onBroken }: Call): Promise<Response> {
  const id = params['id']!
  const job = await engine.get(id, scope)
  const last = request.headers.get('last-event-id') ?? undefined
  // which tells clients not to come back
  if (isFinal(job.status) && last === eventId(JSON.stringify(job))) return new Response(null, { status: 204 })
  const over = new AbortController()
  const signal = AbortSignal.any([request.signal, over.signal])
  const texts = eventTexts(engine.watch(id, { ...scope, signal })[Symbol.asyncIterator](), last, signal)
  const abandon: AsyncIterator<string> = {
    next: () => texts.next(),
    async return() {
      over.abort()
      return { done: true, value: undefined }
    },
  }
  return new Response(
    textStream(abandon, error => signal.aborted || onBroken(error)),
    {
      headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
    },
  )
}

async function* eventTexts(
  jobs: AsyncIterator<Job>,
  last: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  try {
    // lets headers through at once, also where there is nothing to tell yet
    yield ': jobs\n\n'
    let next = jobs.next()
    let known = last
    for (;;) {
      const result = await within(next, KEEP_ALIVE_MS, signal)
      if (result === 'late') yield ': still here\n\n'
      else if (result.done) return
      else {
        const data = JSON.stringify(result.value)
        const id = eventId(data)
        if (id !== known) yield `id: ${id}\nevent: job\ndata: ${data}\n\n`
        known = id
        next = jobs.next()
      }
    }
  } finally {
    void jobs.return?.().catch(() => {})
  }
}

async function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T | 'late'> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>()
  const onAbort = () => resolve('late')
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(onAbort, ms)
  try {
    const result = await Promise.race([promise, late])
    signal.throwIfAborted()
    return result
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

function eventId(state: string): string {
  return createHash('sha256').update(state).digest('hex').slice(0, 16)
}

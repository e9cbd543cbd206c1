/** Reading answers that come in lines: objects of JSON, and server-sent events. */
import { ApiError } from './error.ts'

export async function* jsonLines<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  for await (const line of linesOf(body)) if (line !== '') yield JSON.parse(line) as T
}

const RECONNECT_MS = 1_000

/**
 * The data of events, whose id goes along in `headers` when the connection has to be made again: after it was lost, and after errors
 * that may pass. Ends after the last one.
 */
export async function* serverEvents<T>(
  open: () => Promise<Response>,
  headers: Record<string, string>,
  isLast: (data: T) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  for (;;) {
    try {
      const response = await open()
      if (response.status === 204) return
      let data = ''
      for await (const line of linesOf(response.body!)) {
        if (line.startsWith('id: ')) headers['last-event-id'] = line.slice(4)
        else if (line.startsWith('data: ')) data = line.slice(6)
        if (line !== '' || data === '') continue
        const event = JSON.parse(data) as T
        data = ''
        yield event
        if (isLast(event)) return
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof ApiError && error.status < 500 && error.status !== 429) throw error
    }
    await pause(RECONNECT_MS, signal)
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const onAbort = () => resolve()
  signal?.addEventListener('abort', onAbort, { once: true })
  await promise
  clearTimeout(timer)
  signal?.removeEventListener('abort', onAbort)
  signal?.throwIfAborted()
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

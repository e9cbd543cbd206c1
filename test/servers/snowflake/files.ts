/** Bytes of staged files behind presigned URLs, as an object store serves them. */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import type { Faults } from './faults.ts'

interface Target {
  readonly file: string
  readonly expired: boolean
}

/** Answers how many bytes were sent. */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  target: Target | undefined,
  faults: Faults,
): Promise<number> {
  const fault = faults.takeBody()
  if (!target || target.expired || fault?.how === 'expired')
    return end(response, 403, '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>')
  if (typeof fault?.how === 'number') return end(response, fault.how, '<Error><Code>SlowDown</Code></Error>')
  const whole = await readFile(target.file).catch(() => undefined)
  if (!whole) return end(response, 404, '<Error><Code>NoSuchKey</Code></Error>')
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  const [start, stop] = [Number(from ?? 0), Math.min(to ? Number(to) + 1 : whole.length, whole.length)]
  if (start >= whole.length) return end(response, 416, '')
  const bytes = whole.subarray(start, stop)
  const sent = fault?.how === 'truncated' || fault?.how === 'short' ? bytes.subarray(0, bytes.length >> 1) : bytes
  response.writeHead(from === undefined ? 200 : 206, {
    'content-length': fault?.how === 'truncated' ? bytes.length : sent.length,
    'accept-ranges': 'bytes',
    ...(from === undefined ? {} : { 'content-range': `bytes ${start}-${stop - 1}/${whole.length}` }),
  })
  if (fault?.how === 'slow') {
    for (let at = 0; at < sent.length; at += 512) {
      response.write(sent.subarray(at, at + 512))
      await turn()
    }
    response.end()
  } else if (fault?.how === 'truncated') {
    response.write(sent, () => response.destroy())
  } else response.end(sent)
  return sent.length
}

function end(response: ServerResponse, status: number, text: string): number {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(text)
  return 0
}

/** A web server for one folder that answers ranges and counts what it was asked for. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export interface FileServer {
  readonly url: string
  /** [start, end) of each request, in order. */
  readonly ranges: [number, number][]
  readonly requests: IncomingMessage['headers'][]
  /** Answers in its place, if it answers true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean
}

export async function serveFiles(folder: string): Promise<FileServer> {
  const ranges: [number, number][] = []
  const requests: IncomingMessage['headers'][] = []
  const server = createServer(async (request, response) => {
    requests.push(request.headers)
    if (served.intercept(request, response)) return
    const path = join(folder, new URL(request.url!, 'http://x').pathname)
    const found = await stat(path).catch(() => undefined)
    if (!found) return void response.writeHead(404).end()
    const [, from = '0', last = String(found.size - 1)] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const [start, end] = [Number(from), Number(last) + 1]
    const etag = `"${found.mtimeMs}"`
    const condition = request.headers['if-match']
    if (condition !== undefined && condition !== etag) return void response.writeHead(412).end()
    ranges.push([start, end])
    const headers = { etag, 'content-length': end - start, 'content-range': `bytes ${start}-${last}/${found.size}` }
    response.writeHead(206, headers)
    createReadStream(path, { start, end: Number(last) }).pipe(response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const served: FileServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ranges,
    requests,
    intercept: () => false,
  }
  return served
}

/** A web server for staged files that answers ranges, and the way to it: at once, or each answer 50 ms late. */
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePorts } from '../test/servers/process.ts'
import { startToxiproxy, toxiproxyProgram } from '../test/servers/toxiproxy.ts'

export interface FileServer {
  /** What stands before the name of a file. */
  readonly near: string
  /** The same through Toxiproxy; undefined where that cannot be had. */
  readonly far: string | undefined
  close(): Promise<void>
}

export const LATENCY_MS = 50

export async function startFileServer(directory: string): Promise<FileServer> {
  const server = createServer((request, response) => {
    const path = join(directory, decodeURIComponent(new URL(request.url!, 'http://x').pathname))
    const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')!.map(Number) as [
      number,
      number,
      number,
    ]
    response.writeHead(206, { 'content-range': `bytes ${start}-${last}/*`, 'content-length': last - start + 1 })
    createReadStream(path, { start, end: last, highWaterMark: 1 << 20 }).pipe(response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const program = await toxiproxyProgram()
  const [via] = (await freePorts(1)) as [number]
  const proxy = program === undefined ? undefined : await startToxiproxy(program, via, port)
  await proxy?.add({ type: 'latency', stream: 'downstream', attributes: { latency: LATENCY_MS } })
  return {
    near: `http://127.0.0.1:${port}/`,
    far: proxy && `http://127.0.0.1:${via}/`,
    async close() {
      await proxy?.stop()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

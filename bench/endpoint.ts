/**
 * An endpoint for webhooks in this process. It counts the rows of what it takes: by their braces, at next to no cost, or by parsing
 * the body, which is the least that a real one does.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Measurement } from './child.ts'

export interface EndpointUrls {
  readonly url: string
  readonly warmupUrl: string
}

export interface Endpoint {
  /** Throws when another number of rows came to `url` than the run says. */
  deliver(run: (urls: EndpointUrls) => Promise<Measurement>): Promise<Measurement>
  close(): Promise<void>
}

export async function startEndpoint(reads: 'braces' | 'json'): Promise<Endpoint> {
  let rows = 0
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) {
      if (reads === 'json') pieces.push(piece as Buffer)
      else if (request.url === '/table') rows += braces(piece as Buffer)
    }
    if (reads === 'json') {
      const { length } = JSON.parse(Buffer.concat(pieces).toString()) as readonly unknown[]
      if (request.url === '/table') rows += length
    }
    response.writeHead(204).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    async deliver(run) {
      rows = 0
      const measurement = await run({ url: `${origin}/table`, warmupUrl: `${origin}/warmup` })
      if (rows === measurement.rows) return measurement
      throw new Error(`${rows} rows came to the endpoint, and ${measurement.rows} were acknowledged`)
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Rows of the transfers are flat, and none of their strings has a brace. */
function braces(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(0x7b); at >= 0; at = bytes.indexOf(0x7b, at + 1)) count++
  return count
}

import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { testSink } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { httpSink } from '../../examples/custom-sink/http-sink.ts'
import { openTunnel, type Tunnel } from '../servers/tunnel.ts'

let server: Server
let tunnel: Tunnel
let rows: string[]
/** What a body is answered that was not seen before. */
let statusFor: (body: string) => number

/** An endpoint that remembers which batches it has seen, as the sink's idempotency key lets it. */
beforeEach(async () => {
  rows = []
  statusFor = () => 200
  const seen = new Set<unknown>()
  server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const body = Buffer.concat(pieces).toString()
    const key = request.headers['idempotency-key']
    const status = seen.has(key) ? 200 : statusFor(body)
    if (status === 200 && !seen.has(key)) {
      rows.push(...body.trimEnd().split('\n'))
      seen.add(key)
    }
    response.writeHead(status).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  tunnel = await openTunnel(`127.0.0.1:${(server.address() as AddressInfo).port}`)
})

afterEach(async () => {
  await tunnel.close()
  server.closeAllConnections()
  server.close()
})

describe('the sink of the example keeps the contract', () => {
  const tests = testSink({
    create: () => httpSink({ name: 'rows', url: `http://${tunnel.address}/` }),
    read: async () => rows,
    ordered: true,
    faults: {
      stall: () => tunnel.stall(),
      interrupt: () => tunnel.cut(),
      turnAway(_, mark) {
        const bodies = new Set<string>()
        statusFor = body => {
          const again = bodies.has(body)
          bodies.add(body)
          return body.includes(mark) && !again ? 503 : 200
        }
        return undefined
      },
      // the endpoint takes or refuses a body as a whole, and opening does not ask it
    },
  })
  for (const { name, run } of tests) test(name, run)
})

test('it is under 40 lines', async () => {
  const source = await readFile(new URL('../../examples/custom-sink/http-sink.ts', import.meta.url), 'utf8')
  expect(source.trimEnd().split('\n').length).toBeLessThan(40)
})

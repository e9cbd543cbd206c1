import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { testSink } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { httpSink } from '../../examples/custom-sink/http-sink.ts'

let server: Server
let rows: string[]

/** An endpoint that remembers which batches it has seen, as the sink's idempotency key lets it. */
beforeEach(async () => {
  rows = []
  const seen = new Set<unknown>()
  server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const key = request.headers['idempotency-key']
    if (!seen.has(key)) rows.push(...Buffer.concat(pieces).toString().trimEnd().split('\n'))
    seen.add(key)
    response.end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})

afterEach(() => {
  server.closeAllConnections()
  server.close()
})

describe('the sink of the example keeps the contract', () => {
  const create = () => httpSink({ name: 'rows', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` })
  for (const { name, run } of testSink({ create, read: async () => rows })) test(name, run)
})

test('it is under 40 lines', async () => {
  const source = await readFile(new URL('../../examples/custom-sink/http-sink.ts', import.meta.url), 'utf8')
  expect(source.trimEnd().split('\n').length).toBeLessThan(40)
})

import { describe, it } from 'vitest'
import type { WebhookSinkOptions } from '../../../src/sinks/webhook/options.ts'
import { testSink } from '../../../src/testing/sink.ts'
import { openTunnel } from '../../servers/tunnel.ts'
import { CERTIFICATE } from './certificate.ts'
import { type Answer, type Received, sinkTo, startReceiver } from './receiver.ts'

describe.each<{ title: string; options: Partial<WebhookSinkOptions>; secure?: boolean; manyRows?: number }>([
  { title: 'arrays', options: {}, manyRows: 100_000 },
  {
    title: 'gzipped lines over TLS',
    options: { body: 'ndjson', compression: 'gzip', tls: { ca: CERTIFICATE } },
    secure: true,
  },
  { title: 'signed arrays, zstd', options: { compression: 'zstd', hashKey: 'key', lingerMs: 50 } },
  { title: 'row by row', options: { body: 'row' }, manyRows: 3_000 },
  { title: 'Arrow streams', options: { body: 'arrow' } },
])('the webhook sink keeps the contract: $title', ({ options, secure = false, manyRows = 20_000 }) => {
  const tests = testSink({
    manyRows,
    async create() {
      const endpoint: Endpoint = { answer: () => ({ status: 204 }) }
      const receiver = await startReceiver({ secure, answer: request => endpoint.answer(request) })
      const tunnel = await openTunnel(`127.0.0.1:${receiver.port}`)
      const sink = sinkTo({ url: receiver.url.replace(`:${receiver.port}`, `:${tunnel.port}`) }, options)
      return Object.assign(sink, { endpoint, receiver, tunnel })
    },
    ordered: true,
    read: async ({ receiver }) => receiver.rows,
    async dispose({ receiver, tunnel }) {
      await tunnel.close()
      await receiver.close()
    },
    faults: {
      stall: ({ tunnel }) => tunnel.stall(),
      interrupt: ({ tunnel }) => tunnel.cut(),
      turnAway({ endpoint }, mark) {
        const seen = new Set<string>()
        endpoint.answer = ({ raw, rows }) => {
          const again = seen.has(raw.toString('base64'))
          seen.add(raw.toString('base64'))
          return { status: !again && rows.some(row => row.includes(mark)) ? 503 : 204 }
        }
        return undefined
      },
      // what an endpoint refuses is a body, and nobody knows for which of its rows
      ...(options.body === 'row' ? { refuse } : {}),
      oversize({ endpoint }) {
        endpoint.answer = ({ rows }) => ({ status: rows.join().length > 20_000 ? 413 : 204 })
        return 20_000
      },
      // opening only connects: that an endpoint takes no rows shows with the first
    },
  })
  it.each(tests)('$name', async ({ run }) => run())
})

interface Endpoint {
  answer: (request: Received) => Answer
}

function refuse({ endpoint }: { readonly endpoint: Endpoint }, mark: string): void {
  endpoint.answer = ({ rows }) => ({ status: rows.some(row => row.includes(mark)) ? 422 : 204 })
}

/** An HTTP or HTTPS endpoint that keeps what it takes, and answers as it is told. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { tableFromIPC } from 'apache-arrow'
import type { WebhookSinkOptions } from '../../../src/sinks/webhook/options.ts'
import { webhookSink } from '../../../src/sinks/webhook.ts'
import { CERTIFICATE, PRIVATE_KEY } from './certificate.ts'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly path: string
  /** As it was sent. */
  readonly raw: Buffer
  /** The JSON text of each row. */
  readonly rows: readonly string[]
  /** Who connected. */
  readonly from: string
  readonly port: number
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface ReceiverOptions {
  readonly secure?: boolean
  /** Default: 204 for all. `index`: how many came before; `hang` leaves the request without an answer, `drop` ends its connection. */
  readonly answer?: (request: Received, index: number) => Answer | 'hang' | 'drop' | Promise<Answer>
}

export interface Receiver {
  readonly url: string
  readonly port: number
  /** All requests, in the order in which they were complete. */
  readonly requests: Received[]
  /** Rows that were answered with 2xx. */
  readonly rows: string[]
  /** Connections so far. */
  connections: number
  close(): Promise<void>
}

export async function startReceiver({ secure, answer }: ReceiverOptions = {}): Promise<Receiver> {
  const requests: Received[] = []
  const rows: string[] = []
  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const received = readRequest(request, Buffer.concat(pieces))
    const index = requests.push(received) - 1
    const outcome = (await answer?.(received, index)) ?? { status: 204 }
    if (outcome === 'hang') return
    if (outcome === 'drop') {
      request.socket.destroy()
      return
    }
    if (outcome.status < 300) rows.push(...received.rows)
    response.writeHead(outcome.status, outcome.headers).end(outcome.body)
  }
  const server = secure
    ? createSecureServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (...both) => void onRequest(...both).catch(() => {}))
    : createServer((...both) => void onRequest(...both).catch(() => {}))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const receiver: Receiver = {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}/hook?token=s3cret-of-the-url`,
    port,
    requests,
    rows,
    connections: 0,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  server.on('connection', () => receiver.connections++)
  return receiver
}

function readRequest(request: IncomingMessage, raw: Buffer): Received {
  const { headers, url: path = '' } = request
  const { remoteAddress: from = '', remotePort: port = 0 } = request.socket
  return { headers, path, raw, rows: rowsOf(raw, headers), from, port }
}

function rowsOf(raw: Buffer, headers: IncomingHttpHeaders): string[] {
  const encoding = headers['content-encoding']
  const text = encoding === 'gzip' ? gunzipSync(raw) : encoding === 'zstd' ? zstdDecompressSync(raw) : raw
  if (headers['content-type'] === 'application/vnd.apache.arrow.stream') return arrowRows(text)
  const body = text.toString()
  if (!body.startsWith('[')) return body.trimEnd().split('\n')
  // the rows of the tests read the same after a parse and a stringify
  return (JSON.parse(body) as readonly unknown[]).map(row => JSON.stringify(row))
}

/** By apache-arrow, with none of the sink's code. */
function arrowRows(stream: Uint8Array): string[] {
  return tableFromIPC(stream)
    .toArray()
    .map(row => JSON.stringify({ id: Number(row['id']), key: row['key'], text: row['text'] }))
}

/** A sink to it, which may reach this machine. */
export function sinkTo(receiver: Pick<Receiver, 'url'>, options: Partial<WebhookSinkOptions> = {}) {
  return webhookSink({ name: 'test', url: receiver.url, allowNetworks: ['127.0.0.0/8'], ...options })
}

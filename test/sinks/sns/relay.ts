/** Stands between a client and SNS: hears every request, and answers some of them itself as SNS would. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Relay {
  readonly url: string
  /** In the order in which they came. */
  readonly requests: readonly SnsRequest[]
  /** Asked for each request; undefined passes it on, `silence` leaves it without an answer. */
  rule: (request: SnsRequest) => Reply | 'silence' | undefined
}

export interface SnsRequest {
  readonly action: string
  readonly messages: readonly { readonly id: string; readonly body: string; readonly group: string | null }[]
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/** It ends with the test. */
export async function startRelay(endpoint: string): Promise<Relay> {
  const requests: SnsRequest[] = []
  const relay: Relay & { url: string } = { url: '', requests, rule: () => undefined }
  const server = createServer(async (incoming, outgoing) => {
    const body = await readAll(incoming)
    const request = parse(body)
    requests.push(request)
    const reply = relay.rule(request)
    if (reply === 'silence') return
    const { status = 200, headers = {}, body: text } = reply ?? (await passOn(endpoint, incoming, body))
    outgoing.writeHead(status, { 'content-type': 'text/xml', ...headers }).end(text)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  relay.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return relay
}

/** An error of the whole request, as SNS writes it. */
export function failure(status: number, code: string, message: string, headers: Record<string, string> = {}): Reply {
  const error = `<Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${code}</Code><Message>${message}</Message></Error>`
  const body = `<ErrorResponse xmlns="${NAMESPACE}">${error}<RequestId>r</RequestId></ErrorResponse>`
  return { status, headers, body }
}

/** An answer that names messages as taken and others as failed, with code and `SenderFault`. */
export function batchResult(
  taken: readonly string[],
  failed: Readonly<Record<string, [string, boolean, string?]>>,
): Reply {
  const successes = taken.map(id => `<member><Id>${id}</Id><MessageId>m</MessageId></member>`)
  const failures = Object.entries(failed).map(([id, [code, fault, message]]) => {
    const text = message === undefined ? '' : `<Message>${message}</Message>`
    return `<member><Id>${id}</Id><Code>${code}</Code>${text}<SenderFault>${fault}</SenderFault></member>`
  })
  const lists = `<Successful>${successes.join('')}</Successful><Failed>${failures.join('')}</Failed>`
  return result('PublishBatch', lists)
}

export function topicAttributes(attributes: Readonly<Record<string, string>>): Reply {
  const entries = Object.entries(attributes).map(
    ([key, value]) => `<entry><key>${key}</key><value>${value}</value></entry>`,
  )
  return result('GetTopicAttributes', `<Attributes>${entries.join('')}</Attributes>`)
}

const NAMESPACE = 'http://sns.amazonaws.com/doc/2010-03-31/'

function result(action: string, content: string): Reply {
  const metadata = '<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>'
  return {
    body: `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${content}</${action}Result>${metadata}</${action}Response>`,
  }
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of incoming) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

function parse(body: Buffer): SnsRequest {
  const form = new URLSearchParams(body.toString())
  const messages: SnsRequest['messages'][number][] = []
  for (let member = 1; ; member++) {
    const field = (name: string) => form.get(`PublishBatchRequestEntries.member.${member}.${name}`)
    const id = field('Id')
    if (id === null) return { action: form.get('Action')!, messages }
    messages.push({ id, body: field('Message')!, group: field('MessageGroupId') })
  }
}

async function passOn(endpoint: string, incoming: IncomingMessage, body: Buffer): Promise<Reply> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': incoming.headers['content-type']!,
      authorization: incoming.headers.authorization!,
    },
    body: Uint8Array.from(body),
  })
  return { status: response.status, body: await response.text() }
}

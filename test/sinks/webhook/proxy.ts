/** A forward proxy: absolute-form requests for `http:`, tunnels for `https:` (RFC 9110, section 9.3.6). */
import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

export interface ForwardProxy {
  /** With the credentials that it asks for. */
  readonly url: string
  /** What it was asked to connect to. */
  readonly targets: string[]
  close(): Promise<void>
}

export async function startProxy(): Promise<ForwardProxy> {
  const targets: string[] = []
  const sockets = new Set<Socket>()
  const expected = `Basic ${Buffer.from('me:s3cret').toString('base64')}`
  const server = createServer((request, response) => {
    const url = new URL(request.url!)
    targets.push(`${request.method} ${url.host}`)
    if (request.headers['proxy-authorization'] !== expected) {
      response.writeHead(407).end()
      return
    }
    const { 'proxy-authorization': _, ...headers } = request.headers
    const onward = httpRequest(url, { method: request.method, headers }, answer => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    request.pipe(onward)
  })
  server.on('connect', (request, socket: Socket) => {
    targets.push(`CONNECT ${request.url}`)
    if (request.headers['proxy-authorization'] !== expected) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    const [host, port] = request.url!.split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    sockets.add(onward)
    for (const each of [socket, onward]) each.on('error', () => each.destroy())
  })
  server.on('connection', socket => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://me:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}`,
    targets,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { freePorts } from '../../servers/process.ts'

/** An address where nobody listens. */
export async function closedPort(): Promise<string> {
  const [port] = await freePorts(1)
  return `127.0.0.1:${port}`
}

/** The address of a server that accepts connections, reads, and never says anything; it ends with the test. */
export function silentServer(): Promise<string> {
  return listen(socket => socket.resume())
}

/** The address of a server that speaks as much Kafka as it takes to refuse a login. */
export function refusingServer(): Promise<string> {
  const API_VERSIONS = 18
  const UNSUPPORTED_SASL_MECHANISM = 33
  return listen(socket => {
    let received = Buffer.alloc(0)
    socket.on('data', data => {
      received = Buffer.concat([received, data])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const request = received.subarray(4, 4 + received.readInt32BE(0))
        received = received.subarray(4 + request.length)
        const asksForVersions = request.readInt16BE(0) === API_VERSIONS
        // size, correlation id, error code, and empty lists
        const response = Buffer.alloc(asksForVersions ? 18 : 14)
        response.writeInt32BE(response.length - 4, 0)
        response.writeInt32BE(request.readInt32BE(4), 4)
        response.writeInt16BE(asksForVersions ? 0 : UNSUPPORTED_SASL_MECHANISM, 8)
        socket.write(response)
      }
    })
  })
}

async function listen(serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}))
    serve(socket)
  })
  const [port] = (await freePorts(1)) as [number]
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `127.0.0.1:${port}`
}

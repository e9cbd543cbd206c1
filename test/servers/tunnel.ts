/** A way to a server, in this process, that can be held up and cut; Toxiproxy's delays would take in all that is sent meanwhile. */
import { type AddressInfo, createServer, Socket } from 'node:net'

export interface Tunnel {
  readonly port: number
  /** `host:port` */
  readonly address: string
  /** No byte goes either way, and senders feel it, until the returned function is called. */
  stall(): () => void
  /** Every connection breaks, and none is accepted until the returned function is called. */
  cut(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** `behind`: the server's `host:port`. `via`: a port to listen on; default: a free one. */
export async function openTunnel(behind: string, via = 0): Promise<Tunnel> {
  const [host, serverPort] = behind.split(':') as [string, string]
  const sockets = new Set<Socket>()
  let stalled = false

  function pass(from: Socket, to: Socket): void {
    sockets.add(from)
    if (stalled) from.pause()
    from.on('data', data => {
      if (to.write(data)) return
      from.pause()
      to.once('drain', () => void (stalled || from.resume()))
    })
    from.on('end', () => to.end())
    from.on('error', () => {})
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }

  const server = createServer({ allowHalfOpen: true }, client => {
    const onward = new Socket({ allowHalfOpen: true })
    pass(client, onward)
    pass(onward, client)
    onward.connect(Number(serverPort), host)
  })
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => resolve())
    })
  const close = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  await listen(via)
  const { port } = server.address() as AddressInfo
  return {
    port,
    address: `127.0.0.1:${port}`,
    stall() {
      stalled = true
      for (const socket of sockets) socket.pause()
      return () => {
        stalled = false
        for (const socket of sockets) socket.resume()
      }
    },
    async cut() {
      await close()
      return () => listen(port)
    },
    close,
  }
}

/** A nats-server with JetStream: that of NATS_URL if it is set, else one that is built from its module on Go's module proxy. */
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { goProgram } from './go-program.ts'
import { freePorts, type ServerProcess, startServer, workDirectory } from './process.ts'
import { CannotStart, type Started, type TestServer } from './server.ts'

const VERSION = '2.15.2'

export type NatsFacts = {
  /** `host:port` */
  readonly server: string
  /** What starts further servers, for tests that stop or configure theirs; null where the server was given. */
  readonly program: string | null
}

export const nats: TestServer<NatsFacts> = {
  async start(): Promise<Started<NatsFacts>> {
    const given = process.env['NATS_URL']
    if (given) return { facts: { server: given.replace(/^nats:\/\//, ''), program: null }, stop: async () => {} }
    const program = await goProgram(
      `nats-server-${VERSION}`,
      'nats-server',
      `github.com/nats-io/nats-server/v2@v${VERSION}`,
    )
    if (program === undefined) throw new CannotStart('set NATS_URL, or install Go')
    const [port] = (await freePorts(1)) as [number]
    const { stop } = await startNats(program, { port })
    return { facts: { server: `127.0.0.1:${port}`, program }, stop }
  },
}

export interface NatsOptions {
  readonly port: number
  /** Default: one that goes with the server. */
  readonly storeDir?: string
  /** A configuration file, for what arguments cannot say. */
  readonly config?: string
}

export async function startNats(program: string, { port, storeDir, config }: NatsOptions): Promise<ServerProcess> {
  const dir = await workDirectory('nats')
  return startServer({
    dir,
    command: program,
    args: [
      ...['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', storeDir ?? join(dir, 'store')],
      ...(config ? ['-c', config] : []),
    ],
    ready: () => greets(port),
    timeoutMs: 30_000,
  })
}

/** It speaks first. */
function greets(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', data => {
      socket.destroy()
      if (data.toString('latin1').startsWith('INFO ')) resolve()
      else reject(new Error('it is no NATS server'))
    })
  })
}

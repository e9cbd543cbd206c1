/** Toxiproxy, built from its module on Go's module proxy: stands between a client and a server, and spoils the connection. */
import { goProgram } from './go-program.ts'
import { freePorts, startServer, workDirectory } from './process.ts'

const VERSION = '2.5.0'

export interface Toxiproxy {
  /** Adds a toxic to every connection, present and to come: https://github.com/Shopify/toxiproxy#toxics */
  add(toxic: Toxic): Promise<void>
  /** Down: every connection is closed, and none is accepted. */
  setUp(up: boolean): Promise<void>
  /** Takes all toxics away and sets the proxy up. */
  heal(): Promise<void>
  stop(): Promise<void>
}

export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'timeout' | 'reset_peer' | 'slicer'
  /** `upstream`: from the client to the server. */
  readonly stream: 'upstream' | 'downstream'
  readonly attributes: Readonly<Record<string, number>>
}

/** The path of the server's program, built if this is the first time; undefined where there is no Go, or no way to its module proxy. */
export function toxiproxyProgram(): Promise<string | undefined> {
  return goProgram(`toxiproxy-${VERSION}`, 'server', `github.com/Shopify/toxiproxy/v2/cmd/server@v${VERSION}`)
}

/** One proxy, from the port `via` to the port `behind`. */
export async function startToxiproxy(program: string, via: number, behind: number): Promise<Toxiproxy> {
  const [port] = (await freePorts(1)) as [number]
  const url = `http://127.0.0.1:${port}`
  const ask = async (path: string, body?: unknown): Promise<void> => {
    const posted = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const response = await fetch(url + path, posted)
    if (!response.ok) throw new Error(`toxiproxy ${path}: ${response.status} ${await response.text()}`)
  }
  const server = await startServer({
    dir: await workDirectory('toxiproxy'),
    command: program,
    args: ['-host', '127.0.0.1', '-port', String(port)],
    ready: () => ask('/version'),
    timeoutMs: 30_000,
  })
  await ask('/proxies', { name: 'way', listen: `127.0.0.1:${via}`, upstream: `127.0.0.1:${behind}`, enabled: true })
  return {
    add: toxic => ask('/proxies/way/toxics', toxic),
    setUp: enabled => ask('/proxies/way', { enabled }),
    heal: () => ask('/reset', {}),
    stop: () => server.stop(),
  }
}

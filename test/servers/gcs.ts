/** fake-gcs-server, which speaks the JSON API of Google Cloud Storage, built from its module on Go's module proxy. */
import { goProgram } from './go-program.ts'
import { freePorts, startServer, workDirectory } from './process.ts'
import { CannotStart, type Started, type TestServer } from './server.ts'

const VERSION = '1.56.1'

export type GcsFacts = {
  /** URL, with no credentials needed; buckets are the tests' own. */
  readonly endpoint: string
}

/** That of STORAGE_EMULATOR_HOST if it is set. */
export const gcs: TestServer<GcsFacts> = {
  async start(): Promise<Started<GcsFacts>> {
    const given = process.env['STORAGE_EMULATOR_HOST']
    if (given) return { facts: { endpoint: given.includes('://') ? given : `http://${given}` }, stop: async () => {} }
    const program = await goProgram(
      `fake-gcs-server-${VERSION}`,
      'fake-gcs-server',
      `github.com/fsouza/fake-gcs-server@v${VERSION}`,
    )
    if (program === undefined)
      throw new CannotStart('set STORAGE_EMULATOR_HOST, or install Go with a way to its module proxy')
    const [port] = (await freePorts(1)) as [number]
    const endpoint = `http://127.0.0.1:${port}`
    const { stop } = await startServer({
      dir: await workDirectory('gcs'),
      command: program,
      args: [
        '-scheme',
        'http',
        '-host',
        '127.0.0.1',
        '-port',
        String(port),
        '-backend',
        'memory',
        '-public-host',
        `127.0.0.1:${port}`,
      ],
      ready: async () => {
        const response = await fetch(`${endpoint}/storage/v1/b?project=test`)
        if (!response.ok) throw new Error(`${endpoint} answers ${response.status}`)
        await response.arrayBuffer()
      },
      timeoutMs: 30_000,
    })
    return { facts: { endpoint }, stop }
  },
}

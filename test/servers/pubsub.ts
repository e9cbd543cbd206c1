import { createHash } from 'node:crypto'
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts, hasCommand, run, startServer, workDirectory } from './process.ts'
import { CannotStart, type Started, type TestServer } from './server.ts'

/** Its sources, with a go.mod of their own. */
const SOURCE = fileURLToPath(new URL('pubsub/', import.meta.url))
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))

export type PubsubFacts = {
  /** host:port of an emulator; projects and topics are the tests' own. */
  readonly host: string
  /** URL of what orders faults and shows what arrived (pubsub/main.go); null with an emulator from outside. */
  readonly control: string | null
}

/** The emulator of PUBSUB_EMULATOR_HOST if that is set, else Google's fake, built where there is Go. */
export const pubsub: TestServer<PubsubFacts> = {
  async start(): Promise<Started<PubsubFacts>> {
    const given = process.env['PUBSUB_EMULATOR_HOST']
    if (given) {
      await answers(given)
      return { facts: { host: given, control: null }, stop: async () => {} }
    }
    const program = await buildFake()
    if (program === undefined)
      throw new CannotStart('set PUBSUB_EMULATOR_HOST, or install Go 1.26 with a way to its module proxy')
    const [port, controlPort] = (await freePorts(2)) as [number, number]
    const [host, control] = [`127.0.0.1:${port}`, `127.0.0.1:${controlPort}`]
    const { stop } = await startServer({
      dir: await workDirectory('pubsub'),
      command: program,
      args: [host, control],
      ready: () => Promise.all([answers(host), answers(control)]),
      timeoutMs: 30_000,
    })
    return { facts: { host, control: `http://${control}` }, stop }
  },
}

/** The path of the fake's program, built if this is the first time for its sources; undefined without Go, or its modules. */
async function buildFake(): Promise<string | undefined> {
  const hash = createHash('sha256')
  for (const name of ['main.go', 'go.mod', 'go.sum']) hash.update(await readFile(join(SOURCE, name)))
  const dir = join(CACHE, `pubsub-${hash.digest('hex').slice(0, 12)}`)
  const program = join(dir, 'pubsub')
  if (await exists(program)) return program
  if (!(await hasCommand('go', '-C', SOURCE, 'mod', 'download'))) return undefined
  // elsewhere first: two runs at once both succeed, and an interrupted one leaves no half
  const partial = `${dir}.${process.pid}.partial`
  try {
    await mkdir(partial, { recursive: true })
    await run('go', ['build', '-C', SOURCE, '-o', join(partial, 'pubsub'), '.'])
    await rename(partial, dir)
  } catch (error) {
    if (!(await exists(program))) throw error
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return program
}

function answers(address: string): Promise<void> {
  const [host, port] = address.split(':') as [string, string]
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** One Kafka broker (KRaft) of a caller's own, which may be killed and started again with what is in its log. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format, java, singleNode } from './kafka-apache.ts'
import { answersMetadata } from './kafka-facts.ts'
import { freePorts, type ServerProcess, startServer, workDirectory } from './process.ts'

export interface KafkaBroker {
  /** The straight way. */
  readonly brokers: readonly string[]
  /** The broker calls itself by `via` there, where nobody listens until the caller puts something in between, and listens on `behind`. */
  readonly door: { readonly via: number; readonly behind: number }
  /** With all that is not in its log yet. */
  kill(): Promise<void>
  /** Resolves when it answers. */
  start(): Promise<void>
}

/** `data`: a directory of the caller's, in which the log stays. */
export async function startKafkaBroker(jars: string, data: string): Promise<KafkaBroker> {
  const [plain, via, behind, controller] = (await freePorts(4)) as [number, number, number, number]
  const brokers = [`127.0.0.1:${plain}`]
  const properties = join(data, 'kafka.properties')
  let running: ServerProcess | undefined

  async function start(): Promise<void> {
    running = await startServer({
      dir: await workDirectory('kafka-broker'),
      command: 'java',
      args: [...java(jars), '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', 'kafka.Kafka', properties],
      ready: () => answersMetadata(brokers),
      timeoutMs: 180_000,
    })
  }

  await mkdir(data, { recursive: true })
  await writeFile(
    properties,
    `${singleNode(controller)}
listeners=PLAIN://127.0.0.1:${plain},BEHIND://127.0.0.1:${behind},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAIN://127.0.0.1:${plain},BEHIND://127.0.0.1:${via}
listener.security.protocol.map=PLAIN:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${join(data, 'log')}
auto.create.topics.enable=false
`,
  )
  await format(jars, properties)
  await start()
  return {
    brokers,
    door: { via, behind },
    start,
    async kill() {
      await running?.stop()
      running = undefined
    },
  }
}

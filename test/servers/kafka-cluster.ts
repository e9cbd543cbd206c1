/**
 * Three Kafka brokers (KRaft), for what one broker cannot do: change leaders, be stopped and come back while the others go on.
 * Started by the test file itself, which has to reach into it. Broker 1 is the controller too, and stays.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { format, java, kafkaJars, newClusterId } from './kafka-apache.ts'
import { answersMetadata } from './kafka-facts.ts'
import { freePorts, type ServerProcess, startServer, workDirectory } from './process.ts'

const BROKERS = [1, 2, 3] as const
export type BrokerId = (typeof BROKERS)[number]

export interface KafkaCluster {
  /** All brokers, as they are. */
  readonly brokers: readonly string[]
  /**
   * The ways that a client takes which comes in through `via`: brokers call themselves by these ports there, where nobody listens
   * until the test puts something in between, and listen on the others.
   */
  readonly doors: readonly { readonly id: BrokerId; readonly via: number; readonly behind: number }[]
  /** Ends a broker in order: it hands its partitions over, answers what it has begun, and notes down what it knows of producers. */
  shutDown(id: BrokerId): Promise<void>
  /** Kills a broker, with all that is not in its log yet. */
  kill(id: BrokerId): Promise<void>
  /** Starts one that is gone, with what is in its log. Resolves when it answers. */
  start(id: BrokerId): Promise<void>
  stop(): Promise<void>
}

/** A suite that needs the jars of Apache Kafka; skipped where they cannot be had. */
export async function describeWithKafkaJars(title: string, suite: (jars: string) => void): Promise<void> {
  const jars = await kafkaJars()
  if (jars !== undefined) {
    describe(title, () => suite(jars))
    return
  }
  const missing = 'install Java 17 and Maven'
  if (process.env['MILLRACE_REQUIRE_SERVERS'] === '1')
    throw new Error(`no Kafka cluster to test against, and MILLRACE_REQUIRE_SERVERS=1: ${missing}`)
  describe.skip(title, () => test(`needs a Kafka cluster: ${missing}`, () => {}))
}

export async function startKafkaCluster(jars: string): Promise<KafkaCluster> {
  // the directory of the first broker, which stays, holds all data: it goes when that broker goes, however this ends
  const home = await workDirectory('kafka-cluster')
  const [controller, ...ports] = (await freePorts(1 + 3 * BROKERS.length)) as [number, ...number[]]
  const clusterId = newClusterId()
  const nodes = BROKERS.map((id, index) => {
    const [plain, via, behind] = ports.slice(index * 3, index * 3 + 3) as [number, number, number]
    return { id, plain, via, behind, controller, data: join(home, `data-${id}`) }
  })
  const running = new Map<BrokerId, ServerProcess>()
  const options = [...java(jars), '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', 'kafka.Kafka']

  async function start(id: BrokerId): Promise<void> {
    const node = nodes[id - 1]!
    const dir = id === 1 ? home : await workDirectory(`kafka-${id}`)
    const server = await startServer({
      dir,
      // the shell writes down its process id, and becomes the broker
      command: '/bin/sh',
      args: ['-c', 'echo $$ > "$0" && exec java "$@"', pidOf(home, node), ...options, propertiesOf(home, node)],
      ready: () => answersMetadata([`127.0.0.1:${node.plain}`]),
      timeoutMs: 180_000,
    })
    running.set(id, server)
  }

  async function kill(id: BrokerId): Promise<void> {
    await running.get(id)?.stop()
    running.delete(id)
  }

  async function shutDown(id: BrokerId): Promise<void> {
    const pid = Number(await readFile(pidOf(home, nodes[id - 1]!), 'utf8'))
    process.kill(pid, 'SIGTERM')
    while (isRunning(pid)) await new Promise(resolve => setTimeout(resolve, 50))
    await kill(id)
  }

  for (const node of nodes) {
    await mkdir(node.data)
    await writeFile(propertiesOf(home, node), configuration(node))
    const meta = `version=1\ncluster.id=${clusterId}\nnode.id=${node.id}\n`
    if (node.id > 1) await writeFile(join(node.data, 'meta.properties'), meta)
  }
  await format(jars, propertiesOf(home, nodes[0]!), clusterId)
  try {
    await Promise.all(BROKERS.map(start))
  } catch (error) {
    await Promise.all(BROKERS.map(kill))
    throw error
  }
  return {
    brokers: nodes.map(({ plain }) => `127.0.0.1:${plain}`),
    doors: nodes,
    start,
    kill,
    shutDown,
    stop: async () => void (await Promise.all(BROKERS.map(kill))),
  }
}

interface Node {
  readonly id: BrokerId
  readonly plain: number
  readonly via: number
  readonly behind: number
  readonly controller: number
  readonly data: string
}

function propertiesOf(home: string, { id }: Node): string {
  return join(home, `${id}.properties`)
}

function pidOf(home: string, { id }: Node): string {
  return join(home, `${id}.pid`)
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A broker that is gone is noticed soon, and leaders stay where they are until somebody moves them. */
function configuration({ id, plain, via, behind, controller, data }: Node): string {
  const listeners = `PLAIN://127.0.0.1:${plain},BEHIND://127.0.0.1:${behind}`
  return `
process.roles=${id === 1 ? 'broker,controller' : 'broker'}
node.id=${id}
controller.quorum.voters=1@127.0.0.1:${controller}
controller.listener.names=CONTROLLER
listeners=${listeners}${id === 1 ? `,CONTROLLER://127.0.0.1:${controller}` : ''}
advertised.listeners=PLAIN://127.0.0.1:${plain},BEHIND://127.0.0.1:${via}
listener.security.protocol.map=PLAIN:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
log.dirs=${data}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.leader.rebalance.enable=false
auto.create.topics.enable=false
min.insync.replicas=2
quota.window.num=3
offsets.topic.num.partitions=1
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
`
}

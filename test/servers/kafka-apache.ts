/** Apache Kafka from its jars on Maven Central, as one process that is broker and controller (KRaft). */
import { randomBytes } from 'node:crypto'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answersMetadata, type KafkaFacts } from './kafka-facts.ts'
import { freePorts, hasCommand, run, startServer, workDirectory } from './process.ts'
import type { Started } from './server.ts'

const VERSION = '4.1.0'
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const USER = 'tester'

/** A directory with Kafka's jars, downloaded (54 MB) if this is the first time; undefined where Java, or then Maven, is missing. */
export async function kafkaJars(): Promise<string | undefined> {
  const jars = join(CACHE, `kafka-${VERSION}`)
  if (!(await hasCommand('java', '-version'))) return undefined
  if (await exists(jars)) return jars
  if (!(await hasCommand('mvn', '-v'))) return undefined
  await download(jars)
  return jars
}

/** Into a directory of its own, which becomes the cache when it is whole: two runs at once both succeed, and an interrupted one leaves no half. */
async function download(jars: string): Promise<void> {
  const partial = `${jars}.${process.pid}.partial`
  await mkdir(partial, { recursive: true })
  try {
    const pom = join(partial, 'pom.xml')
    await writeFile(
      pom,
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
        <groupId>millrace</groupId><artifactId>test-kafka</artifactId><version>1</version>
        <dependencies>
          <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version></dependency>
          <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
        </dependencies></project>`,
    )
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`])
    await rename(partial, jars)
  } catch (error) {
    if (!(await exists(jars))) throw error
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

export async function startApacheKafka(jars: string): Promise<Started<KafkaFacts>> {
  const dir = await workDirectory('kafka')
  const [plain, secure, controller, via, behind] = (await freePorts(5)) as [number, number, number, number, number]
  const door = { via, behind }
  const password = randomBytes(12).toString('hex')
  const properties = join(dir, 'kafka.properties')
  await writeFile(properties, configuration({ dir, plain, secure, controller, door, password }))
  const [ca] = await Promise.all([makeCertificate(dir, password), format(jars, properties)])
  const brokers = [`127.0.0.1:${plain}`]
  const { stop } = await startServer({
    dir,
    command: 'java',
    args: [...java(jars), ...BROKER_OPTIONS, 'kafka.Kafka', properties],
    ready: () => answersMetadata(brokers),
    timeoutMs: 90_000,
  })
  const facts = { brokers, secure: { brokers: [`127.0.0.1:${secure}`], ca, username: USER, password }, door }
  return { facts, stop }
}

/** As Kafka's own `kafka-server-start.sh` has them: with a smaller heap most of a broker's time goes into collecting batches. */
const BROKER_OPTIONS: readonly string[] = [
  ...['-Xms1g', '-Xmx1g'],
  ...['-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:InitiatingHeapOccupancyPercent=35'],
  '-XX:+ExplicitGCInvokesConcurrent',
]

export async function format(jars: string, properties: string, clusterId: string = newClusterId()): Promise<void> {
  // the first compiler only: this JVM ends before the second would pay
  const options = [...java(jars), '-XX:TieredStopAtLevel=1']
  await run('java', [...options, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties])
}

/** The first arguments of every JVM. */
export function java(jars: string): string[] {
  return ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', join(jars, '*')]
}

interface Configuration {
  readonly dir: string
  readonly plain: number
  readonly secure: number
  readonly controller: number
  readonly door: { readonly via: number; readonly behind: number }
  readonly password: string
}

/** Of any one process that is broker and controller. `controller`: its port. */
export function singleNode(controller: number): string {
  return `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
`
}

/** Topics are created on demand, as is Kafka's default: so a test notices a client that asks for one that it must not create. */
function configuration({ dir, plain, secure, controller, door, password }: Configuration): string {
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  return `${singleNode(controller)}
listeners=PLAIN://127.0.0.1:${plain},SECURE://127.0.0.1:${secure},DOOR://127.0.0.1:${door.behind},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAIN://127.0.0.1:${plain},SECURE://127.0.0.1:${secure},DOOR://127.0.0.1:${door.via}
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,DOOR:PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=${login} required user_${USER}="${password}";
listener.name.secure.ssl.keystore.location=${join(dir, 'keystore.p12')}
listener.name.secure.ssl.keystore.password=${password}
log.dirs=${join(dir, 'data')}
num.partitions=4
`
}

/** Makes the broker's key pair in `keystore.p12` and answers its certificate, which signs itself. */
async function makeCertificate(dir: string, password: string): Promise<string> {
  const keystore = ['-keystore', join(dir, 'keystore.p12'), '-storepass', password, '-alias', 'broker']
  const certificate = join(dir, 'broker.pem')
  const name = ['-dname', 'CN=127.0.0.1', '-ext', 'SAN=IP:127.0.0.1', '-validity', '30']
  await run('keytool', [
    '-genkeypair',
    '-storetype',
    'PKCS12',
    '-keyalg',
    'EC',
    '-groupname',
    'secp256r1',
    ...name,
    ...keystore,
  ])
  await run('keytool', ['-exportcert', '-rfc', '-file', certificate, ...keystore])
  return readFile(certificate, 'utf8')
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Never with `-` in front, which the tool that formats takes for an option. */
export function newClusterId(): string {
  const bytes = randomBytes(16)
  bytes[0]! &= 0x7f
  return bytes.toString('base64url')
}

/** What all rounds share: the table, the broker, and what stands before it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaJars } from '../servers/kafka-apache.ts'
import { type KafkaBroker, startKafkaBroker } from '../servers/kafka-broker.ts'
import { startToxiproxy, type Toxiproxy, toxiproxyProgram } from '../servers/toxiproxy.ts'
import { type Topics, topicsOf } from '../sinks/kafka/topics.ts'
import { makeTable } from './table.ts'

export interface World {
  readonly dir: string
  readonly database: string
  readonly broker: KafkaBroker
  readonly topics: Topics
  /** Where there is Go to build it. */
  readonly proxy: Toxiproxy | undefined
  /** Brokers as engines are told them: through the proxy. */
  readonly way: readonly string[]
  end(): Promise<void>
}

/** Undefined where there is no Java and no Maven to have a broker. */
export async function makeWorld(): Promise<World | undefined> {
  const jars = await kafkaJars()
  if (jars === undefined) return undefined
  const dir = await mkdtemp(join(tmpdir(), 'millrace-chaos-'))
  const ends: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })]
  const end = async (): Promise<void> => {
    for (const each of ends.reverse()) await each()
  }
  try {
    const database = join(dir, 'warehouse.duckdb')
    const [broker, program] = await Promise.all([
      startKafkaBroker(jars, join(dir, 'kafka')),
      toxiproxyProgram(),
      makeTable(database),
    ])
    ends.push(() => broker.kill())
    const { via, behind } = broker.door
    const proxy = program === undefined ? undefined : await startToxiproxy(program, via, behind)
    if (proxy) ends.push(() => proxy.stop())
    const way = proxy ? [`127.0.0.1:${via}`] : broker.brokers
    return { dir, database, broker, topics: topicsOf(broker.brokers), proxy, way, end }
  } catch (error) {
    await end()
    throw error
  }
}

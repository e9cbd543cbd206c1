/** Whoever takes part, ready to be run: which program, with which settings, over how many rows. */
import { availableParallelism } from 'node:os'
import type { Broker, Topics } from './broker.ts'
import type { EngineSettings } from './cases/engine.ts'
import type { PreencodedSettings } from './cases/preencoded.ts'
import type { ReaderSettings } from './cases/reader.ts'
import type { ReadyBodiesSettings } from './cases/ready-bodies.ts'
import type { Measurement } from './child.ts'
import { beginningOf, pathsOf, type StagedTable } from './data.ts'
import type { Endpoint, EndpointUrls } from './endpoint.ts'
import { type Contestant, runNode, runProgram } from './harness.ts'
import type { PubsubTopics } from './parts/pubsub.ts'
import type { DuckdbSettings } from './peers/duckdb-to-json.ts'
import type { HandwrittenSettings } from './peers/handwritten.ts'
import type { PlatformaticSettings } from './peers/platformatic-send.ts'
import type { PublisherSettings } from './peers/pubsub-publisher.ts'
import { KAFKA_SETTINGS } from './settings.ts'

/** As many as the engine takes by itself. */
export const DEFAULT_LANES: number = Math.max(1, availableParallelism() - 1)

/** Of a table that is warmed up with. */
const WARMUP_SHARE = 0.25

interface EngineOptions {
  readonly lanes: number
  readonly checkpointSteps?: number
  readonly loop?: boolean
  readonly urls?: string
}

export function engineToNull(name: string, table: StagedTable, options: EngineOptions): Contestant {
  return { name, rows: table.rows, run: () => runEngine(table, options) }
}

export function engineToKafka(name: string, table: StagedTable, broker: Broker, options: EngineOptions): Contestant {
  return { name, rows: table.rows, run: () => broker.deliver(kafka => runEngine(table, { ...options, kafka })) }
}

export function engineToWebhook(
  name: string,
  table: StagedTable,
  endpoint: Endpoint,
  options: EngineOptions,
): Contestant {
  return { name, rows: table.rows, run: () => endpoint.deliver(webhook => runEngine(table, { ...options, webhook })) }
}

export function readyBodies(name: string, table: StagedTable, endpoint: Endpoint): Contestant {
  const { rows } = table
  const settings = { table, rows, warmupRows: warmupOf(table).rows }
  return {
    name,
    rows,
    run: () =>
      endpoint.deliver(urls =>
        runNode(programOf('cases/ready-bodies.ts'), { ...settings, ...urls } satisfies ReadyBodiesSettings),
      ),
  }
}

type DeliverToPubsub = (run: (topics: PubsubTopics) => Promise<Measurement>) => Promise<Measurement>

export function engineToPubsub(name: string, table: StagedTable, deliver: DeliverToPubsub, lanes: number): Contestant {
  return { name, rows: table.rows, run: () => deliver(pubsub => runEngine(table, { lanes, pubsub })) }
}

export function pubsubPublisher(name: string, table: StagedTable, deliver: DeliverToPubsub): Contestant {
  const { rows } = table
  const settings = { table, rows, warmupRows: warmupOf(table).rows }
  const run = (topics: PubsubTopics) =>
    runNode(programOf('peers/pubsub-publisher.ts'), { ...settings, ...topics } satisfies PublisherSettings)
  return { name, rows, run: () => deliver(run) }
}

function runEngine(
  table: StagedTable,
  options: EngineOptions & { readonly kafka?: Topics; readonly webhook?: EndpointUrls; readonly pubsub?: PubsubTopics },
) {
  const engine: EngineSettings = { table, warmup: warmupOf(table), ...options }
  return runNode(programOf('cases/engine.ts'), engine)
}

export function reader(name: string, table: StagedTable, changes: ReaderSettings['changes']): Contestant {
  const settings: ReaderSettings = { table, warmup: warmupOf(table), changes }
  return { name, rows: table.rows, run: () => runNode(programOf('cases/reader.ts'), settings) }
}

export function duckdbToJson(name: string, table: StagedTable, to: DuckdbSettings['to']): Contestant {
  const settings: DuckdbSettings = { paths: pathsOf(table), warmupPaths: pathsOf(warmupOf(table)), to }
  return { name, rows: table.rows, run: () => runNode(programOf('peers/duckdb-to-json.ts'), settings) }
}

export function preencoded(name: string, table: StagedTable, broker: Broker): Contestant {
  const { rows } = table
  const settings = { table, rows, warmupRows: warmupOf(table).rows }
  return {
    name,
    rows,
    run: () =>
      broker.deliver(topics =>
        runNode(programOf('cases/preencoded.ts'), { ...settings, ...topics } satisfies PreencodedSettings),
      ),
  }
}

/** Slow clients send only the first rows, so that a round does not last for ever: their rates stay the same. */
export function handwritten(name: string, table: StagedTable, broker: Broker, most: number): Contestant {
  const settings = { ...firstRows(table, most), paths: pathsOf(table) }
  return {
    name,
    rows: settings.rows,
    run: () =>
      broker.deliver(topics =>
        runNode(programOf('peers/handwritten.ts'), { ...settings, ...topics } satisfies HandwrittenSettings),
      ),
  }
}

export function platformaticSend(name: string, table: StagedTable, broker: Broker, most: number): Contestant {
  const settings = { ...firstRows(table, most), table }
  return {
    name,
    rows: settings.rows,
    run: () =>
      broker.deliver(topics =>
        runNode(programOf('peers/platformatic-send.ts'), { ...settings, ...topics } satisfies PlatformaticSettings),
      ),
  }
}

export function librdkafka(name: string, table: StagedTable, broker: Broker, most: number, python: string): Contestant {
  const settings = { ...firstRows(table, most), ...KAFKA_SETTINGS, paths: pathsOf(table) }
  const program = programOf('peers/librdkafka.py').pathname
  return {
    name,
    rows: settings.rows,
    run: () => broker.deliver(topics => runProgram([python, program], { ...settings, ...topics })),
  }
}

/** All rows twice: Java's compilers take longer to warm up than a part of them. */
export function spark(
  name: string,
  table: StagedTable,
  broker: Broker,
  { python, jars }: { readonly python: string; readonly jars: readonly string[] },
): Contestant {
  const settings = { ...KAFKA_SETTINGS, jars, paths: pathsOf(table), rows: table.rows }
  const program = programOf('peers/spark.py').pathname
  return {
    name,
    rows: table.rows,
    run: () => broker.deliver(topics => runProgram([python, program], { ...settings, ...topics })),
  }
}

function warmupOf(table: StagedTable): StagedTable {
  return beginningOf(table, table.rows * WARMUP_SHARE)
}

function firstRows(table: StagedTable, most: number): { readonly rows: number; readonly warmupRows: number } {
  const rows = Math.min(most, table.rows)
  return { rows, warmupRows: Math.floor(rows * WARMUP_SHARE) }
}

function programOf(path: string): URL {
  return new URL(path, import.meta.url)
}

/** The engine: staged files to a Kafka or Pub/Sub topic, a webhook or the null sink, with its SQLite store, so that checkpoints are part of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import { nullSink } from '../../src/sinks/null.ts'
import { pubsubSink } from '../../src/sinks/pubsub.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { webhookSink } from '../../src/sinks/webhook.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'
import { measured, print, settings } from '../child.ts'
import type { StagedTable } from '../data.ts'
import type { EndpointUrls } from '../endpoint.ts'
import type { PubsubTopics } from '../parts/pubsub.ts'
import { WEBHOOK_SETTINGS } from '../settings.ts'
import { stagedSource } from '../staged-source.ts'

export interface EngineSettings {
  readonly table: StagedTable
  readonly warmup: StagedTable
  readonly lanes: number
  /** Default: into the null sink. */
  readonly kafka?: { readonly brokers: readonly string[]; readonly topic: string; readonly warmupTopic: string }
  readonly webhook?: EndpointUrls
  readonly pubsub?: PubsubTopics
  /** Stores every checkpoint in so many steps instead of one: what storing them costs, made large enough to measure. Default 1. */
  readonly checkpointSteps?: number
  /** What stands before the names of files, where they are behind URLs. Default: they are on the disk. */
  readonly urls?: string
  /** Measures the host's event loop too, which costs a timer every millisecond. */
  readonly loop?: boolean
}

const { table, warmup, lanes, kafka, webhook, pubsub, checkpointSteps = 1, loop, urls } = settings<EngineSettings>()
const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
const { store, reports } = inSteps(sqliteStore({ path: join(directory, 'store.sqlite') }), checkpointSteps)
const sinks = {
  warmup: sinkOf('warmup', (kafka ?? pubsub)?.warmupTopic, webhook?.warmupUrl),
  table: sinkOf('table', (kafka ?? pubsub)?.topic, webhook?.url),
}
const engine = createEngine({
  source: stagedSource({ warmup, table }, urls),
  sinks: Object.values(sinks),
  store,
  lanes,
})

await backfill(engine, 'warmup')
const before = reports()
const delay = loop ? monitorEventLoopDelay({ resolution: 1 }) : undefined
delay?.enable()
const result = await measured(() => backfill(engine, 'table'))
delay?.disable()
print({
  ...result,
  reports: reports() - before,
  ...(delay ? { loopP99Ms: delay.percentile(99) / 1e6, loopMaxMs: delay.max / 1e6 } : {}),
})
await engine.close()
await store.close()
await rm(directory, { recursive: true })

function sinkOf(name: string, topic: string | undefined, url: string | undefined): Sink {
  if (kafka && topic !== undefined) return kafkaSink({ name, brokers: kafka.brokers, topic })
  if (pubsub && topic !== undefined)
    return pubsubSink({ name, apiEndpoint: pubsub.host, projectId: pubsub.project, topic })
  if (url !== undefined) return webhookSink({ name, url, allowNetworks: ['127.0.0.0/8'], ...WEBHOOK_SETTINGS })
  return nullSink({ name })
}

async function backfill(engine: Engine, name: 'warmup' | 'table'): Promise<number> {
  const { job_id } = await engine.create({
    table: name,
    backfill_window: { start: '2000-01-01', end: '2100-01-01' },
    destinations: [{ type: sinks[name].type, name }],
  })
  let delivered = 0
  for await (const job of engine.watch(job_id)) {
    if (job.error_message !== null) throw new Error(job.error_message)
    delivered = job.destinations[0]!.delivered
  }
  return delivered
}

/** Before each report go `steps - 1` that move its watermarks a part of the way. Counts them all. */
function inSteps(store: Store, steps: number): { readonly store: Store; readonly reports: () => number } {
  let count = 0
  const watermarks = new Map<string, number>()
  const stepping: Store = {
    ...store,
    async report(lease, report, maxDeadLetters) {
      const stored = (chunk: number) => watermarks.get(`${lease.jobId} ${chunk}`) ?? 0
      for (let step = 1; step < steps; step++) {
        const checkpoints = report.checkpoints.map(checkpoint => {
          const from = stored(checkpoint.chunk)
          return { ...checkpoint, done: false, row: from + Math.floor(((checkpoint.row - from) * step) / steps) }
        })
        await store.report(lease, { ...report, checkpoints, deadLetters: [], proof: [] }, maxDeadLetters)
        count++
      }
      const answer = await store.report(lease, report, maxDeadLetters)
      for (const { chunk, row } of report.checkpoints) watermarks.set(`${lease.jobId} ${chunk}`, row)
      count++
      return answer
    },
  }
  return { store: stepping, reports: () => count }
}

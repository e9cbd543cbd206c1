/** Parquet to a Pub/Sub topic, against the client's own publisher with rows that are ready. Google's fake on this machine is the service. */
import { randomUUID } from 'node:crypto'
import { PubSub } from '@google-cloud/pubsub'
import { pubsub } from '../../test/servers/pubsub.ts'
import { CannotStart } from '../../test/servers/server.ts'
import type { Measurement } from '../child.ts'
import { DEFAULT_LANES, engineToPubsub, pubsubPublisher } from '../contestants.ts'
import { stagedTransfers } from '../data.ts'
import { cpuPerMillion, interleave, quotients, rowsPerSecond, series, spread } from '../harness.ts'
import type { Part } from './part.ts'

const ENGINE = 'Parquet to Pub/Sub'
const PUBLISHER = "@google-cloud/pubsub's publisher, ready rows"
const PROJECT = 'bench'
/** The fake keeps every message in memory. */
const MOST_ROWS = 200_000

/** Where a run publishes to. */
export interface PubsubTopics {
  readonly host: string
  readonly project: string
  readonly topic: string
  readonly warmupTopic: string
}

export const pubsubPart: Part = async ({ rows, rounds, say }) => {
  const missing = await whyMissing()
  if (missing !== undefined) return { runs: new Map(), skipped: { pubsub: missing } }
  const table = await stagedTransfers(Math.min(rows, MOST_ROWS))
  const contestants = [
    engineToPubsub(ENGINE, table, deliver, DEFAULT_LANES),
    pubsubPublisher(PUBLISHER, table, deliver),
  ]
  const runs = await interleave(contestants, rounds, say)
  const over = (figure: typeof rowsPerSecond) =>
    spread(quotients(series(runs, ENGINE, figure), series(runs, PUBLISHER, figure)))
  return {
    runs,
    figures: { pubsub_over_own_publisher: over(rowsPerSecond), pubsub_cpu_over_own_publisher: over(cpuPerMillion) },
  }
}

async function whyMissing(): Promise<string | undefined> {
  if (process.env['PUBSUB_EMULATOR_HOST']) return 'needs the fake of test/servers: unset PUBSUB_EMULATOR_HOST'
  try {
    await (await pubsub.start()).stop()
    return undefined
  } catch (error) {
    if (error instanceof CannotStart) return error.message
    throw error
  }
}

/** A run with a fake of its own. Throws when that has another number of messages in the end than the run says. */
async function deliver(run: (topics: PubsubTopics) => Promise<Measurement>): Promise<Measurement> {
  const { facts, stop } = await pubsub.start()
  const { host, control } = facts
  const [topic, warmupTopic] = [`t-${randomUUID()}`, `w-${randomUUID()}`]
  const client = new PubSub({ apiEndpoint: host, projectId: PROJECT })
  try {
    for (const name of [topic, warmupTopic]) await client.createTopic(name)
    const measurement = await run({ host, project: PROJECT, topic, warmupTopic })
    const answer = await fetch(`${control}/calls?topic=${encodeURIComponent(`projects/${PROJECT}/topics/${topic}`)}`)
    const calls = (await answer.json()) as readonly { readonly messages: number }[]
    const stored = calls.reduce((sum, { messages }) => sum + messages, 0)
    if (stored === measurement.rows) return measurement
    throw new Error(`the topic holds ${stored} rows, and ${measurement.rows} were acknowledged`)
  } finally {
    await client.close()
    await stop()
  }
}

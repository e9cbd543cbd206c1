/** Parquet to a webhook, against a client that only sends bodies that are ready. */
import { DEFAULT_LANES, engineToWebhook, readyBodies } from '../contestants.ts'
import { type StagedTable, stagedTransfers } from '../data.ts'
import { startEndpoint } from '../endpoint.ts'
import { interleave, quotients, type Runs, rowsPerSecond, type Spread, series, spread } from '../harness.ts'
import type { Part, Setup } from './part.ts'

export const webhookPart: Part = async setup => {
  const table = await stagedTransfers(setup.rows)
  const parsed = await against('json', 'an endpoint that parses', table, setup)
  const counted = await against('braces', 'an endpoint that only counts', table, setup)
  return {
    runs: new Map([...parsed.runs, ...counted.runs]),
    ratios: { webhook_over_ready_bodies: parsed.ratio },
    figures: { webhook_over_ready_bodies_only_counted: counted.ratio },
  }
}

async function against(
  reads: Parameters<typeof startEndpoint>[0],
  title: string,
  table: StagedTable,
  { rounds, say }: Setup,
): Promise<{ readonly runs: Runs; readonly ratio: Spread }> {
  const [engine, ready] = [`Parquet to ${title}`, `undici, ready bodies, to ${title}`]
  const endpoint = await startEndpoint(reads)
  try {
    const contestants = [
      engineToWebhook(engine, table, endpoint, { lanes: DEFAULT_LANES }),
      readyBodies(ready, table, endpoint),
    ]
    const runs = await interleave(contestants, rounds, say)
    const rates = (name: string) => series(runs, name, rowsPerSecond)
    return { runs, ratio: spread(quotients(rates(engine), rates(ready))) }
  } finally {
    await endpoint.close()
  }
}
